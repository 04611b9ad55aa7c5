"""Faults stop an arm: predictor and monitor are separate processes beside the arm.

The tests assert that the arm stops, with patience for busy machines. The tests do not assert how
long stopping takes. The tests print this time (`pytest -s`) and write it into the test report.
"""

import itertools
import time
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64

from motion_predictor.archive import MotionArchive
from motion_predictor.msg import Skeleton
from motion_predictor.planning.robot import RobotModel
from motion_predictor.planning.separation import Governor
from motion_predictor.ros.common.processes import listening
from motion_predictor.ros.tools.rival_arms import ARM, SILENT_S
from motion_predictor.ros.tools.simulated_arm import STOP_S, SimulatedArm, posture

PERIOD_S = 1 / 30
PATIENCE_S = 2.0
"""For a busy machine. On an idle machine the arm stands after 0.3 s."""
AWAY_M = 4.0


class ArmNode(Node):
    """An arm that follows speed_scale at once, and stands while speed_scale is silent."""

    def __init__(self) -> None:
        super().__init__('arm')
        self.arm = SimulatedArm(RobotModel(ARM / 'capsules.yaml', (ARM / 'arm.urdf').read_text()))
        self.scale, self._told_s, self._before_s = 0.0, 0.0, time.monotonic()
        self.told: list[tuple[float, float]] = []
        self.speeds: list[tuple[float, float]] = []
        self._joints = self.create_publisher(JointState, 'joint_states', 10)
        self.create_subscription(Float64, 'speed_scale', self._on_scale, 10)
        self.create_timer(0.01, self._step)

    def _on_scale(self, message: Float64) -> None:
        self._told_s, self.scale = time.monotonic(), message.data
        self.told.append((self._told_s, self.scale))

    def _step(self) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s > SILENT_S:
            self.scale = 0.0
        self.arm.step(self.scale, now_s - self._before_s)
        self._before_s = now_s
        self.speeds.append((now_s, self.arm.speed))
        joints = posture(self.arm.phase_s)
        self._joints.publish(JointState(name=[*joints], position=[*joints.values()]))


class Cell:
    """A tracker that reports a person who walks at some distance from the arm."""

    def __init__(
        self, planner: Any, arm: ArmNode, clip: Any, kill: Any, report: Callable[..., None]
    ) -> None:
        self.planner, self.arm, self.kill_predictor, self._report = planner, arm, kill, report
        self._frames = itertools.cycle(clip)
        self.sends = True
        self.change: Callable[[Any], None] = lambda message: None
        self.offset_ns = 0
        """Difference of the stamps from the node's clock."""
        self.time_ns: int | None = None
        """Simulated time; None without simulation."""

    def run(self, until: Callable[[], Any], what: str, patience_s: float = 240.0) -> None:
        """Let the tracker run until a condition holds."""
        end_s, due_s = time.monotonic() + patience_s, time.monotonic()
        while not until():
            assert time.monotonic() < end_s, f'{what}: not within {patience_s:g} s; {self.said()}'
            if self.time_ns is not None:
                self.time_ns += round(PERIOD_S * 1e9)
                self.planner.tell_time(self.time_ns)
            now_ns = self.time_ns or self.planner.get_clock().now().nanoseconds
            pose = next(self._frames)
            next(self._frames)  # the clip has 60 Hz, the tracker 30 Hz
            if self.sends:
                message = self.planner.message({'guest': pose}, stamp_ns=now_ns + self.offset_ns)
                self.change(message)
                self.planner.publish(message)
            due_s += PERIOD_S
            self.planner.spin(max(0.001, due_s - time.monotonic()))

    def said(self) -> str:
        """Return the last diagnostics message of the monitor."""
        found = [s for d in self.planner.diagnostics for s in d.status if 'separation' in s.name]
        return found[-1].message if found else 'nothing'

    def moves(self) -> None:
        """Run without faults until the arm moves. On a busy machine the arm may stay slow."""
        self.sends, self.change, self.offset_ns = True, lambda message: None, 0
        self.run(lambda: self.arm.arm.speed > 0.3, 'the arm moves')

    def stops(self, name: str, fault: Callable[[], Any], for_good: bool = True) -> None:
        """Check that a fault stops the arm, and report how long it took."""
        self.moves()
        fault()
        since_s = time.monotonic()
        self.run(lambda: self.arm.arm.speed == 0, f'it stands: {name}', PATIENCE_S)
        told, stood = (
            1000 * (next(t for t, value in log if t > since_s and value == 0) - since_s)
            for log in (self.arm.told, self.arm.speeds)
        )
        self._report(name, told, stood)
        if not for_good:
            return
        self.run(lambda: time.monotonic() > since_s + PATIENCE_S, 'it goes on standing', 60.0)
        assert not any(value for t, value in self.arm.told if t > since_s + stood / 1000)

    def never_jumped(self) -> None:
        """Check that the scale that the arm received never rose fast."""
        times, scales = np.array(self.arm.told).T
        assert np.diff(scales).max() <= 0.5 * Governor().asleep_after_s + 1e-9
        standing = np.flatnonzero(scales == 0)
        for fast in np.flatnonzero((scales[1:] > 0.3) & (scales[:-1] <= 0.3)) + 1:
            took_s = times[fast] - times[standing[standing < fast][-1]]
            assert took_s > 0.4, 'at half of full speed a second it takes 0.6 s'


