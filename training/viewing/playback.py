"""Plays recordings in the browser with the predictions of a checkpoint, without ROS."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from motion_predictor.archive import ArchiveError
from motion_predictor.checkpoint import CheckpointError, Header
from motion_predictor.common.arguments import Parser, whole
from motion_predictor.common.problems import one_line
from motion_predictor.common.terminal import complain, remarks_of
from motion_predictor.planning.outlook import Outlook, Person
from motion_predictor.predictor import MotionPredictor
from motion_predictor.tracking.people import People
from motion_predictor.view.command import RATE_HZ, add_page_arguments, open_page
from motion_predictor.view.moment import Moment
from motion_predictor_training.viewing.recordings import (
    START_NS,
    Recording,
    choose,
    open_recording,
)

if TYPE_CHECKING:  # the package viser, which the page needs, may not be installed
    from motion_predictor.view.page import Page

REST_S = 1.0
"""Pause between the end of a take and its repetition."""


class Watcher:
    """Tracks the people of a recording as the node does, and predicts their motion.

    Args:
        predictor: predictor for the motion of the people.
    """

    def __init__(self, predictor: MotionPredictor) -> None:
        self._predictor = predictor
        times = predictor.times
        # The page shows early future frames at shorter intervals than late ones, like the node.
        chosen = [abs(times - s).argmin() for s in (*np.arange(1, 7) / 60, *np.arange(1, 21) / 10)]
        self._frames = np.unique(chosen)
        self.begin()

    def begin(self) -> None:
        """Forget all people."""
        header: Header = self._predictor.checkpoint.header
        window = header.window
        self.people = People(  # all other arguments have the defaults of the node's parameters
            header.layout,
            window.rate_hz,
            window.history_frames,
            max_people=20,
        )

    def moment(self) -> Moment | None:
        """Return all people at the newest frame, with their predictions."""
        scene = self.people.scene()
        if scene is None:
            return None
        header = self._predictor.checkpoint.header
        windows = {p.id: p.window for p in scene.people if p.window is not None}
        coverage = took_ms = float('nan')
        people: tuple[Person, ...] = ()
        if windows:
            history = np.stack([window.positions for window in windows.values()])
            doubt_m = np.stack([window.doubt_m for window in windows.values()])
            before_s = time.perf_counter()
            prediction = self._predictor.predict(history).widened(doubt_m)
            took_ms = 1000 * (time.perf_counter() - before_s)
            coverage = prediction.coverage
            samples = prediction.samples_at(self._frames)
            people = tuple(
                Person(
                    person,
                    window.observed_fraction,
                    samples[row],
                    prediction.mean[row].take(self._frames, axis=0),
                    prediction.radius[row].take(self._frames, axis=0),
                )
                for row, (person, window) in enumerate(windows.items())
            )
        outlook = Outlook(
            stamp_ns=scene.stamp_ns,
            age_s=0.0,
            frame_id=scene.frame_id,
            layout=header.layout.name,
            joint_names=tuple(header.layout.joint_names),
            parents=tuple(header.layout.parents),
            coverage=coverage,
            times=self._predictor.times[self._frames].astype(np.float64),
            people=people,
        )
        statuses = {person.id: person.status.name for person in scene.people}
        return Moment(outlook, statuses, age_ms=took_ms, latency_ms=took_ms)


class Player:
    """Plays the takes (clips) of a recording on a page in the browser.

    Args:
        page: page to draw on. The player adds controls to play, to stop and to choose a take.
        recording: recording to play.
        watcher: object that tracks and predicts the people of the recording.
        take: number of the take to play first.
    """

    def __init__(self, page: 'Page', recording: Recording, watcher: Watcher, take: int) -> None:
        self._page, self._recording, self._watcher = page, recording, watcher
        gui = page.server.gui
        with gui.add_folder('Recording', order=-1.0):
            self._take = gui.add_dropdown(
                'Take', recording.names, initial_value=recording.names[take]
            )
            self._plays = gui.add_checkbox('Play', True)
            self._speed = gui.add_slider('Speed', 0.1, 2.0, 0.1, 1.0)
            self._at: Any = gui.add_progress_bar(0.0)
        self._take.on_update(lambda _: self._begin())
        self._begin()

    def _begin(self) -> None:
        index = self._recording.names.index(self._take.value)
        self._frames = self._recording.frames(index)
        self._next = 0
        self._time_s = 0.0
        self._watcher.begin()
        self._page.forget()

    def step(self, spent_s: float) -> None:
        """Advance the recording, and draw the people.

        Args:
            spent_s: time since the last step, seconds. The recording advances by this time,
                multiplied by the chosen speed.
        """
        if self._plays.value:
            self._time_s += spent_s * self._speed.value
        last_ns = self._frames[-1][0]
        now_ns = START_NS + round(self._time_s * 1e9)
        before = self._next
        while self._next < len(self._frames) and self._frames[self._next][0] <= now_ns:
            stamp_ns, seen = self._frames[self._next]
            self._watcher.people.update(stamp_ns, seen)
            self._next += 1
        if self._next > before and (moment := self._watcher.moment()) is not None:
            self._page.take(moment)
        self._at.value = 100 * min(1.0, (now_ns - START_NS) / max(last_ns - START_NS, 1))
        self._page.draw(self._take.value, True)
        if now_ns > last_ns + REST_S * 1e9:
            self._begin()


def play(page: 'Page', player: Player) -> None:
    """Play until the process is interrupted. While no browser shows the page, playback pauses."""
    before_s = time.monotonic()
    while True:
        now_s = time.monotonic()
        if page.is_watched:
            player.step(min(now_s - before_s, 2 / RATE_HZ))
        before_s = now_s
        time.sleep(max(0.0, 1 / RATE_HZ - (time.monotonic() - now_s)))


def main(args: list[str] | None = None) -> int:
    """Play a recording. An error prints one sentence on stderr; the exit status is 1 or 2."""
    parser = Parser(
        prog='view',
        description='Play recorded people in the browser, with their predicted futures.',
    )
    parser.add_argument('recording', help='"bundled", a motion archive (.npz) or a rosbag')
    parser.add_argument('--checkpoint', default='default', help='"default", "accurate" or a file')
    parser.add_argument('--clip', default='0', help='name or number of the first clip')
    parser.add_argument(
        '--people', type=whole(1, 20), default=1, help='number of clips side by side'
    )
    parser.add_argument(
        '--backend', default='auto', help='engine of the predictor (eager: no compiler)'
    )
    add_page_arguments(parser, truth=True)
    arguments = parser.parse_args(args)
    torch.set_num_threads(1)  # two threads are no faster, and far slower beside a busy process
    try:
        with remarks_of('view'):
            predictor = MotionPredictor.load(arguments.checkpoint, backend=arguments.backend)
        layout = predictor.checkpoint.header.layout
        recording = open_recording(arguments.recording, layout, max(1, arguments.people))
        take = choose(recording.names, arguments.clip)
        page = open_page(arguments)
        player = Player(page, recording, Watcher(predictor), take)
    except (ArchiveError, CheckpointError, ValueError) as error:
        complain('view', one_line(error))
        return 2
    try:
        play(page, player)
    except KeyboardInterrupt:
        pass
    finally:
        page.close()
    return 0
