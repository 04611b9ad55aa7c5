"""The thread that predicts goes before whatever else the machine does, where it may."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from motion_predictor.archive import MotionArchive
from motion_predictor.ros.scheduling import IDLE_LATENCY, Awake, real_time, scheduling

ORDINARY = (os.SCHED_OTHER, 0)


def scheduled(thread: int = 0) -> tuple[int, int]:
    """Return a thread's policy and priority, of the calling one by default."""
    return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority


def threads_before_others(process: Any) -> list[tuple[int, int]]:
    """Return how those of a process's threads are scheduled that are not as usual."""
    tasks = Path(f'/proc/{process.popen.pid}/task').iterdir()
    return [how for how in (scheduled(int(task.name)) for task in tasks) if how != ORDINARY]


@pytest.fixture
def _may_be_first() -> None:
    refusals: list[str] = []
    with real_time(1, refusals.append):
        pass
    if refusals:
        pytest.skip(f'this system allows no real-time priorities: {refusals[0]}')


@pytest.mark.usefixtures('_may_be_first')
@pytest.mark.parametrize('priority', [10, 0])
def test_one_thread_goes_first_while_active(planner: Any, start: Any, priority: int) -> None:
    process = start('predictor', '--ros-args', '-p', f'realtime_priority:={priority}')
    planner.wait_for_node()
    planner.wait_for(lambda: planner.diagnostics, 'diagnostics')
    wanted = [(os.SCHED_FIFO, priority)] if priority else []
    assert threads_before_others(process) == wanted
    values = {pair.key: pair.value for pair in planner.diagnostics[-1].status[0].values}
    assert values['scheduling'] == ('real-time, priority 10' if priority else 'ordinary')
    assert planner.transition('deactivate')
    assert threads_before_others(process) == [], 'compiling, say, has no hurry'


@pytest.mark.usefixtures('_may_be_first')
def test_a_thread_goes_back_to_what_it_was() -> None:
    with real_time(7, pytest.fail):
        assert scheduled() == (os.SCHED_FIFO, 7)
        assert scheduling(0) == 'real-time, priority 7'
        with real_time(0, pytest.fail):
            assert scheduled() == (os.SCHED_FIFO, 7), 'nothing was asked for'
    assert scheduled() == ORDINARY
    assert scheduling(0) == 'ordinary'


def test_what_is_not_allowed_is_said_and_nothing_else_happens() -> None:
    refusals: list[str] = []
    with real_time(100, refusals.append):  # more than any system has
        assert scheduled() == ORDINARY
    (sentence,) = refusals
    assert sentence.startswith('realtime_priority 100 is not to be had (Invalid argument)')
    assert scheduled() == ORDINARY


def longest_idle_us() -> int:
    """Return how long processors may take to wake up, as the system has it."""
    return int.from_bytes(IDLE_LATENCY.read_bytes()[:4], sys.byteorder)


@pytest.fixture
def _may_stay_awake() -> None:
    if not os.access(IDLE_LATENCY, os.R_OK | os.W_OK):
        pytest.skip(f'{IDLE_LATENCY} is not there or may not be written')


@pytest.mark.usefixtures('_may_stay_awake')
def test_processors_stay_awake_while_somebody_is_predicted(
    planner: Any, start: Any, bundled: MotionArchive
) -> None:
    usual = longest_idle_us()
    start('predictor', '--ros-args', '-p', 'idle_latency_us:=3')
    planner.wait_for_node()
    planner.wait_for(lambda: planner.received, 'it is active')
    assert longest_idle_us() == usual, 'nobody is there yet'
    planner.stream({'someone': bundled.clip(0)}, seconds=1.0)
    planner.wait_for(lambda: planner.predictions('someone'), 'a prediction')
    assert longest_idle_us() == 3
    planner.publish(planner.message({}))
    planner.wait_for(lambda: longest_idle_us() == usual, 'they may sleep when nobody is there')
    planner.stream({'someone': bundled.clip(0)}, seconds=1.0)
    assert longest_idle_us() == 3
    planner.wait_for(lambda: longest_idle_us() == usual, 'and when the source is silent')
    planner.stream({'someone': bundled.clip(0)}, seconds=1.0)
    assert longest_idle_us() == 3
    assert planner.transition('deactivate')
    assert longest_idle_us() == usual


def test_processors_that_may_not_be_kept_awake_are_said_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr('motion_predictor.ros.scheduling.IDLE_LATENCY', tmp_path)  # a folder
    refusals: list[str] = []
    awake = Awake(0, refusals.append)
    awake.hold()
    awake.hold()
    (sentence,) = refusals
    assert sentence.startswith('idle_latency_us 0 is not to be had ([Errno 21] Is a directory')