@pytest.fixture
def cell(
    planner: Any, start: Any, bundled: MotionArchive, record_property: Any
) -> Iterator[Callable[..., Cell]]:
    """Starts a predictor and a monitor, and returns the tracker with the arm."""
    arm = ArmNode()
    clip = bundled.clip(0)
    clip = clip - clip[:1, :1] * [1, 1, 0] + [0, AWAY_M, 0]

    def report(name: str, told_ms: float, stood_ms: float) -> None:
        record_property(name, f'told {told_ms:.0f} ms, stood {stood_ms:.0f} ms')
        print(f'\n{name}: told to stop after {told_ms:.0f} ms, stood after {stood_ms:.0f} ms')

    def make(*more: str) -> Cell:
        common = [part for value in more for part in ('-p', value)]
        eager = ('-p', 'backend:=eager')  # eager needs no compilation before the start
        predictor = start('predictor', '--ros-args', '-p', 'samples:=8', *eager, *common)
        given = (
            f'capsules_file:={ARM}/capsules.yaml',
            f'urdf_file:={ARM}/arm.urdf',
            'base_pose:=[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]',
            f'stop_s:={STOP_S}',
        )
        parameters = [part for value in given for part in ('-p', value)]
        start('separation_monitor', '--ros-args', *parameters, *common)
        return Cell(planner, arm, clip.astype(np.float32), predictor.popen.kill, report)

    with listening(arm):
        yield make
    arm.destroy_node()


def unreadable(message: Any) -> None:
    message.skeletons[0].positions[:] = array('f', [float('inf')] * 66)


def somebody_new(message: Any) -> None:
    """Let a person appear beside the arm who cannot be predicted yet."""
    guest = np.array(message.skeletons[0].positions, np.float32).reshape(-1, 3)
    here = guest - guest[:1] * [1, 1, 0] + np.float32([0.4, 0, 0])
    message.skeletons.append(Skeleton(id='new', positions=array('f', here.ravel().tolist())))


def test_what_goes_wrong_stops_the_arm(cell: Callable[..., Cell]) -> None:
    cell = cell()
    faults: dict[str, Callable[[], Any]] = {
        'the tracker stops': lambda: setattr(cell, 'sends', False),
        'an unreadable person': lambda: setattr(cell, 'change', unreadable),
        'stamps jump ahead': lambda: setattr(cell, 'offset_ns', 10**10),
        'stamps jump back': lambda: setattr(cell, 'offset_ns', -(10**10)),
        'the predictor is killed': cell.kill_predictor,
    }
    cell.stops('somebody new', lambda: setattr(cell, 'change', somebody_new), for_good=False)
    for name, fault in faults.items():
        cell.stops(name, fault)
    cell.never_jumped()


@pytest.mark.parametrize('jump_s', [100, -100])
def test_a_jump_of_ros_time_stops_the_arm(cell: Callable[..., Cell], jump_s: int) -> None:
    cell = cell('use_sim_time:=true')
    cell.time_ns = 1000 * 10**9

    def jump() -> None:
        assert cell.time_ns is not None
        cell.time_ns += jump_s * 10**9

    cell.stops(f'ROS time jumps by {jump_s} s', jump, for_good=False)
    cell.never_jumped()
