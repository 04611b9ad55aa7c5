"""Draws people, their predictions, their true motion and a robot with the library viser."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import trimesh
import viser
from numpy.typing import NDArray

from motion_predictor.planning.outlook import Person
from motion_predictor.skeleton import common_names_of, known_layouts
from motion_predictor.view import solids
from motion_predictor.view.batches import Batch, Bodies, Lines
from motion_predictor.view.memory import Memory
from motion_predictor.view.moment import Moment
from motion_predictor.view.palette import Palette
from motion_predictor.view.solids import Shape

Array = NDArray[np.float32]
FAN = 16
"""Number of futures drawn per person."""
STEPS = 10
"""Number of segments in the path of a joint."""
TRAIL_S = 1.5
ABOVE_HEAD_M = 0.2
OUTER = ('l_wrist', 'r_wrist', 'l_ankle', 'r_ankle', 'head', 'nose')
"""Common names of the joints whose paths and balls are drawn, beside the root."""


@dataclass
class Show:
    """Settings that choose what is drawn."""

    ahead_s: float = 0.5
    fan: bool = True
    mean: bool = True
    balls: bool = True
    trails: bool = True
    truth: bool = False
    """Whether to draw the scene of `ahead_s` ago, with a ghost of the true motion since then."""
    flesh: bool = False
    """Whether to draw limbs as thick as for the computation of distances."""


class Scene:
    """Draws all meshes on the page. Drawing another moment moves the existing meshes.

    Args:
        server: server of the page. The scene of the server is replaced.
        palette: colours of the scene.
    """

    def __init__(self, server: viser.ViserServer, palette: Palette) -> None:
        self._server = server
        server.scene.reset()
        server.scene.set_up_direction('+z')
        server.scene.world_axes.visible = False
        server.scene.configure_environment_map('warehouse', environment_intensity=0.2)
        server.scene.add_grid(
            '/floor',
            infinite_grid=True,
            cell_size=0.5,
            section_size=1.0,
            cell_color=palette.grid,
            section_color=palette.grid,
            cell_thickness=0.6,
            fade_distance=25.0,
            shadow_opacity=0.3,
            plane_color=palette.floor,
            plane_opacity=1.0,
            position=(0.0, 0.0, -0.005),
        )
        faded = palette.faded
        self._now = Bodies(server, '/people/now', palette.person)
        self._lost = Bodies(server, '/people/lost', palette.lost)
        self._mean = Bodies(server, '/future/mean', palette.future, 0.5)
        self._truth = Bodies(server, '/truth', palette.truth, 0.45)
        self._robot = Bodies(server, '/robot', palette.robot)
        ball = trimesh.creation.icosphere(3)
        self._balls = Batch(server, '/future/balls', ball, palette.future, 0.13, side='back')
        paths = faded(palette.future, 0.9), faded(palette.future, 0.4)
        self._paths = Lines(server, '/future/paths', paths, 0.006)
        self._sticks = Lines(server, '/future/poses', 2 * (faded(palette.future, 0.35),), 0.006)
        trails = faded(palette.person, 0.1), faded(palette.person, 0.8)
        self._trails = Lines(server, '/trails', trails, 0.012)
        self._labels: dict[str, Any] = {}

    def draw(self, memory: Memory, show: Show, stale: bool) -> Moment | None:
        """Draw the newest moment; with `show.truth`, the moment `show.ahead_s` seconds earlier.

        At the beginning of a recording there is no earlier moment, and the newest one is drawn.

        Args:
            memory: moments of the last seconds.
            show: settings that choose what is drawn.
            stale: whether predictions are not usable. With unusable predictions, people are drawn
                where they were last seen.

        Returns:
            The moment that was drawn; None if there is none.
        """
        newest = memory.newest
        earlier = memory.before(show.ahead_s) if show.truth else None
        moment = earlier or newest
        with self._server.atomic():
            self._draw_people(moment, show, stale)
            if self._draw_truth(moment, newest if earlier else None):
                self._balls.add_again()  # a translucent ball hides meshes that are drawn later
            self._draw_futures(memory, None if stale else moment, show)
            robot = moment.robot if moment else None
            self._robot.place(solids.of_robot(robot.capsules) if robot else None)
        return moment

    def _draw_people(self, moment: Moment | None, show: Show, stale: bool) -> None:
        seen = dict(moment.poses) if moment else {}
        lost = dict(moment.unpredicted) if moment else {}
        if stale:
            seen, lost = {}, {**lost, **seen}
        for bodies, poses in ((self._now, seen), (self._lost, lost)):
            shape = Shape.of(moment.outlook, show.flesh) if moment and poses else None
            bodies.place(shape.solids(np.stack(list(poses.values()))) if shape else None)
        for person in self._labels.keys() - seen.keys() - lost.keys():
            self._labels.pop(person).remove()
        for person, pose in (seen | lost).items():
            status = moment.statuses.get(person, '') if moment else ''
            self._label(person, f'{person}  {"last seen here" if stale else status}', pose)

    def _label(self, person: str, text: str, pose: Array) -> None:
        if not np.isfinite(pose).any():
            return
        top = pose[np.nanargmax(pose[:, 2])]
        place = (float(top[0]), float(top[1]), float(top[2]) + ABOVE_HEAD_M)
        label = self._labels.get(person)
        if label is None:
            self._labels[person] = self._server.scene.add_label(
                f'/labels/{person}', text, position=place, anchor='bottom-center'
            )
            return
        label.position = place
        if label.text != text:
            label.text = text

    def _draw_futures(self, memory: Memory, moment: Moment | None, show: Show) -> None:
        if moment is None or not moment.outlook.people or not show.ahead_s > 0:
            for drawn in (self._mean, self._balls):
                drawn.place(None)
            for lines in (self._paths, self._sticks, self._trails):
                lines.place([])
            return
        outlook, ahead = moment.outlook, moment.at(show.ahead_s)
        outer = list(outer_joints(outlook.layout, outlook.joint_names, outlook.parents))
        means = np.stack([person.mean[0] for person in ahead.people])
        shape = Shape.of(outlook, flesh=False)
        if self._mean.place(shape.solids(means) if show.mean else None):
            self._balls.add_again()
        radii = np.stack([person.radius[0] for person in ahead.people])[:, outer].reshape(-1)
        known = np.isfinite(radii)
        centres = means[:, outer].reshape(-1, 3)[known]
        self._balls.place(solids.balls(centres, radii[known]) if show.balls else None)
        steps = outlook.at(np.linspace(0, min(show.ahead_s, outlook.horizon_s), STEPS + 1))
        limbs = [(p, j) for j, p in enumerate(outlook.parents) if p >= 0]
        paths = [_futures(p)[:, :, outer].swapaxes(1, 2) for p in steps.people]  # (S, O, T, 3)
        poses = [_futures(p)[:, 0][:, limbs] for p in ahead.people]  # (S, limbs, 2, 3)
        self._paths.place([_flat(p) for p in paths] if show.fan else [])
        self._sticks.place([_flat(p) for p in poses] if show.fan else [])
        ways = [memory.trail(p.id, outer, moment, TRAIL_S) for p in outlook.people]
        self._trails.place([way.swapaxes(0, 1) for way in ways] if show.trails else [])

    def _draw_truth(self, moment: Moment | None, newest: Moment | None) -> bool:
        """Draw the people of `moment` at their poses in `newest`; hide all if `newest` is None.

        Returns:
            True if any mesh was added to the scene again.
        """
        poses = newest.poses if newest else {}
        seen = [poses[person] for person in moment.poses if person in poses] if moment else []
        shape = Shape.of(moment.outlook, flesh=False) if moment and seen else None
        return self._truth.place(shape.solids(np.stack(seen)) if shape else None)


@cache
def outer_joints(
    layout: str, joint_names: tuple[str, ...], parents: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the indices of the joints whose paths and balls are drawn.

    The drawn joints are the root, hands, feet and head. If the joint names are unknown, the root
    and the ends of the kinematic tree are drawn.
    """
    names = common_names_of(joint_names, known_layouts().get(layout))
    ends = [joint for joint, name in enumerate(names) if name in OUTER and joint > 0]
    return 0, *(ends or sorted(set(range(len(parents))) - set(parents)))


def _futures(person: Person) -> Array:
    """Return the futures (S, F, J, 3) to draw: some samples, or the mean without samples."""
    return person.samples[:FAN] if len(person.samples) else person.mean[None]


def _flat(paths: Array) -> Array:
    """Merge the L paths of each of S futures, (S, L, T, 3), into one group (S * L, T, 3)."""
    return paths.reshape(-1, *paths.shape[2:])
