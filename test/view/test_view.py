"""What the page draws and computes, tested without a browser."""

import numpy as np
import pytest

from motion_predictor.planning.outlook import Outlook, Person
from motion_predictor.skeleton import known_layouts
from motion_predictor.view import solids
from motion_predictor.view.hindsight import Hindsight
from motion_predictor.view.memory import SPAN_S, Memory
from motion_predictor.view.moment import Moment
from motion_predictor.view.solids import Shape

LAYOUT = known_layouts()['smpl22']
JOINTS = len(LAYOUT.joint_names)
TIMES_S = np.arange(1, 21) / 10


def walker(
    time_s: float, speed: float = 1.0, predicted: float = 1.0, radius: float = 0.1
) -> Moment:
    """Return a moment: a person walks along x at `speed`, the prediction has `predicted`, m/s."""
    start = np.zeros((JOINTS, 3), np.float32)
    start[:, 0] = speed * time_s
    mean = np.repeat(start[None], len(TIMES_S), 0)
    mean[..., 0] += (predicted * TIMES_S)[:, None]
    person = Person(
        'anna', 1.0, np.stack([mean, mean]), mean, np.full(mean.shape[:2], radius, np.float32)
    )
    outlook = Outlook(
        round((10 + time_s) * 1e9), 0.0, 'map', 'smpl22', tuple(LAYOUT.joint_names),
        tuple(LAYOUT.parents), 0.95, TIMES_S, (person,),
    )  # fmt: skip
    return Moment(outlook, {'anna': 'OK'})


def remembered(**how: float) -> Memory:
    memory = Memory()
    for step in range(60):
        memory.add(walker(step / 15, **how))
    return memory


def test_pose_is_where_the_prediction_begins() -> None:
    assert walker(2.0).poses['anna'][:, 0] == pytest.approx(2.0, abs=1e-5)


def test_what_came_true_has_no_error_and_standing_still_has() -> None:
    hindsight, memory = Hindsight(), Memory()
    for step in range(60):
        memory.add(walker(step / 15))
        hindsight.update(memory)
    rows = {row.ahead_s: row for row in hindsight.rows()}
    assert set(rows) == {0.1, 0.2, 0.5, 1.0, 2.0}
    for ahead_s, row in rows.items():
        assert row.error_m == pytest.approx(0, abs=1e-4)
        assert row.still_m == pytest.approx(ahead_s, abs=0.04)  # 15 moments per second
        assert row.inside == 1


def test_a_wrong_prediction_is_seen_to_be_wrong() -> None:
    hindsight, memory = Hindsight(), Memory()
    for step in range(60):
        memory.add(walker(step / 15, predicted=1.5))
        hindsight.update(memory)
    last = hindsight.rows()[-1]
    assert last.error_m == pytest.approx(1.0, abs=0.02)  # 0.5 m/s too fast for 2 s
    assert last.inside == 0


def test_without_calibration_the_share_inside_is_unknown() -> None:
    hindsight, memory = Hindsight(), Memory()
    for step in range(10):
        memory.add(walker(step / 15, radius=float('nan')))
        hindsight.update(memory)
    assert np.isnan(hindsight.rows()[0].inside)


def test_memory_is_bounded_and_begins_anew_when_time_does() -> None:
    memory = Memory()
    for step in range(200):
        memory.add(walker(step / 15))
    before = memory.before(SPAN_S)
    assert before is not None and before.time_s == pytest.approx(10 + 199 / 15 - SPAN_S, abs=0.1)
    assert memory.before(SPAN_S + 1) is None
    memory.add(walker(0.0))
    assert memory.before(1.0) is None


def test_trail_ends_where_the_person_was() -> None:
    memory = remembered()
    moment = memory.before(1.0)
    assert moment is not None
    trail = memory.trail('anna', [0, 3], moment, 1.5)
    assert trail.shape[1:] == (2, 3)
    assert trail[-1, 0, 0] == pytest.approx(moment.time_s - 10, abs=1e-4)
    assert trail[-1, 0, 0] - trail[0, 0, 0] == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize('direction', [(0, 0, 1), (0, 0, -1), (1, 0, 0), (0.3, -0.5, 0.2)])
def test_cylinders_lie_between_their_points(direction: tuple[float, float, float]) -> None:
    start = np.array([[0.1, 0.2, 0.3]], np.float32)
    end = start + np.array([direction], np.float32)
    placed = solids.cylinders(start, end, np.array([0.05], np.float32))
    w, x, y, z = placed.wxyzs[0]
    axis = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    length = np.linalg.norm(direction)
    assert axis == pytest.approx(np.array(direction) / length, abs=1e-5)
    assert placed.scales[0] == pytest.approx([0.05, 0.05, length], abs=1e-5)
    assert placed.positions[0] == pytest.approx((start + end)[0] / 2)


@pytest.mark.parametrize('layout', sorted(known_layouts()))
def test_every_layout_that_ships_has_a_body(layout: str) -> None:
    known = known_layouts()[layout]
    outlook = Outlook(
        0, 0.0, 'map', layout, tuple(known.joint_names), tuple(known.parents), 0.95, TIMES_S, ()
    )
    slim, flesh = Shape.of(outlook, flesh=False), Shape.of(outlook, flesh=True)
    assert len(slim.radii) and (slim.radii < flesh.radii).all()
    tubes, balls = slim.solids(np.zeros((2, len(known.joint_names), 3), np.float32))
    assert len(balls.positions) == 2 * len(tubes.positions) == 4 * len(slim.radii)


def test_an_unknown_layout_is_drawn_as_sticks() -> None:
    outlook = Outlook(0, 0.0, 'map', 'spider', ('a', 'b', 'c'), (-1, 0, 1), 0.95, TIMES_S, ())
    assert Shape.of(outlook, flesh=True).ends.tolist() == [[0, 1], [1, 2]]
