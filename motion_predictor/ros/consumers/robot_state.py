"""Finds where the robot's capsules are now, from joint states and a URDF, or from tf."""

import time
from collections.abc import Callable
from typing import Protocol

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState

from motion_predictor.common.rigid import Rigid
from motion_predictor.planning.capsules import Capsules
from motion_predictor.planning.robot import Mounted, RobotError, RobotModel


class RobotState(Protocol):
    """Any source of the robot's present pose."""

    base: str
    """The frame of the capsules that `capsules` returns."""

    def capsules(self) -> Capsules:
        """Return the robot's capsules in its present pose.

        Raises:
            RobotError: if the robot's pose is unknown.
        """

    def close(self) -> None:
        """Stop listening."""


class FromJoints:
    """Computes the positions of the robot's capsules from the messages on `joint_states`.

    Args:
        node: node whose executor handles the messages.
        model: kinematic model of the robot, with its capsules.
        silent_after_s: time without a message after which the position of a joint counts as
            unknown, seconds of the monotonic clock.
    """

    def __init__(self, node: Node, model: RobotModel, silent_after_s: float) -> None:
        self.base = model.base
        self._node, self._model, self._silent_after_s = node, model, silent_after_s
        self._positions: dict[str, float] = {}
        self._told_s: dict[str, float] = {}
        self._subscription = node.create_subscription(
            JointState, 'joint_states', self._on_joints, qos_profile_sensor_data
        )

    def capsules(self) -> Capsules:
        """Return the capsules in the present pose; see `RobotState`."""
        oldest_s = time.monotonic() - self._silent_after_s
        names = self._model.joint_names
        silent = [name for name in names if self._told_s.get(name, float('-inf')) < oldest_s]
        if silent:
            raise RobotError(f'the robot is silent: no joint states of {", ".join(silent)} arrive')
        return self._model.at(self._positions)

    def close(self) -> None:
        """Stop listening."""
        self._node.destroy_subscription(self._subscription)

    def _on_joints(self, message: JointState) -> None:
        now_s = time.monotonic()
        # A JointState may have fewer positions than names.
        for name, position in zip(message.name, message.position, strict=False):
            self._positions[name], self._told_s[name] = position, now_s


class FromTf:
    """Computes the positions of the robot's capsules from tf (robot_state_publisher).

    Args:
        mounted: the robot's capsules, each fixed to a frame of tf.
        transform: function of (target, source) that returns the transform from frame `source` to
            frame `target`, or None if tf does not know it.
    """

    def __init__(self, mounted: Mounted, transform: Callable[[str, str], Rigid | None]) -> None:
        self.base = mounted.base
        self._mounted, self._transform = mounted, transform

    def capsules(self) -> Capsules:
        """Return the capsules in the present pose; see `RobotState`."""
        places = {}
        for frame in self._mounted.frames:
            here = frame == self.base
            place = Rigid.identity() if here else self._transform(self.base, frame)
            if place is None:
                raise RobotError(
                    'the place of the robot is unknown: tf has no current transform from '
                    f"'{frame}' to '{self.base}'"
                )
            places[frame] = place
        return self._mounted.at(places)

    def close(self) -> None:
        """Do nothing, because this object has no subscription of its own."""
