"""Measures the time from message to prediction with the real node in another process."""

import itertools
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import TransitionEvent
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tqdm import tqdm

from motion_predictor.archive import MotionArchive
from motion_predictor.common.status import Status
from motion_predictor.msg import PredictedMotionArray
from motion_predictor.ros.common.processes import (
    end_on_sigterm,
    isolate,
    listening,
    running,
    seconds,
)
from motion_predictor.ros.tools.replay import ReplayNode, parse, poses

LOOK_S = 0.1
"""Time between checks whether the predictor has started."""
START_TIMEOUT_S = 900.0
"""The timeout is long, because an engine may have to be compiled first."""
DRAIN_S = 1.0
DIAGNOSTICS_PERIOD_S = 0.5
STAGE = re.compile(r'(.+) p50 / p99 / max \(ms\)')


@dataclass(frozen=True)
class Answer:
    """The status, the contents and the latencies of one message of the predictor."""

    stamp_s: float
    """Stamp of the observation that the message answers."""
    status: Status
    people: tuple[Status, ...]
    predicted: int
    samples: int
    published_ms: float
    """Time from the stamp of the observation (set when it is sent) until the node publishes."""
    received_ms: float
    """Time from the stamp of the observation until the message arrives in this process."""


class Listener(Node):
    """Records when the predictor becomes active, and records its messages and diagnostics."""

    def __init__(self) -> None:
        super().__init__('benchmark', enable_rosout=False)
        self.active = threading.Event()
        self.predicting = threading.Event()
        self.expected_people = 1
        """`predicting` is set when one message has at least this number of predictions."""
        self.answers: list[Answer] = []
        self.diagnostics: dict[str, str] = {}
        self.create_subscription(TransitionEvent, 'predictor/transition_event', self._on_event, 10)
        self.create_subscription(
            PredictedMotionArray, 'predicted_motion', self._on_prediction, QoSProfile(depth=10)
        )
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _on_event(self, event: TransitionEvent) -> None:
        if event.goal_state.label == 'active':
            self.active.set()

    def _on_prediction(self, message: PredictedMotionArray) -> None:
        stamp_s, now_s = seconds(message.header.stamp), time.time()
        # The event of the activation is lost if it was sent before the nodes found each other.
        self.active.set()
        predicted = sum(len(motion.mean) > 0 for motion in message.motions)
        self.answers.append(
            Answer(
                stamp_s=stamp_s,
                status=Status(message.status),
                people=tuple(Status(motion.status) for motion in message.motions),
                predicted=predicted,
                samples=message.num_samples,
                published_ms=1000 * (seconds(message.published) - stamp_s),
                received_ms=1000 * (now_s - stamp_s),
            )
        )
        if predicted >= self.expected_people:
            self.predicting.set()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.diagnostics = {pair.key: pair.value for pair in message.status[0].values}


