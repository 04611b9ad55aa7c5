"""The threads that predict and watch have a real-time priority, if the system allows it."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from motion_predictor.archive import MotionArchive
from motion_predictor.ros.node.scheduling import Precedence

ORDINARY = (os.SCHED_OTHER, 0)
FIRST = (os.SCHED_FIFO, 10)


def scheduled(thread: int = 0) -> tuple[int, int]:
    """Return the scheduling policy and priority of a thread, by default the calling one."""
    return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority


def before_others(process: Any) -> list[tuple[int, int]]:
    """Return policy and priority of all threads of a process that have a real-time policy."""
    found = []
    for task in Path(f'/proc/{process.popen.pid}/task').iterdir():
        try:
            found.append(scheduled(int(task.name)))
        except ProcessLookupError:
            continue  # the thread has ended
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
    with Precedence(100, refusals.append):  # no system allows this priority
        assert scheduled() == ORDINARY
    (sentence,) = refusals
    assert sentence.startswith('real-time priority 100 was refused ([Errno 22] Invalid argument)')
    assert scheduled() == ORDINARY
