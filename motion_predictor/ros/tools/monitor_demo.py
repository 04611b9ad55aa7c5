"""The demo of the monitor: an arm repeats a motion and slows down for recorded people.

Replay, predictor and monitor are separate processes. Two more arms do the same motion beside the
same people: one assumes that people approach at the 1.6 m/s of ISO, the other that they stay where
they are.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64
from tabulate import tabulate

from motion_predictor.archive import MotionArchive, open_archive
from motion_predictor.common.installed import installed
from motion_predictor.common.rigid import Rigid
from motion_predictor.msg import SkeletonArray
from motion_predictor.planning.flesh import Limbs
from motion_predictor.planning.robot import RobotModel
from motion_predictor.planning.separation import Governor, Robot, walking
from motion_predictor.ros.common.processes import listening, running
from motion_predictor.ros.tools.simulated_arm import (
    STOP_S,
    SimulatedArm,
    apart_m,
    full_speed_m_per_s,
    posture,
)
from motion_predictor.uncertainty.reach import BODY_M_S

ARM = installed('config', 'demo_arm')
ASIDE_M = 1.1
"""Distance of the arm from the middle of the path that somebody walks."""
PERIOD_S = 0.02
SILENT_S = 0.12
"""Recorded people come 30 times a second without delay, so after this time more than three
messages are missing."""
START_TIMEOUT_S = 300.0
PREDICTED, ISO, STANDING = 'predicted', 'ISO, 1.6 m/s', 'zero velocity'


class Cell(Node):
    """The three arms, and the people beside them."""

    def __init__(self, place: Rigid, robot: Robot) -> None:
        super().__init__('simulated_arm')
        model = RobotModel(ARM / 'capsules.yaml', (ARM / 'arm.urdf').read_text())
        self.arms = {name: SimulatedArm(model) for name in (PREDICTED, ISO, STANDING)}
        self._governors = {name: Governor() for name in (ISO, STANDING)}
        self._to_base, self._robot = place.inverse, robot
        self._poses: list[Any] = []
        self._limbs: Limbs | None = None
        self._seen_s = self._told_s = float('-inf')
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
        """Start all arms and their figures at the same scale."""
        for governor in self._governors.values():
            governor.scale = self.scale
        self.measuring = True

    def _on_skeletons(self, message: SkeletonArray) -> None:
        if message.skeletons and self._limbs is None:
            self._limbs = Limbs.of(message.layout, tuple(message.joint_names))
        poses = [np.array(s.positions, np.float32).reshape(-1, 3) for s in message.skeletons]
        self._poses = [self._to_base(pose) for pose in poses]
        self._seen_s = time.monotonic()

    def _on_scale(self, message: Float64) -> None:
        self.scale, self._told_s = message.data, time.monotonic()

    def _step(self) -> None:
        now_s = time.monotonic()
        spent_s, self._before_s = now_s - self._before_s, now_s
        if now_s - self._told_s > SILENT_S:
            self.scale = 0.0
        state = JointState(name=[*posture(0.0)])
        state.header.stamp = self.get_clock().now().to_msg()
        state.position = [*posture(self.arms[PREDICTED].phase_s).values()]
        self._joints.publish(state)
        if not self.measuring:
            return
        span_s = self._robot.reaction_s + self._robot.stop_s
        for name, arm in self.arms.items():
            nearest = apart_m(self._poses, self._limbs, arm.capsules) if self._limbs else math.inf
            commanded = self.scale
            if name != PREDICTED:
                speed = BODY_M_S if name == ISO else 0.0
                allowed = self._robot.allowed(*walking(nearest, span_s, speed))
                seen = now_s - self._seen_s <= SILENT_S
                commanded = self._governors[name].update(allowed if seen else 0.0, now_s)
            arm.step(commanded, spent_s)
            arm.met(nearest, spent_s)


def place_of(archive: MotionArchive) -> Rigid:
    """Return where the arm stands: beside the path of the person who walks farthest, facing it."""
    clips = [archive.clip(i) for i in range(len(archive))]
    walk = max(clips, key=lambda clip: float(np.linalg.norm(np.ptp(clip[:, 0, :2], axis=0))))
    way = walk[-1, 0, :2] - walk[0, 0, :2]
    way = way / max(float(np.linalg.norm(way)), 1e-6)
    aside = np.array([-way[1], way[0]])
    middle = walk[len(walk) // 2, 0, :2] + ASIDE_M * aside
    angle = math.atan2(-aside[1], -aside[0])
    pose = [*middle, float(walk[..., 2].min()), 0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2)]
    return Rigid.of_pose([float(number) for number in pose])


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Play the archive beside the arms and return how each fared.

    Raises:
        RuntimeError: if the predictor or the monitor does not start.
    """
    place = place_of(open_archive(arguments.archive))
    model = RobotModel(ARM / 'capsules.yaml', (ARM / 'arm.urdf').read_text())
    speed = full_speed_m_per_s(model)
    robot = Robot(speed, stop_s=STOP_S, stop_m=speed * STOP_S / 2)
    cell = Cell(place, robot)
    options = [f'--clip={arguments.clip}', f'--rate={arguments.rate}']
    options += [f'--people={arguments.people}']
    turn = np.arctan2(place.rotation[1, 0], place.rotation[0, 0]) / 2
    base = [*map(float, place.translation), 0.0, 0.0, float(np.sin(turn)), float(np.cos(turn))]
    parameters = {
        'capsules_file': ARM / 'capsules.yaml',
        'urdf_file': ARM / 'arm.urdf',
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
    with (
        listening(cell),
        running('predictor', '--ros-args', *predictor),
        running('separation_monitor', '--ros-args', *given),
    ):
        with running('replay', '--people=0', '--loop'):
            until = time.monotonic() + START_TIMEOUT_S
            while cell.scale < 1:  # nobody is there yet, so the scale rises to 1
                if time.monotonic() > until:
                    raise RuntimeError(f'the arm did not move within {START_TIMEOUT_S:g} s')
                time.sleep(0.1)
        with running('replay', arguments.archive, *options) as replay:
            cell.begin()
            while replay.poll() is None:
                time.sleep(0.1)
            cell.measuring = False
    return {name: arm.report() for name, arm in cell.arms.items()}


def show(result: dict[str, Any], out: Path) -> None:
    """Print the figures and write them."""
    names = list(next(iter(result.values())))
    rows = [[arm, *(figures[name] for name in names)] for arm, figures in result.items()]
    print(tabulate(rows, ['the arm gives way to people as', *names], 'github', '.2f'))
    print('the same motion beside the same people; a person may touch an arm that stands')
    out.mkdir(parents=True, exist_ok=True)
    path = out / 'monitor.json'
    path.write_text(json.dumps(result, indent=2) + '\n')
    print(f'\n{path}')