def to_and_fro(
    archive: MotionArchive, clips: list[int], rate_hz: float, loop: bool
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the poses of the first clip forwards, then backwards, and so on without end.

    While these poses are replayed, nobody appears, disappears or jumps. Thus a status that is not
    OK is caused by the predictor.
    """
    way = [pose for _, pose in poses(archive, clips[:1], rate_hz, loop=False)]
    yield from (('someone', pose) for pose in itertools.cycle(way + way[-2:0:-1]))


@dataclass(frozen=True)
class Load:
    """The load that a measurement puts on the predictor."""

    archive: MotionArchive
    parameters: dict[str, Any]
    """Parameters of the node that differ from the defaults."""
    seconds: float
    """Duration of the measurement for each number of people."""
    busy: int = 0
    """Number of other processes that compute all the time on the same cores."""

    def people(self, count: int) -> ReplayNode:
        """Return a replay that publishes `count` people 30 times per second without end."""
        return ReplayNode(self.archive, parse(['--people', str(count)]), to_and_fro)


def measure(load: Load, crowds: Sequence[int]) -> list[dict[str, Any]]:
    """Measure the predictor node with each number of people in `crowds`.

    A new predictor is started for each number of people. If `crowds` contains 0, the measurement
    without people comes first. The measurement without people starts with an empty cache of
    compiled networks, and all later measurements use this cache. If `crowds` does not contain 0,
    all measurements use the user's cache.

    Returns:
        A dictionary for each number of people. Each dictionary holds the latencies and statuses of
        the answers, the node's own timings, the start-up times, and the use of memory and CPU.

    Raises:
        RuntimeError: if the predictor does not start, or ends early.
    """
    isolate()
    end_on_sigterm()
    rclpy.init()
    try:
        with tempfile.TemporaryDirectory(prefix='motion_predictor_') as folder:
            cache = Path(folder) if 0 in crowds else None
            counts = tqdm(sorted(crowds), desc='end to end, people', leave=False, disable=None)
            return [_run(load, people, cache) for people in counts]
    finally:
        rclpy.try_shutdown()


def _run(load: Load, people: int, cache: Path | None) -> dict[str, Any]:
    """Start a new predictor and measure it with one number of people."""
    listener = Listener()
    listener.expected_people = max(1, people)
    source = load.people(listener.expected_people)
    was_cold = cache is not None and not any(cache.iterdir())
    try:
        with listening(listener), _predictor(load.parameters, cache) as process:
            usage = psutil.Process(process.pid)
            start_up = _until_ready(listener, source, process)
            if not people:
                source.destroy_node()
                source = load.people(0)
            sent_before, before, since_s = source.published, _usage(usage), time.time()
            with _busy(load.busy):
                source.play(load.seconds)
            sent, after, until_s = source.published, _usage(usage), time.time()
            sent -= sent_before
            time.sleep(DRAIN_S)
            _require(process)
            answers = _between(listener.answers, since_s, until_s)
            diagnostics = listener.diagnostics
    finally:
        source.destroy_node()
        listener.destroy_node()
    return {
        'people': people,
        'start_up': {'cache': 'cold' if was_cold else 'warm', **start_up},
        'sent': sent,
        'unanswered': sent - len({a.stamp_s for a in answers}),
        'statuses': _counts(answer.status.name for answer in answers),
        'statuses_of_people': _counts(s.name for answer in answers for s in answer.people),
        'samples': _counts(str(answer.samples) for answer in answers if answer.predicted),
        # Use only answers that predict all people, because answers with fewer people take less
        # time.
        'received_ms': [a.received_ms for a in answers if a.predicted == people > 0],
        'published_ms': [a.published_ms for a in answers if a.predicted == people > 0],
        'stages': stages(diagnostics),
        'cpu_share': (after['cpu_s'] - before['cpu_s']) / (until_s - since_s),
        'memory_mb': {'start': before['memory_mb'], 'end': after['memory_mb']},
        'diagnostics': diagnostics,
    }


def _between(answers: Sequence[Answer], since_s: float, until_s: float) -> list[Answer]:
    """Return the answers to observations that were sent between `since_s` and `until_s`.

    After `until_s`, the node publishes messages that say that the input has stopped. Messages
    about stopped input repeat the stamp of the last observation and are left out.
    """
    found: dict[float, list[Answer]] = {}
    for answer in answers:
        same = found.setdefault(answer.stamp_s, [])
        if not same or answer.stamp_s + answer.received_ms / 1000 <= until_s:
            same.append(answer)
    return [a for stamp_s, same in found.items() if stamp_s >= since_s for a in same]


@contextmanager
def _predictor(
    parameters: dict[str, Any], cache: Path | None
) -> Iterator['subprocess.Popen[bytes]']:
    """Run the predictor. `cache` is the folder of compiled networks; None for the user's."""
    given = parameters | {'diagnostics_period_s': DIAGNOSTICS_PERIOD_S}
    options = [part for name, value in given.items() for part in ('-p', f'{name}:={value}')]
    names = ('XDG_CACHE_HOME', 'TORCHINDUCTOR_CACHE_DIR') if cache else ()
    caches = {name: str(cache) for name in names}
    with running('predictor', '--ros-args', *options, environment=caches) as process:
        yield process


@contextmanager
def _busy(processes: int) -> Iterator[None]:
    """Run `processes` other processes that compute all the time."""
    compute = f'import os\nwhile os.getppid() == {os.getpid()}: pass'
    with ExitStack() as ends:
        for _ in range(processes):
            process = ends.enter_context(subprocess.Popen([sys.executable, '-c', compute]))
            ends.callback(process.kill)
        yield


def _until_ready(
    listener: Listener, source: ReplayNode, process: 'subprocess.Popen[bytes]'
) -> dict[str, float]:
    """Replay until the best engine predicts all people. Return each stage's time, seconds.

    While another process makes the best engine, the predictor is slower than normal.
    """
    started_s = psutil.Process(process.pid).create_time()
    patience_s = time.time() + START_TIMEOUT_S
    reached = {}
    stages = {
        'active_s': listener.active.is_set,
        'predicting_s': listener.predicting.is_set,
        'engine_s': lambda: listener.diagnostics.get('engine in the making') == 'none',
    }
    for name, is_reached in stages.items():
        while not is_reached():
            source.play(LOOK_S)
            _require(process)
            if time.time() > patience_s:
                raise RuntimeError(f'the predictor did not start within {START_TIMEOUT_S:g} s')
        reached[name] = time.time() - started_s
    return reached


def _require(process: 'subprocess.Popen[bytes]') -> None:
    if process.poll() is not None:
        raise RuntimeError(f'the predictor ended with status {process.returncode}')


def _usage(process: psutil.Process) -> dict[str, float]:
    times = process.cpu_times()
    return {'cpu_s': times.user + times.system, 'memory_mb': process.memory_info().rss / 1e6}


def _counts(names: Iterator[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def stages(diagnostics: dict[str, str]) -> dict[str, dict[str, float]]:
    """Return the node's own timings of its last 1000 predictions, by stage, ms."""
    found = {}
    for key, value in diagnostics.items():
        if match := STAGE.fullmatch(key):
            p50, p99, most = map(float, value.split(' / '))
            found[match[1]] = {'median_ms': p50, 'p99_ms': p99, 'max_ms': most}
    return found
