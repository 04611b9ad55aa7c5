"""The allowed speed of a robot: the protective distance, the governor, and its capsules."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from motion_predictor.common.installed import installed
from motion_predictor.planning import Bodies, Capsules, Limbs, Outlook, nearest
from motion_predictor.planning.robot import RobotError, RobotModel
from motion_predictor.planning.separation import Governor, Robot, distances, walking

ARM = installed('config', 'demo_arm', 'capsules.yaml')
URDF = installed('config', 'demo_arm', 'arm.urdf').read_text()
ROBOT = Robot(1.0, reaction_s=0.1, stop_s=0.3, stop_m=0.15, reach_in_m=0.1, uncertainty_m=0.05)


def test_the_standards_distance_at_full_speed() -> None:
    """S_p = v_h (T_r + T_s) + v_r T_r + S_s + C + Z."""
    needed = 1.6 * 0.4 + 1.0 * 0.1 + 0.15 + 0.1 + 0.05
    assert ROBOT.allowed(*walking(needed + 0.02, 0.4)) == 1
    assert 0.9 < ROBOT.allowed(*walking(needed - 0.02, 0.4)) < 1
    assert ROBOT.allowed(*walking(1.6 * 0.1 + 0.14, 0.4)) == 0
    assert ROBOT.allowed(*walking(0.41, 0.4, speed=0.0)) == 1, 'people who stand let it go on'
    assert ROBOT.allowed(np.array([0.0, 0.4]), np.full(2, np.inf)) == 1


@given(st.floats(-0.5, 3), st.floats(0, 3), st.floats(0, 2))
def test_nearer_or_faster_is_never_quicker(distance: float, speed: float, more: float) -> None:
    allowed = ROBOT.allowed(*walking(distance, 0.4, speed))
    assert ROBOT.allowed(*walking(distance - more, 0.4, speed)) <= allowed
    assert ROBOT.allowed(*walking(distance, 0.4, speed + more)) <= allowed
    scale = np.array([allowed])
    if allowed:
        left = distance - speed * ROBOT.until_stopped_s(scale)
        assert left >= ROBOT.needed_m(scale) - 1e-9


def test_whoever_comes_nearer_later_counts_only_as_long_as_the_robot_moves() -> None:
    times, apart = np.array([0.0, 0.2, 0.3, 0.4]), np.array([1.0, 1.0, 0.0, 1.0])
    allowed = ROBOT.allowed(times, apart)
    assert ROBOT.until_stopped_s(np.array([allowed])) <= 0.2


def test_distances_are_of_everybody_at_every_instant(make_prediction: Callable[..., Any]) -> None:
    outlook = Outlook.of(make_prediction(people=2), 0.05)
    capsules = Capsules.of([[1.0, 1.0, 0.0]], [[1.0, 1.0, 1.0]], [0.1])
    times, apart = distances(outlook, capsules, 0.4)
    np.testing.assert_allclose(times, [0.0, 0.05, 0.15, 0.35, 0.4], atol=1e-6)
    limbs = Limbs.for_outlook(outlook)
    each = [nearest(Bodies.of_samples(p, limbs), capsules)[0] for p in outlook.at(times).people]
    np.testing.assert_allclose(apart, np.min(each, 0))


def test_the_governor_falls_at_once_and_rises_slowly_after_a_while() -> None:
    governor = Governor(rise_per_s=0.5, hysteresis=0.1, hold_s=0.3)
    assert governor.update(1.0, 0.0) == 0, 'it starts from standing'
    scales = [governor.update(1.0, 0.1 * i) for i in range(1, 40)]
    assert scales[1] == 0 < scales[4]
    assert np.diff([0, *scales]).max() <= 0.05 + 1e-9
    assert scales[-1] == 1
    assert governor.update(0.4, 4.1) == 0.4
    for i in range(10):
        assert governor.update(0.45, 4.2 + i / 10) == 0.4, 'less than the hysteresis'
    assert governor.update(float('nan'), 5.3) == 0


def test_a_governor_that_slept_starts_from_standing() -> None:
    """The robot stopped while the governor slept. The old scale would make the robot jump."""
    governor = Governor(rise_per_s=10.0, hold_s=0.0, asleep_after_s=0.2)
    for i in range(10):
        governor.update(1.0, i / 10)
    assert governor.scale == 1
    assert governor.update(1.0, 1.5) == 0
    assert 0 < governor.update(1.0, 1.55) < 0.51


@given(st.lists(st.tuples(st.floats(-1, 2), st.floats(0, 0.5)), max_size=40))
def test_the_governor_never_exceeds_nor_jumps(steps: list[tuple[float, float]]) -> None:
    governor, now_s, before = Governor(), 0.0, 0.0
    for allowed, spent_s in steps:
        now_s += spent_s
        scale = governor.update(allowed, now_s)
        assert 0 <= scale <= max(allowed, 0)
        assert scale - before <= 0.5 * min(spent_s, 0.2) + 1e-9
        before = scale


def test_capsules_follow_the_joints() -> None:
    model = RobotModel(ARM, URDF)
    assert model.joint_names == ('elbow', 'shoulder', 'turn')
    angles = {'turn': 0.7, 'shoulder': 0.5, 'elbow': -0.9}
    capsules = model.at(angles)
    turn = Rotation.from_euler('z', 0.7)
    upper = turn * Rotation.from_euler('y', 0.5)
    lower = upper * Rotation.from_euler('y', -0.9)
    elbow = np.array([0, 0, 0.8]) + upper.apply([0, 0, 0.4])
    np.testing.assert_allclose(capsules.starts, [[0, 0, 0], [0, 0, 0.8], elbow], atol=1e-12)
    tip = elbow + lower.apply([0, 0, 0.4])
    np.testing.assert_allclose(capsules.ends, [[0, 0, 0.8], elbow, tip], atol=1e-12)
    for positions in ({}, angles | {'turn': np.nan}):
        with pytest.raises(RobotError, match="for joint 'elbow'|for joint 'turn'"):
            model.at(positions)


def test_a_joint_that_mimics_another_follows_it(tmp_path: Path) -> None:
    urdf = (
        '<robot><joint name="finger" type="prismatic"><parent link="base"/><child link="left"/>'
        '<axis xyz="0 1 0"/></joint><joint name="other" type="prismatic"><parent link="base"/>'
        '<child link="right"/><axis xyz="0 1 0"/>'
        '<mimic joint="finger" multiplier="-1" offset="0.1"/></joint></robot>'
    )
    path = tmp_path / 'capsules.yaml'
    path.write_text(
        'base: base\ncapsules: [{frame: right, start: [0, 0, 0], end: [1, 0, 0], radius_m: 0.1}]'
    )
    model = RobotModel(path, urdf)
    assert model.joint_names == ('finger',)
    np.testing.assert_allclose(model.at({'finger': 0.3}).starts, [[0, -0.2, 0]], atol=1e-12)


def test_axes_and_origins_of_a_urdf(tmp_path: Path) -> None:
    urdf = (
        '<robot><joint name="slide" type="prismatic"><parent link="base"/><child link="tool"/>'
        '<origin xyz="1 2 3" rpy="0.1 0.2 0.3"/><axis xyz="0 2 0"/></joint></robot>'
    )
    path = tmp_path / 'capsules.yaml'
    path.write_text(
        'base: base\ncapsules: [{frame: tool, start: [0, 0, 0], end: [1, 0, 0], radius_m: 0.1}]'
    )
    found = RobotModel(path, urdf).at({'slide': 0.5})
    turn = Rotation.from_euler('xyz', [0.1, 0.2, 0.3])
    np.testing.assert_allclose(found.starts[0], [1, 2, 3] + turn.apply([0, 0.5, 0]), atol=1e-12)
    np.testing.assert_allclose(found.ends[0], [1, 2, 3] + turn.apply([1, 0.5, 0]), atol=1e-12)
    with pytest.raises(RobotError, match="does not connect frame 'tool'"):
        RobotModel(path, '<robot/>')
    with pytest.raises(RobotError, match='URDF cannot be read'):
        RobotModel(path, '<robot')
    with pytest.raises(RobotError, match='is planar'):
        RobotModel(path, urdf.replace('prismatic', 'planar'))
    with pytest.raises(RobotError, match='cannot read'):
        RobotModel(tmp_path / 'none.yaml')
    path.write_text('base: base\ncapsules: []')
    with pytest.raises(RobotError, match='is not a file of capsules'):
        RobotModel(path)
