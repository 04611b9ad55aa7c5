"""Fixtures for tests of nodes: real processes, real rclpy and real DDS, on a separate domain."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from ament_index_python.packages import get_package_prefix
from commands import NOISE
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from numpy.typing import NDArray
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from reading import FakeTf2
from rosgraph_msgs.msg import Clock

from motion_predictor.archive import MotionArchive, load_archive
from motion_predictor.msg import PredictedMotionArray, Skeleton, SkeletonArray
from motion_predictor.predictor import MotionPredictor
from motion_predictor.ros.node.outputs import flat, time_message
from motion_predictor.ros.tools.replay import open_archive
from motion_predictor.skeleton import Layout, known_layouts

Pose = NDArray[np.float32]
PATIENCE_S = 40.0
UNHURRIED = {'predictor': ['--ros-args', '-p', 'latency_budget_ms:=10000.0', '--']}
"""A large budget, so that no test fails on a busy machine. Tests of the budget set another."""
STATES = {
    State.PRIMARY_STATE_UNCONFIGURED: 'unconfigured',
    State.PRIMARY_STATE_INACTIVE: 'inactive',
    State.PRIMARY_STATE_ACTIVE: 'active',
    State.PRIMARY_STATE_FINALIZED: 'finalized',
    State.TRANSITION_STATE_CONFIGURING: 'configuring',
    State.TRANSITION_STATE_CLEANINGUP: 'cleaningup',
    State.TRANSITION_STATE_SHUTTINGDOWN: 'shuttingdown',
    State.TRANSITION_STATE_ACTIVATING: 'activating',
    State.TRANSITION_STATE_DEACTIVATING: 'deactivating',
    State.TRANSITION_STATE_ERRORPROCESSING: 'errorprocessing',
}
TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE,
    'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE,
    'cleanup': Transition.TRANSITION_CLEANUP,
    'shutdown': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
}


def executable(name: str) -> str:
    """Return the path of an installed executable."""
    return str(Path(get_package_prefix('motion_predictor')) / 'lib' / 'motion_predictor' / name)


@pytest.fixture(scope='session', autouse=True)
def own_domain() -> Iterator[None]:
    """Use a separate domain, so that no message enters from other processes or leaves to them."""
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture(scope='session', autouse=True)
def compiled() -> None:
    """Compile the engine before the tests, so that no node has to compile it."""
    MotionPredictor.load()


class Process:
    """A running executable of the package."""

    def __init__(self, name: str, *arguments: str, log: Path) -> None:
        self._log = log
        with log.open('wb') as output:
            self.popen = subprocess.Popen(
                [executable(name), *UNHURRIED.get(name, []), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        """Everything that the process has printed so far."""
        return self._log.read_text(errors='replace')

    @property
    def noise(self) -> list[str]:
        """What it should not have printed so far."""
        return NOISE.findall(self.output)

    def stop(self) -> int:
        """Interrupt the process and return its exit status."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
        return self.popen.wait(timeout=PATIENCE_S)


