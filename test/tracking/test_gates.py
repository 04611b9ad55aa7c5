"""The gates leave out joints at impossible places and keep all other joints."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.skeleton import known_layouts
from motion_predictor.tracking.body import Body
from motion_predictor.tracking.gates import Checked, Gates
from motion_predictor.tracking.history import History

FloatArray = NDArray[np.float32]
SMPL = known_layouts()['smpl22']
PERIOD_NS = 33_333_333
ELBOW, WRIST = (SMPL.joint_names.index(name) for name in ('r_elbow', 'r_wrist'))


@pytest.fixture
def gates() -> Gates:
    return Gates(Body(SMPL))


def walk(stride: FloatArray, step: int) -> FloatArray:
    return stride + np.float32([0.04 * step, 0, 0])


def check(gates: Gates, step: int, pose: FloatArray) -> Checked:
    return gates.check(10**18 + step * PERIOD_NS, pose)


def warm(gates: Gates, stride: FloatArray) -> int:
    """Pass 30 steps of a walking person to the gates. Return the number of the next step."""
    for step in range(30):
        checked = check(gates, step, walk(stride, step))
        np.testing.assert_array_equal(checked.positions, walk(stride, step))
        assert not checked.rejected
    return 30


def missing(checked: Checked) -> list[int]:
    return list(np.flatnonzero(np.isnan(checked.positions[:, 0])))


def test_a_joint_that_jumps_is_missing_until_it_is_back(gates: Gates, stride: FloatArray) -> None:
    step = warm(gates, stride)
    pose = walk(stride, step)
    pose[WRIST, 1] += 0.8
    checked = check(gates, step, pose)
    assert missing(checked) == [WRIST]
    assert checked.rejected == {'joint jumped': 1}
    assert not missing(check(gates, step + 1, walk(stride, step + 1)))


def test_a_joint_that_accelerates_as_nobody_can_is_missing(
    gates: Gates, stride: FloatArray
) -> None:
    step = warm(gates, stride)
    pose = walk(stride, step)
    arm = [ELBOW, WRIST]
    pose[arm, 1] += 0.5  # within one frame, only a moving arm can go that far
    still, moving = np.zeros_like(pose), np.zeros_like(pose)
    moving[arm, 1] = 10
    stamp_ns = 10**18 + step * PERIOD_NS
    assert not {*arm} - {*missing(gates.check(stamp_ns, pose, still))}
    other = Gates(Body(SMPL))
    warm(other, stride)
    assert other.check(stamp_ns, pose, moving).rejected.keys() <= {'limb of another length'}


def test_a_joint_that_stays_where_it_jumped_is_believed(gates: Gates, stride: FloatArray) -> None:
    step = warm(gates, stride)
    raised = stride.copy()
    raised[[ELBOW, WRIST]] = stride[2] + np.float32([[0.3, -0.3, 0.7], [0.35, -0.3, 0.93]])
    believed = [not missing(check(gates, step + i, walk(raised, step + i))) for i in range(60)]
    assert not believed[0]
    assert believed[-1]


@pytest.mark.parametrize('joint', ['r_wrist', 'r_elbow', 'pelvis', 'head'])
def test_the_joint_whose_limbs_have_another_length_is_the_one_left_out(
    gates: Gates, stride: FloatArray, joint: str
) -> None:
    step = warm(gates, stride)
    index = SMPL.joint_names.index(joint)
    pose = walk(stride, step)
    pose[index, 0] += 0.25
    checked = check(gates, step, pose)
    assert missing(checked) == [index]
    assert checked.rejected == {'limb of another length': 1}


def test_sides_swapped_for_a_few_frames_are_swapped_back(gates: Gates, stride: FloatArray) -> None:
    step = warm(gates, stride)
    for i in range(3):
        swapped = walk(stride, step + i)[list(SMPL.mirrored)]
        checked = check(gates, step + i, swapped)
        np.testing.assert_array_equal(checked.positions, walk(stride, step + i))
        assert checked.rejected == {'left and right swapped': 1}
    assert not check(gates, step + 3, walk(stride, step + 3)).rejected


def test_a_tracker_that_insists_on_its_sides_contradicts_what_it_said(
    gates: Gates, stride: FloatArray
) -> None:
    step = warm(gates, stride)
    contradicts = [
        check(gates, step + i, walk(stride, step + i)[list(SMPL.mirrored)]).contradicts
        for i in range(12)
    ]
    assert not any(contradicts[:9])
    assert any(contradicts)


@pytest.mark.parametrize('rate_hz', [60, 15])
@pytest.mark.parametrize('noise_m', [0.0, 0.02])
def test_what_people_really_do_passes(recorded: Path, rate_hz: int, noise_m: float) -> None:
    archive = load_archive(recorded / 'test.npz')
    generator = np.random.default_rng(0)
    rejected = total = 0
    body = Body(SMPL)
    for index in range(0, len(archive), 4):
        gates, history = Gates(body), History(body, 60, 30, max_gap_s=0.3)
        for frame, pose in enumerate(archive.clip(index)[:: 60 // rate_hz]):
            seen = pose + generator.normal(scale=noise_m, size=pose.shape)
            stamp_ns = round((1 + frame / rate_hz) * 1e9)
            velocities = history.joint_velocities() if history.knows_velocity() else None
            checked = gates.check(stamp_ns, seen.astype(np.float32), velocities)
            history.append(stamp_ns, checked.positions)
            assert not checked.contradicts
            rejected += checked.rejected.total()
            total += len(pose)
    assert rejected <= 5e-4 * total
