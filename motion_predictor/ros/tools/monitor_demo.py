"""The demo of the separation monitor: an arm repeats a motion and slows down for people.

The predictor and the monitor run as separate processes. Two more arms repeat the same motion
beside the same people. The second arm assumes that people approach at 1.6 m/s, the speed of ISO
13855. The third arm assumes that people stand still.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64
from tabulate import tabulate

from motion_predictor.archive import open_archive
from motion_predictor.common.terminal import say, say_written
from motion_predictor.msg import SkeletonArray
from motion_predictor.planning.flesh import Limbs
from motion_predictor.ros.common.processes import listening, running
from motion_predictor.ros.tools.replay import ReplayNode, choose_clips
from motion_predictor.ros.tools.rival_arms import (
    CAPSULES,
    PREDICTED,
    SILENT_S,
    URDF,
    RivalArms,
    arm_model,
    arm_robot,
    place_of,
)
from motion_predictor.ros.tools.simulated_arm import posture

PERIOD_S = 0.02
LOOK_S = 0.2
START_TIMEOUT_S = 300.0


class Cell(Node):
    """Connects the arms to ROS: reads skeletons and the speed scale, publishes joint states."""

    def __init__(self, arms: RivalArms) -> None:
        super().__init__('simulated_arm')
        self.arms = arms
        self._told_s = float('-inf')
        self.scale = 0.0
        self.measuring = False
        self._joints = self.create_publisher(JointState, 'joint_states', 10)
        self.create_subscription(
            SkeletonArray, 'skeletons', self._on_skeletons, qos_profile_sensor_data
        )
        self.create_subscription(Float64, 'speed_scale', self._on_scale, 1)
        self._before_s = time.monotonic()
        self.create_timer(PERIOD_S, self._step)

    def begin(self) -> None:
        """Start all arms with the same speed scale, and start measuring."""
        self.arms.begin(self.scale)
        self.measuring = True

    def _on_skeletons(self, message: SkeletonArray) -> None:
        limbs = Limbs.of(message.layout, tuple(message.joint_names))
        poses = {s.id: np.array(s.positions, np.float32) for s in message.skeletons}
        poses = {name: pose.reshape(-1, 3) for name, pose in poses.items()}
        self.arms.see(poses, limbs, time.monotonic())

    def _on_scale(self, message: Float64) -> None:
        self.scale, self._told_s = message.data, time.monotonic()

    def _step(self) -> None:
        now_s = time.monotonic()
        spent_s, self._before_s = now_s - self._before_s, now_s
        if now_s - self._told_s > SILENT_S:
            self.scale = 0.0
        state = JointState(name=[*posture(0.0)])
        state.header.stamp = self.get_clock().now().to_msg()
        state.position = [*posture(self.arms.arms[PREDICTED].phase_s).values()]
        self._joints.publish(state)
        if self.measuring:
            self.arms.step(self.scale, now_s, spent_s)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Play the archive beside the arms, and return the results of each arm.

    With the page in the browser, the archive is played again and again until an interrupt.

    Raises:
        RuntimeError: if the predictor or the monitor does not start.
    """
    archive = open_archive(arguments.archive)
    place = place_of(archive, choose_clips(archive, arguments.clip))
    model = arm_model()
    robot = arm_robot(model)
    turn = np.arctan2(place.rotation[1, 0], place.rotation[0, 0]) / 2
    base = [*map(float, place.translation), 0.0, 0.0, float(np.sin(turn)), float(np.cos(turn))]
    parameters = {
        'capsules_file': CAPSULES,
        'urdf_file': URDF,
        'base_pose': base,
        'robot_speed': robot.speed_m_per_s,
        'stop_s': robot.stop_s,
        'stop_m': robot.stop_m,
        'silent_after_s': SILENT_S,
    }
    given = [part for name, value in parameters.items() for part in ('-p', f'{name}:={value}')]
    chosen = ('checkpoint', 'backend')
    predictor = [f'{name}:={getattr(arguments, name)}' for name in chosen]
    predictor = [part for value in predictor for part in ('-p', value)]
    cell = Cell(RivalArms(place, model, robot))
    options = vars(arguments) | {'frame': 'map'}
    nobody = ReplayNode(archive, argparse.Namespace(**options | {'people': 0, 'loop': True}))
    with (
        listening(cell),
        running('predictor', '--ros-args', *predictor),
        running('separation_monitor', '--ros-args', *given),
    ):
        until = time.monotonic() + START_TIMEOUT_S
        while cell.scale < 1:  # nobody is present yet, so the scale rises to 1
            if time.monotonic() > until:
                raise RuntimeError(f'the arm did not move within {START_TIMEOUT_S:g} s')
            nobody.play(LOOK_S)
        nobody.destroy_node()
        people = ReplayNode(archive, argparse.Namespace(**options | {'loop': arguments.view}))
        cell.begin()
        people.play()
        cell.measuring = False
        people.destroy_node()
    return cell.arms.report()


def show(result: dict[str, Any], out: Path) -> None:
    """Print the results of the arms, and write these results to a file."""
    names = list(next(iter(result.values())))
    rows = [[arm, *(figures[name] for name in names)] for arm, figures in result.items()]
    say(tabulate(rows, ['How the arm gives way to people, with', *names], 'github', '.2f'))
    say(
        'The motion and the people are the same each time. A person may touch an arm that '
        'stands still.'
    )
    out.mkdir(parents=True, exist_ok=True)
    path = out / 'monitor.json'
    path.write_text(json.dumps(result, indent=2) + '\n')
    say_written(path)
