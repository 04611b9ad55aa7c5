"""Films the live view for the README: its own scene, drawn by a headless Chromium.

    environment/run.sh python doc/film.py val.npz

writes `view-dark.webp` and `view-light.webp` beside this file. `val.npz` is a motion archive with
the clips of `CAST`, which come from the CMU database. The arm and
its motion are those of the demo.
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import sync_playwright

from motion_predictor.archive import MotionArchive, open_archive
from motion_predictor.common.installed import installed
from motion_predictor.common.rigid import Rigid
from motion_predictor.planning.robot import RobotModel
from motion_predictor.predictor import MotionPredictor
from motion_predictor.ros.tools.simulated_arm import posture
from motion_predictor.tracking.people import Observation
from motion_predictor.view.moment import Moment, Robot
from motion_predictor.view.page import Page
from motion_predictor.view.palette import DARK, LIGHT
from motion_predictor.view.scene import Show
from motion_predictor_training.viewing.playback import Watcher

SIZE = 800, 400
RATE_HZ = 10
AHEAD_S = 0.6
SINCE_S = 1.2
"""The film begins so long after the first observation: a prediction has come true by then."""
SETTLE_S = 10.0
ARM = installed('config', 'demo_arm')
ARM_AT = Rigid(np.diag([-1.0, -1.0, 1.0]), np.array([3.45, 0.6, 0.0]))
CAMERA_AT, LOOKS_AT, FIELD_OF_VIEW_DEG = (2.9, -5.2, 2.6), (2.35, 1.2, 0.8), 27.0
BROWSER_FLAGS = ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader']


@dataclass(frozen=True)
class Actor:
    """A person in the film: a part of a recorded clip, at a place."""

    name: str
    clip: str
    since_s: float
    """Time in the clip at which the film begins, seconds."""
    at: tuple[float, float]
    """Place of the person when the film begins, metres."""
    turned_deg: float

    def motion(self, archive: MotionArchive) -> NDArray[np.float32]:
        """Return the joints of the person (T, J, 3) until the clip ends, metres."""
        clip = archive.clip(archive.clip_names.index(self.clip))
        clip = clip[round(self.since_s * archive.rate_hz) :]
        c, s = np.cos(np.deg2rad(self.turned_deg)), np.sin(np.deg2rad(self.turned_deg))
        turned = (clip - clip[0, 0] * (1, 1, 0)) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        return np.asarray(turned + (*self.at, 0), np.float32)


CAST = (
    Actor('walks', '12_02', 0.0, (0.0, 2.4), 0.0),
    Actor('reaches', '02_06', 0.8, (1.9, 0.5), -15.0),
)


def moments(archive: MotionArchive) -> Iterator[Moment]:
    """Yield the people and the arm for each picture of the film, until the first clip ends."""
    watcher = Watcher(MotionPredictor.load('default', backend='eager'))
    arm = RobotModel(ARM / 'capsules.yaml', (ARM / 'arm.urdf').read_text())
    motions = {actor.name: actor.motion(archive) for actor in CAST}
    step = round(archive.rate_hz / RATE_HZ)
    for t in range(min(map(len, motions.values()))):
        seen = [Observation(name, motion[t]) for name, motion in motions.items()]
        watcher.people.update(10**9 + round(t * 1e9 / archive.rate_hz), seen)
        moment = watcher.moment() if t % step == 0 else None
        if moment is not None:
            place = arm.at(posture(t / archive.rate_hz)).moved(ARM_AT)
            yield replace(moment, robot=Robot(place))


@contextmanager
def looking(page: Page) -> Iterator[None]:
    """Open the page in a browser while the context lasts."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which('chromium'), args=BROWSER_FLAGS
        )
        view = browser.new_page(viewport=dict(zip(('width', 'height'), SIZE, strict=True)))
        view.goto(page.url)
        while not page.is_watched:
            view.wait_for_timeout(100)
        view.wait_for_timeout(3000)  # wait until the browser has loaded the lights
        yield
        browser.close()


def film(scenes: list[Moment], dark: bool, out: Path) -> None:
    """Draw all moments and write them as one animated picture."""
    page = Page(dark=dark, show=Show(ahead_s=AHEAD_S, truth=True))
    camera = page.server.initial_camera
    camera.position, camera.look_at = CAMERA_AT, LOOKS_AT
    camera.fov = np.deg2rad(FIELD_OF_VIEW_DEG)
    paper = Image.new('RGBA', SIZE, (DARK if dark else LIGHT).paper)
    pictures = []
    with looking(page):
        (client,) = page.server.get_clients().values()
        for moment in scenes:
            page.take(moment)
            if moment.time_s < scenes[0].time_s + SINCE_S:
                continue
            page.draw('', True)
            if not pictures:
                time.sleep(SETTLE_S)  # early pictures lack the meshes
            drawn = client.get_render(SIZE[1], SIZE[0], transport_format='png')
            pictures.append(Image.alpha_composite(paper, Image.fromarray(drawn)).convert('RGB'))
    page.close()
    pictures[0].save(
        out, save_all=True, append_images=pictures[1:], duration=1000 // RATE_HZ, loop=0,
        quality=70, method=6,
    )  # fmt: skip
    print(f'{out}: {len(pictures)} pictures, {out.stat().st_size / 1e6:.1f} MB')


def main() -> None:
    """Film the scene with dark colours and with light colours."""
    parser = argparse.ArgumentParser(description='Film the live view for the README.')
    parser.add_argument('archive', help='motion archive with the clips of the cast')
    parser.add_argument('--out', type=Path, default=Path(__file__).parent, help='folder')
    arguments = parser.parse_args()
    scenes = list(moments(open_archive(arguments.archive)))
    for name, dark in (('dark', True), ('light', False)):
        film(scenes, dark, arguments.out / f'view-{name}.webp')


if __name__ == '__main__':
    main()
