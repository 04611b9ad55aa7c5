"""Finds the robot's pose for drawing, from the monitor's parameters and from joint states."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64

from motion_predictor.common.rigid import Rigid
from motion_predictor.planning.robot import RobotError, RobotModel
from motion_predictor.view.moment import Robot

ASK_S = 2.0
"""Period of the search for a separation monitor."""
SILENT_S = 0.5
PARAMETERS = ('capsules_file', 'urdf_file', 'base_pose')


class MonitoredRobot:
    """Returns the pose of the robot while a separation monitor runs on this machine.

    Args:
        node: node whose executor handles the messages.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._model: RobotModel | None = None
        self._base: Rigid | None = None
        self._positions: dict[str, float] = {}
        self._scale, self._told_s = float('nan'), float('-inf')
        self._client: Any = node.create_client(GetParameters, 'separation_monitor/get_parameters')
        node.create_subscription(
            JointState, 'joint_states', self._on_joints, qos_profile_sensor_data
        )
        node.create_subscription(Float64, 'speed_scale', self._on_scale, 1)
        node.create_timer(ASK_S, self._ask)

    def now(self) -> Robot | None:
        """Return the robot in its present pose; None if no monitor runs or the pose is unknown."""
        if self._model is None or self._base is None:
            return None
        try:
            capsules = self._model.at(self._positions)
        except RobotError:
            return None
        recent = time.monotonic() - self._told_s < SILENT_S
        return Robot(capsules.moved(self._base), self._scale if recent else float('nan'))

    def _ask(self) -> None:
        if not self._client.service_is_ready():
            self._model = None
        elif self._model is None:
            request = GetParameters.Request(names=PARAMETERS)
            self._client.call_async(request).add_done_callback(self._on_answer)

    def _on_answer(self, answer: Any) -> None:
        values: list[Any] = [parameter_value_to_python(value) for value in answer.result().values]
        if len(values) != len(PARAMETERS) or not values[0] or not np.any(values[2]):
            return
        capsules, urdf, pose = values
        try:
            self._base = Rigid.of_pose(pose)
            self._model = RobotModel(Path(capsules), Path(urdf).read_text() if urdf else '')
        except (RobotError, ValueError, OSError) as error:
            self._node.get_logger().warning(
                f'the robot of the monitor cannot be drawn: {error}', throttle_duration_sec=30.0
            )

    def _on_joints(self, message: JointState) -> None:
        self._positions |= dict(zip(message.name, message.position, strict=False))

    def _on_scale(self, message: Float64) -> None:
        self._scale, self._told_s = message.data, time.monotonic()
