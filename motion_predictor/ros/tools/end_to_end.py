"""Times from message to prediction: the real node in another process, timed from this one."""

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
"""Time between looks at whether the predictor has started."""
START_TIMEOUT_S = 900.0
"""An engine may have to be compiled first."""
DRAIN_S = 1.0
DIAGNOSTICS_PERIOD_S = 0.5
STAGE = re.compile(r'(.+) p50 / p99 / max \(ms\)')


@dataclass(frozen=True)
class Answer:
    """A message of the predictor, as it arrived here."""

    stamp_s: float
    """Stamp of the observation that it answers."""
    status: Status
    people: tuple[Status, ...]
    predicted: int
    samples: int
    published_ms: float
    """From the stamp of the observation (set when it is sent) until the node publishes."""
    received_ms: float
    """From the same stamp until the arrival here."""


class Listener(Node):
    """Records when the predictor becomes active, what it publishes, and its diagnostics."""

    def __init__(self) -> None:
        super().__init__('benchmark', enable_rosout=False)
        self.active = threading.Event()
        self.predicting = threading.Event()
        self.expected_people = 1
        """Number of predictions in one message that sets `predicting`."""
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
        self.active.set()  # the event is lost if the node was faster than discovery
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
    """Yield the poses of the first clip forwards and backwards, without end.

    Nobody comes, goes or jumps. So a status that is not OK is due to the predictor.
    """
    way = [pose for _, pose in poses(archive, clips[:1], rate_hz, loop=False)]
    yield from (('someone', pose) for pose in itertools.cycle(way + way[-2:0:-1]))


@dataclass(frozen=True)
class Load:
    """The load of the predictor."""

    archive: MotionArchive
    parameters: dict[str, Any]
    """Parameters of the node that differ from the defaults."""
    seconds: float
    """Duration of the measurement for each number of people."""
    busy: int = 0
    """Number of processes that compute all the time on the same cores."""

    def people(self, count: int) -> ReplayNode:
        """Return a source of so many people, 30 times a second, without end."""
        return ReplayNode(self.archive, parse(['--people', str(count)]), to_and_fro)


def measure(load: Load, crowds: Sequence[int]) -> list[dict[str, Any]]:
    """Measure the node with each of these numbers of people.

    Every number of people has a new predictor. If 0 people are among them, they come first, with
    an empty cache that the others then use. Otherwise the cache is that of the user.

    Returns:
        for each number of people the answers, the node's own account of its time, the start-up
        and the use of memory and processor.

    Raises:
        RuntimeError: if the predictor does not start, or ends.
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
    """Measure one number of people with a new predictor."""
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
        # Only answers that predict everybody: others need less time.
        'received_ms': [a.received_ms for a in answers if a.predicted == people > 0],
        'published_ms': [a.published_ms for a in answers if a.predicted == people > 0],
        'stages': stages(diagnostics),
        'cpu_share': (after['cpu_s'] - before['cpu_s']) / (until_s - since_s),
        'memory_mb': {'start': before['memory_mb'], 'end': after['memory_mb']},
        'diagnostics': diagnostics,
    }


def _between(answers: Sequence[Answer], since_s: float, until_s: float) -> list[Answer]:
    """Return the answers to what was sent in a time.

    Afterwards the node says again that the input has stopped, which answers nothing.
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
    """Run the node with these parameters and this cache for compiled networks."""
    given = parameters | {'diagnostics_period_s': DIAGNOSTICS_PERIOD_S}
    options = [part for name, value in given.items() for part in ('-p', f'{name}:={value}')]
    names = ('XDG_CACHE_HOME', 'TORCHINDUCTOR_CACHE_DIR') if cache else ()
    caches = {name: str(cache) for name in names}
    with running('predictor', '--ros-args', *options, environment=caches) as process:
        yield process


@contextmanager
def _busy(processes: int) -> Iterator[None]:
    """Have so many processes compute all the time meanwhile."""
    compute = f'import os\nwhile os.getppid() == {os.getpid()}: pass'
    with ExitStack() as ends:
        for _ in range(processes):
            process = ends.enter_context(subprocess.Popen([sys.executable, '-c', compute]))
            ends.callback(process.kill)
        yield


def _until_ready(
    listener: Listener, source: ReplayNode, process: 'subprocess.Popen[bytes]'
) -> dict[str, float]:
    """Play until everyone is predicted by the best engine; return the seconds since the start.

    What is measured while another process makes that engine says nothing of the time afterwards.
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
    """Return the node's own timings (ms) by stage, of its last 1000 predictions at most."""
    found = {}
    for key, value in diagnostics.items():
        if match := STAGE.fullmatch(key):
            p50, p99, most = map(float, value.split(' / '))
            found[match[1]] = {'median_ms': p50, 'p99_ms': p99, 'max_ms': most}
    return found
