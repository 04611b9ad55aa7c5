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
    """A source of the robot's present pose."""

    base: str
    """The frame of the capsules that `capsules` returns."""

    def capsules(self) -> Capsules:
        """Return the robot's capsules in its present pose.

        Raises:
            RobotError: if the pose is unknown.
        """

    def close(self) -> None:
        """Stop listening."""


class FromJoints:
    """Places the capsules by the messages on `joint_states`.

    Args:
        node: its executor handles the messages.
        model: model of the robot.
        silent_after_s: time without a message after which a joint's position counts as unknown
            (monotonic clock).
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
        # A message may have fewer positions than names.
        for name, position in zip(message.name, message.position, strict=False):
            self._positions[name], self._told_s[name] = position, now_s


class FromTf:
    """Places the capsules by frames in tf, for example from a robot_state_publisher.

    Args:
        mounted: the capsules.
        transform: called with (target, source); returns the transform from frame `source` to
            frame `target`, None if it is unknown.
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
        """Do nothing: this object has no subscription of its own."""
