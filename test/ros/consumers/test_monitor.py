"""The separation monitor as a process: it publishes 0 unless all its input is good."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ament_index_python.packages import get_package_share_directory
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64

from motion_predictor.msg import PredictedMotion, PredictedMotionArray
from motion_predictor.ros.node.outputs import flat, time_message
from motion_predictor.skeleton import known_layouts

ARM = Path(get_package_share_directory('motion_predictor')) / 'config' / 'demo_arm'
SMPL = known_layouts()['smpl22']
PERIOD_S = 0.03


class Cell:
    """Stands in for predictor and robot, and keeps the scales that the monitor publishes."""

    def __init__(self, planner: Any, stride: NDArray[np.float32]) -> None:
        self.planner, self._stride = planner, stride
        self.people: dict[str, float] = {}
        """Distance of each person from the arm, metres."""
        self.change: Any = lambda message: None
        self.publishes = self.moves = True
        self.scales: list[tuple[float, float]] = []
        self._predictions = planner.create_publisher(
            PredictedMotionArray, 'predicted_motion', QoSProfile(depth=1)
        )
        self._joints = planner.create_publisher(JointState, 'joint_states', 10)
        planner.create_subscription(
            Float64, 'speed_scale', lambda m: self.scales.append((time.monotonic(), m.data)), 50
        )

    def run(self, condition: Any, what: str, patience_s: float = 20.0) -> None:
        """Publish until a condition holds."""
        until = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < until, f'{what}: {self.scales[-3:]} {self.reason()}'
            if self.publishes:
                self._predictions.publish(self.message())
            if self.moves:
                names = ['turn', 'shoulder', 'elbow']
                self._joints.publish(JointState(name=names, position=[0.0, 0.5, 1.0]))
            self.planner.spin(PERIOD_S)

    def message(self) -> PredictedMotionArray:
        times = np.linspace(0.05, 1.0, 12, dtype=np.float32)
        message = PredictedMotionArray(layout='smpl22', joint_names=list(SMPL.joint_names))
        message.parents = list(SMPL.parents)
        message.num_samples, message.num_frames, message.num_joints = 3, len(times), 22
        message.times = flat(times)
        message.header.frame_id = 'map'
        message.header.stamp = time_message(self.planner.get_clock().now().nanoseconds)
        for person, way_m in self.people.items():
            mean = np.tile(self._stride + np.float32([0, way_m, 0]), (len(times), 1, 1))
            samples = np.stack([mean, mean, mean])
            motion = PredictedMotion(id=person, samples=flat(samples), mean=flat(mean))
            motion.radius = flat(np.full(mean.shape[:2], 0.1, np.float32))
            message.motions.append(motion)
        self.change(message)
        return message

    @property
    def scale(self) -> float:
        return self.scales[-1][1] if self.scales else -1.0

    def reason(self) -> str:
        return self._said()[-1].message if self._said() else ''

    def facts(self) -> dict[str, str]:
        return {pair.key: pair.value for status in self._said()[-1:] for pair in status.values}

    def _said(self) -> list[DiagnosticStatus]:
        return [s for d in self.planner.diagnostics for s in d.status if 'separation' in s.name]


def start_monitor(start: Any, *more: str) -> Any:
    given = (
        f'capsules_file:={ARM}/capsules.yaml',
        f'urdf_file:={ARM}/arm.urdf',
        'base_pose:=[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]',
        'silent_after_s:=0.2',  # a busy machine delays messages
        *more,
    )
    options = [part for value in given for part in ('-p', value)]
    return start('separation_monitor', '--ros-args', *options)


FAULTS = {
    'silent': lambda cell: setattr(cell, 'publishes', False),
    'the robot is silent': lambda cell: setattr(cell, 'moves', False),
    'stale': lambda cell: setattr(cell, 'change', aged(0.25)),
    'clock': lambda cell: setattr(cell, 'change', aged(-5.0)),
    'fault': lambda cell: setattr(cell, 'change', with_status(PredictedMotionArray.FAULT)),
    'unreadable': lambda cell: setattr(
        cell, 'change', with_status(PredictedMotionArray.STALE_INPUT)
    ),
    'malformed': lambda cell: setattr(
        cell, 'change', lambda message: setattr(message, 'num_frames', 3)
    ),
    'the distance to people is unknown': lambda cell: setattr(cell, 'change', spider),
    'no transform': lambda cell: setattr(
        cell, 'change', lambda message: setattr(message.header, 'frame_id', 'camera')
    ),
}


def aged(age_s: float) -> Any:
    def change(message: PredictedMotionArray) -> None:
        stamp = message.header.stamp
        then_ns = stamp.sec * 10**9 + stamp.nanosec - round(age_s * 1e9)
        message.header.stamp = time_message(then_ns)

    return change


def with_status(status: int) -> Any:
    return lambda message: setattr(message, 'status', status)


def spider(message: PredictedMotionArray) -> None:
    message.layout = 'spider'


def unfamiliar(message: PredictedMotionArray) -> None:
    """Mark all people as unfamiliar, with large radii. The samples stay as they are."""
    for motion in message.motions:
        motion.unfamiliar = True
        motion.radius = flat(np.full(len(motion.radius), 1.2, np.float32))


def test_it_stops_on_everything_that_is_not_known_to_be_good(
    planner: Any, start: Any, stride: NDArray[np.float32]
) -> None:
    cell = Cell(planner, stride)
    process = start_monitor(start, 'rise_per_s:=10.0')
    cell.run(lambda: cell.scale == 1, 'nobody is there')
    assert cell.scales[0][1] == 0, 'it starts from standing'
    cell.people = {'far': 6.0}
    for reason, break_it in FAULTS.items():
        cell.publishes = cell.moves = True
        cell.change = lambda message: None
        cell.run(lambda: cell.scale == 1, f'all is well again before {reason}')
        break_it(cell)
        cell.run(lambda: cell.scale == 0, reason)
        cell.run(lambda reason=reason: cell.reason().startswith(reason), f'it says {reason}')
    assert process.popen.poll() is None


def test_it_slows_for_whoever_is_near_and_rises_slowly(
    planner: Any, start: Any, stride: NDArray[np.float32]
) -> None:
    cell = Cell(planner, stride)
    start_monitor(start)
    cell.people = {'near': 1.2}
    cell.run(lambda: cell.scale > 0.3, 'it moves')
    cell.change = unfamiliar
    cell.run(lambda: cell.scale == 0, 'somebody unfamiliar is anywhere within the radius')
    cell.run(lambda: cell.facts().get('unfamiliar') == 'near', 'it says so')
    assert cell.reason() == 'watching', 'a person is no fault'
    cell.change = lambda message: None
    cell.people = {'near': 0.9}
    cell.run(lambda: 0 < cell.scale < 0.7, 'it slows')
    cell.people = {'near': 0.3}
    cell.run(lambda: cell.scale == 0, 'it stands')
    assert cell.reason() == 'watching', 'a person is no fault'
    cell.scales.clear()
    cell.people = {}
    cell.run(lambda: cell.scale == 1, 'it is alone')
    steps = np.diff(cell.scales, axis=0)
    assert (steps[:, 1] <= 0.5 * steps[:, 0] + 0.1).all(), 'it never jumps up'
    assert np.ptp([when for when, _ in cell.scales]) > 1.5


def test_whoever_is_not_predicted_stops_it_where_they_can_reach_it(
    planner: Any, start: Any, stride: NDArray[np.float32]
) -> None:
    cell = Cell(planner, stride)
    start_monitor(start, 'rise_per_s:=10.0', 'unpredicted_speed:=4.0')

    def lose(message: PredictedMotionArray) -> None:
        message.max_speed, message.status = 4.0, PredictedMotionArray.WARMING_UP
        for motion in message.motions:
            motion.status, motion.reach = PredictedMotion.WARMING_UP, 1.0
            motion.last_seen = message.header.stamp
            motion.place = np.float32([0, cell.people[motion.id], 1])
            motion.samples, motion.mean, motion.radius = [], [], []

    cell.change = lose
    cell.people = {'just come': 8.0}
    cell.run(lambda: cell.scale == 1, 'too far to be here in time')
    cell.people = {'just come': 3.0}
    cell.run(lambda: 0 < cell.scale < 0.7, 'slow enough to stop before they can be here')
    cell.people = {'just come': 1.5}
    cell.run(lambda: cell.scale == 0, 'it stands')
    assert cell.reason() == 'watching'
    cell.people = {'just come': 8.0}
    cell.run(lambda: cell.scale == 1, 'they went away')
    cell.change = lambda message: (lose(message), setattr(message, 'unlisted', 1))
    cell.run(lambda: cell.scale == 0, 'somebody may be anywhere')
    cell.run(lambda: cell.reason().startswith('warming up'), 'it says so')


@pytest.mark.parametrize(
    ('parameter', 'sentence'),
    [
        ("capsules_file:=''", "'capsules_file' to the file"),
        (
            'base_pose:=[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]',
            'a rotation needs a quaternion of length 1',
        ),
        ('stop_s:=-1.0', "'stop_s' must be a number with a point (1.0) from 0 to 10"),
        ('urdf_file:=/nowhere.urdf', 'No such file'),
        ("urdf_file:=''", 'tf2_ros'),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    planner: Any, start: Any, parameter: str, sentence: str
) -> None:
    process = start_monitor(start, parameter)
    planner.wait_for(lambda: sentence in process.output, sentence)
    assert 'cannot configure: ' in process.output
    assert 'Traceback' not in process.output


def test_without_a_known_frame_it_stands(
    planner: Any, start: Any, stride: NDArray[np.float32]
) -> None:
    cell = Cell(planner, stride)
    start_monitor(start, 'base_pose:=[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]')
    cell.run(lambda: cell.reason().startswith('no transform'), 'it says so')
    assert cell.scale == 0
    found = [s for d in planner.diagnostics for s in d.status if 'separation' in s.name]
    assert found[-1].level == DiagnosticStatus.ERROR
