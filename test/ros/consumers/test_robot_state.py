"""The poses of the robot and of the predictions' frame from tf, and when a pose is unknown.

tf2_ros comes only with a ROS installation. A stand-in for it has the calls that the node uses.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import JointState

from motion_predictor.common.installed import installed
from motion_predictor.planning import Reason, Rigid
from motion_predictor.planning.robot import Mounted, RobotError, RobotModel
from motion_predictor.ros.consumers.robot_state import FromJoints, FromTf
from motion_predictor.ros.consumers.subscription import Predictions

ARM = installed('config', 'demo_arm', 'capsules.yaml')
URDF = installed('config', 'demo_arm', 'arm.urdf').read_text()
NOW_NS = 1_000_000_000_000


@pytest.fixture
def node() -> Iterator[Node]:
    node = rclpy.create_node('robot_state')
    yield node
    node.destroy_node()


@pytest.fixture
def tf(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], TransformStamped]:
    """The transforms that the stand-in for tf knows, by target and source."""
    known: dict[tuple[str, str], TransformStamped] = {}
    module: Any = ModuleType('tf2_ros')

    class TransformException(Exception):  # noqa: N818 - as tf2 calls it
        pass

    def look_up(target: str, source: str, when: Time) -> TransformStamped:
        if (target, source) not in known:
            raise TransformException
        return known[target, source]

    module.TransformException = TransformException
    module.Buffer = lambda: SimpleNamespace(lookup_transform=look_up)
    module.TransformListener = lambda buffer, node: SimpleNamespace(unregister=lambda: None)
    monkeypatch.setitem(sys.modules, 'tf2_ros', module)
    return known


def stamped(age_s: float | None, x: float = 0.0) -> TransformStamped:
    """Return a transform with a stamp `age_s` ago, or a static one for None."""
    found = TransformStamped()
    if age_s is not None:
        found.header.stamp = Time(nanoseconds=NOW_NS - round(age_s * 1e9)).to_msg()
    found.transform.translation.x = x
    return found


@pytest.mark.parametrize(
    ('age_s', 'is_known'), [(None, True), (0.4, True), (0.6, False), (-1.0, True), (-5.0, False)]
)
def test_a_transform_holds_for_a_while(
    node: Node, tf: Any, age_s: float | None, is_known: bool
) -> None:
    """Tf keeps the last transform of a localisation that died, or from before a clock was set."""
    predictions = Predictions(node)
    tf['base', 'map'] = stamped(age_s, x=2.0)
    found = predictions.transform('base', 'map', Time(nanoseconds=NOW_NS))
    assert (found is not None) == is_known
    if found is not None:
        np.testing.assert_allclose(found([0.0, 0, 0]), [2, 0, 0])
    assert predictions.transform('base', 'camera', Time(nanoseconds=NOW_NS)) is None
    predictions.close()


def test_without_tf_no_transform_is_known(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'tf2_ros', None)
    assert Predictions(node).transform('base', 'map') is None
    assert Predictions(node).latest_in('base').reason is Reason.SILENT


def test_capsules_on_frames_of_tf() -> None:
    places = {'post': Rigid.identity(), 'upper': Rigid.of_pose([0, 0, 1, 0, 0, 0, 1])}
    state = FromTf(Mounted(ARM), lambda target, source: places.get(source))
    with pytest.raises(RobotError, match="tf has no current transform from 'lower' to 'base'"):
        state.capsules()
    places['lower'] = Rigid.of_pose([0, 0, 2, 0, 0, 0, 1])
    np.testing.assert_allclose(state.capsules().starts, [[0, 0, 0], [0, 0, 1], [0, 0, 2]])


def test_every_joint_has_to_be_told_lately(node: Node, planner: Any) -> None:
    state = FromJoints(node, RobotModel(ARM, URDF), silent_after_s=0.5)
    planner._executor.add_node(node)
    publisher = planner.create_publisher(JointState, 'joint_states', 10)

    def told(**joints: float) -> bool:
        publisher.publish(JointState(name=[*joints], position=[*joints.values()]))
        planner.spin(0.02)
        try:
            state.capsules()
        except RobotError as error:
            return 'elbow' not in str(error)
        return True

    assert not told(turn=0.0, shoulder=0.0)
    planner.wait_for(lambda: told(turn=0.0, shoulder=0.0, elbow=0.0), 'all joints are known')
    until_s = time.monotonic() + 0.6
    while time.monotonic() < until_s:
        told(turn=0.0, shoulder=0.0)
    with pytest.raises(RobotError, match='no joint states of elbow arrive'):
        state.capsules()
    planner._executor.remove_node(node)
    state.close()


def test_capsules_on_the_base_need_neither(node: Node, tmp_path: Path) -> None:
    path = tmp_path / 'capsules.yaml'
    path.write_text(
        'base: base\ncapsules: [{frame: base, start: [0, 0, 0], end: [0, 0, 1], radius_m: 0.1}]'
    )
    assert len(FromJoints(node, RobotModel(path), 0.1).capsules().radii) == 1