class Planner(Node):
    """Acts as a user's process: publishes skeletons and subscribes to predictions."""

    def __init__(self) -> None:
        super().__init__(f'planner_{time.monotonic_ns()}')
        self.received: list[PredictedMotionArray] = []
        self.diagnostics: list[DiagnosticArray] = []
        self.spoken_ns: list[int] = []
        """Times at which messages with people were published."""
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self._skeletons = self.create_publisher(
            SkeletonArray, 'skeletons', qos_profile_sensor_data
        )
        self._clock_publisher = self.create_publisher(Clock, '/clock', 10)
        self.create_subscription(
            PredictedMotionArray, 'predicted_motion', self.received.append, QoSProfile(depth=50)
        )
        self.create_subscription(DiagnosticArray, '/diagnostics', self.diagnostics.append, 10)

    def spin(self, seconds: float) -> None:
        """Handle the arriving messages for some seconds."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def wait_for(
        self, condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S
    ) -> None:
        """Handle the arriving messages until a condition holds."""
        until = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > until:
                seen = [(m.status, [(p.id, p.status) for p in m.motions]) for m in self.received]
                pytest.fail(f'{what}: not within {patience_s:g} s; last received: {seen[-5:]}')
            self._executor.spin_once(timeout_sec=0.05)

    def wait_for_node(self, name: str = 'predictor') -> None:
        """Wait until this test's node has discovered another node."""
        self.wait_for(lambda: name in self.get_node_names(), f'{name} is there')

    def call(self, kind: Any, service: str, request: Any, patience_s: float = PATIENCE_S) -> Any:
        """Call a service and return its response."""
        client = self.create_client(kind, service)
        try:
            self.wait_for(client.service_is_ready, f'{service} is there')
            future = client.call_async(request)
            self.wait_for(future.done, f'{service} answered', patience_s)
        finally:
            self.destroy_client(client)
        return future.result()

    def ask(self, kind: Any, service: str, request: Any) -> Any:
        """Call a service whose request may come twice, and return its response.

        If there is no response, the fixture asks again: the middleware may lose the response to a
        client that the service does not know yet.
        """
        try:
            return self.call(kind, service, request, patience_s=PATIENCE_S / 4)
        except pytest.fail.Exception:
            return self.call(kind, service, request)

    def state(self) -> str:
        """Return the predictor's lifecycle state."""
        response = self.ask(GetState, '/predictor/get_state', GetState.Request())
        return STATES[response.current_state.id]

    def transition(self, name: str) -> bool:
        """Ask the predictor for a transition and return whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[name]))
        return bool(self.call(ChangeState, '/predictor/change_state', request).success)

    def set_parameter(self, name: str, value: Any) -> Any:
        """Set a parameter of the predictor and return the result."""
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        return self.ask(SetParameters, '/predictor/set_parameters', request).results[0]

    def get_parameters(self, names: list[str]) -> Any:
        """Return values of the predictor's parameters."""
        request = GetParameters.Request(names=names)
        return self.ask(GetParameters, '/predictor/get_parameters', request).values

    def describe_parameters(self, names: list[str]) -> Any:
        """Return descriptors of the predictor's parameters."""
        request = DescribeParameters.Request(names=names)
        return self.ask(DescribeParameters, '/predictor/describe_parameters', request).descriptors

    def tell_time(self, nanoseconds: int) -> None:
        """Publish simulated time."""
        self._clock_publisher.publish(Clock(clock=time_message(nanoseconds)))

    def message(
        self, people: Mapping[str, Pose], layout: Layout | None = None, stamp_ns: int | None = None
    ) -> SkeletonArray:
        """Return the message of a tracker with poses (J, 3) by id, stamped now by default."""
        layout = layout or known_layouts()['smpl22']
        message = SkeletonArray(layout=layout.name, joint_names=list(layout.joint_names))
        now_ns = self.get_clock().now().nanoseconds if stamp_ns is None else stamp_ns
        message.header.stamp = time_message(now_ns)
        message.header.frame_id = 'map'
        message.skeletons = [
            Skeleton(id=person, positions=flat(pose)) for person, pose in people.items()
        ]
        return message

    def publish(self, message: SkeletonArray) -> None:
        """Publish a tracker's message."""
        if message.skeletons:
            self.spoken_ns.append(self.get_clock().now().nanoseconds)
        self._skeletons.publish(message)

    def stream(
        self,
        people: Mapping[str, Pose],
        seconds: float,
        rate_hz: float = 30.0,
        start: int = 0,
        source_hz: float = 60.0,
    ) -> int:
        """Play clips (T, J, 3) in real time and return the source frame after the last."""
        period_s = 1 / rate_hz
        due_s = time.monotonic()
        place = float(start)
        for _ in range(round(seconds * rate_hz)):
            frame = {person: clip[int(place) % len(clip)] for person, clip in people.items()}
            self.publish(self.message(frame))
            place += source_hz / rate_hz
            due_s += period_s
            self.spin(max(0.001, due_s - time.monotonic()))
        return round(place)

    def stream_until(
        self, people: Mapping[str, Pose], condition: Callable[[], Any], what: str, start: int = 0
    ) -> int:
        """Play on until a condition holds, and return the source frame after the last."""
        until = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > until:
                pytest.fail(f'{what}: not within {PATIENCE_S:g} s; there were {self.statuses()}')
            start = self.stream(people, seconds=0.2, start=start)
        return start

    def statuses(self, person: str | None = None) -> set[int]:
        """Return the received statuses of messages, or of one person."""
        if person is None:
            return {message.status for message in self.received}
        return {p.status for m in self.received for p in m.motions if p.id == person}

    def predictions(self, person: str) -> list[Any]:
        """Return the received predictions of one person."""
        return [p for m in self.received for p in m.motions if p.id == person and len(p.mean)]

    def rejections(self) -> dict[str, int]:
        """Return the predictor's latest count of rejections, by reason."""
        if not self.diagnostics:
            return {}
        values = self.diagnostics[-1].status[0].values
        return {
            pair.key.removeprefix('rejected: '): int(pair.value)
            for pair in values
            if pair.key.startswith('rejected: ')
        }


@pytest.fixture
def planner() -> Iterator[Planner]:
    gc.collect()  # otherwise services of an earlier test's node would still answer
    node = Planner()
    yield node
    node.destroy_node()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts executables and stops them at the end."""
    processes: list[Process] = []

    def run(name: str, *arguments: str) -> Process:
        process = Process(name, *arguments, log=tmp_path / f'{name}_{len(processes)}.log')
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.stop()
    assert [noise for process in processes for noise in process.noise] == []


@pytest.fixture(scope='module')
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A predictor with default parameters that all tests of a module share.

    The fixture fails if this predictor ends before the last of these tests.
    """
    process = Process('predictor', log=tmp_path_factory.mktemp('predictor') / 'predictor.log')
    yield process
    assert process.popen.poll() is None, f'the predictor ended by itself:\n{process.output}'
    assert process.stop() == 0
    assert 'Traceback' not in process.output
    assert 'inference thread failed' not in process.output
    assert process.noise == []


def clip_of(archive: MotionArchive, longest: int = 0) -> Pose:
    """Return the longest clip of an archive (`longest` 0), or the second longest (1), ..."""
    order = sorted(range(len(archive)), key=lambda index: -len(archive.clip(index)))
    return archive.clip(order[longest])


@pytest.fixture(scope='session')
def bundled() -> MotionArchive:
    return open_archive('bundled')


@pytest.fixture(params=['bundled', 'recorded'])
def motion(request: pytest.FixtureRequest) -> MotionArchive:
    """The bundled motion, and recorded motion if it is available."""
    if request.param == 'bundled':
        return open_archive('bundled')
    return load_archive(request.getfixturevalue('recorded') / 'test.npz')


@pytest.fixture
def tf2(monkeypatch: pytest.MonkeyPatch) -> FakeTf2:
    """A stand-in for tf2_ros."""
    fake = FakeTf2()
    monkeypatch.setitem(sys.modules, 'tf2_ros', fake)
    return fake


@pytest.fixture
def node() -> Iterator[Node]:
    """A node without an executor."""
    node = Node('listener')
    yield node
    node.destroy_node()
