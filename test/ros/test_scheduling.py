"""The threads that predict and watch go before whatever else the machine does, where they may."""

import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from motion_predictor.archive import MotionArchive
from motion_predictor.ros.scheduling import IDLE_LATENCY, Awake, Precedence

ORDINARY = (os.SCHED_OTHER, 0)
FIRST = (os.SCHED_FIFO, 10)


def scheduled(thread: int = 0) -> tuple[int, int]:
    """Return a thread's policy and priority, of the calling one by default."""
    return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority


def before_others(process: Any) -> list[tuple[int, int]]:
    """Return how those of a process's threads are scheduled that are not as usual."""
    found = []
    for task in Path(f'/proc/{process.popen.pid}/task').iterdir():
        try:
            found.append(scheduled(int(task.name)))
        except ProcessLookupError:
            continue  # it ended meanwhile
    return sorted(how for how in found if how != ORDINARY)


@pytest.fixture
def _may_be_first() -> None:
    refusals: list[str] = []
    with Precedence(11, refusals.append):
        pass
    if refusals:
        pytest.skip(f'this system allows no real-time priorities: {refusals[0]}')


@pytest.mark.usefixtures('_may_be_first')
@pytest.mark.parametrize('priority', [10, 0])
def test_two_threads_go_first_while_active(
    planner: Any, start: Any, bundled: MotionArchive, priority: int
) -> None:
    process = start('predictor', '--ros-args', '-p', f'realtime_priority:={priority}')
    planner.wait_for_node()
    planner.wait_for(lambda: planner.diagnostics, 'diagnostics')
    planner.stream({'someone': bundled.clip(0)}, seconds=1.0)
    planner.wait_for(lambda: planner.predictions('someone'), 'a prediction')
    watchdog = (os.SCHED_FIFO, 11)
    assert before_others(process) == ([FIRST, watchdog] if priority else [])
    values = {pair.key: pair.value for pair in planner.diagnostics[-1].status[0].values}
    assert values['scheduling'] == ('real-time, priority 10' if priority else 'ordinary')
    assert planner.transition('deactivate')
    assert before_others(process) == [], 'compiling, say, has no hurry'


@pytest.mark.usefixtures('_may_be_first')
def test_a_thread_goes_back_to_what_it_was() -> None:
    precedence = Precedence(10, pytest.fail)
    assert str(precedence) == 'not running'
    with precedence:
        assert scheduled() == FIRST
        assert str(precedence) == 'real-time, priority 10'
        for lower in (0, 7):
            with Precedence(lower, pytest.fail):
                assert scheduled() == FIRST, 'what it has it keeps'
            assert scheduled() == FIRST
    assert scheduled() == ORDINARY


@pytest.mark.usefixtures('_may_be_first')
def test_another_thread_can_take_precedence_away_until_it_resumes() -> None:
    precedence = Precedence(10, pytest.fail)
    with precedence:
        taken: list[bool] = []
        for _ in range(2):
            other = threading.Thread(target=lambda: taken.append(precedence.give_up()))
            other.start()
            other.join()
        assert taken == [True, False]
        assert scheduled() == ORDINARY
        assert str(precedence) == 'ordinary'
        precedence.resume()
        assert scheduled() == FIRST
    assert not precedence.give_up(), 'there is none any more'


def test_what_is_refused_is_said_and_nothing_else_happens() -> None:
    refusals: list[str] = []
    with Precedence(100, refusals.append):  # more than any system has
        assert scheduled() == ORDINARY
    (sentence,) = refusals
    assert sentence.startswith('priority 100 was refused ([Errno 22] Invalid argument)')
    assert scheduled() == ORDINARY


def longest_idle_us() -> int:
    """Return how long processors may take to wake up, as the system has it."""
    return int.from_bytes(IDLE_LATENCY.read_bytes()[:4], sys.byteorder)


@pytest.fixture
def _may_stay_awake() -> None:
    if not IDLE_LATENCY.is_char_device() or not os.access(IDLE_LATENCY, os.R_OK | os.W_OK):
        pytest.skip(f'{IDLE_LATENCY} is not there or may not be written')


@pytest.mark.usefixtures('_may_stay_awake')
def test_processors_stay_awake_while_somebody_is_predicted(
    planner: Any, start: Any, bundled: MotionArchive
) -> None:
    usual = longest_idle_us()
    given = ('idle_latency_us:=3', 'max_age_s:=5.0', 'stale_after_s:=3.0')
    start('predictor', '--ros-args', *(part for value in given for part in ('-p', value)))
    planner.wait_for_node()
    planner.wait_for(lambda: planner.received, 'it is active')
    assert longest_idle_us() == usual, 'nobody is there yet'

    def predict_somebody() -> None:
        planner.received.clear()
        planner.stream({'someone': bundled.clip(0)}, seconds=1.0)
        planner.wait_for(lambda: planner.predictions('someone'), 'a prediction')
        assert longest_idle_us() == 3

    predict_somebody()
    planner.publish(planner.message({}))
    planner.wait_for(lambda: longest_idle_us() == usual, 'they may sleep: nobody is there', 1.0)
    predict_somebody()
    planner.wait_for(lambda: longest_idle_us() == usual, 'and when the source is silent')
    predict_somebody()
    assert planner.set_parameter('max_age_s', 0.01).successful
    now_ns = planner.get_clock().now().nanoseconds
    late = planner.message({'someone': bundled.clip(0)[0]}, stamp_ns=now_ns - 20_000_000)
    planner.publish(late)
    planner.wait_for(lambda: longest_idle_us() == usual, 'and when all is too old', 1.0)
    assert planner.set_parameter('max_age_s', 5.0).successful
    predict_somebody()
    assert planner.transition('deactivate')
    assert longest_idle_us() == usual


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / 'cpu_dma_latency'
    monkeypatch.setattr('motion_predictor.ros.scheduling.IDLE_LATENCY', path)
    return path


def test_the_device_is_held_open_once_and_again_after_release(device: Path) -> None:
    device.touch()
    awake = Awake(20, pytest.fail)
    for _ in range(2):
        awake.hold()
        awake.hold()
        held = [f for f in Path('/proc/self/fd').iterdir() if f.resolve() == device]
        assert len(held) == 1
        awake.release()
        awake.release()
        assert not [f for f in Path('/proc/self/fd').iterdir() if f.resolve() == device]
    assert device.read_bytes() == (20).to_bytes(4, sys.byteorder)


def test_processors_that_cannot_be_kept_awake_are_said_once(device: Path) -> None:
    refusals: list[str] = []
    awake = Awake(0, refusals.append)
    awake.hold()
    awake.hold()
    (sentence,) = refusals
    assert sentence.startswith('0 was refused ([Errno 2] No such file')
    assert not device.exists(), 'a file that is no device would do nothing'
