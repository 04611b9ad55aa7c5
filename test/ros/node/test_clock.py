"""The node's time is that of rclpy's clock, also when simulated time starts or ends."""

import time
from typing import Any

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from motion_predictor.ros.node import clock as node_clock
from motion_predictor.ros.node import silence
from motion_predictor.ros.node.clock import NodeClock
from motion_predictor.ros.node.silence import Stopwatch

SECOND = 1_000_000_000


def lies_between(clock: NodeClock, node: Node) -> bool:
    """Return whether the clock lies between rclpy's times before and after it was read."""
    before_ns = node.get_clock().now().nanoseconds
    now_ns = clock.now_ns()
    return before_ns <= now_ns <= node.get_clock().now().nanoseconds


def test_it_follows_the_time_as_it_becomes_and_ceases_to_be_simulated(planner: Any) -> None:
    jumps: list[int] = []
    node = Node('simulated')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    clock = NodeClock(node, lambda: jumps.append(clock.now_ns()))

    def tell(nanoseconds: int) -> None:
        for _ in range(200):
            planner.tell_time(nanoseconds)
            executor.spin_once(timeout_sec=0.05)
            if clock.now_ns() == nanoseconds:
                return
        raise AssertionError(f'the clock says {clock.now_ns()} where time is {nanoseconds}')

    assert lies_between(clock, node)
    assert clock.now_ns() > 1_000_000_000 * SECOND, 'a time of this century'
    node.set_parameters([Parameter('use_sim_time', value=True)])
    assert len(jumps) == 1
    tell(100 * SECOND)
    tell(101 * SECOND)
    assert len(jumps) == 1, 'time that goes on does not jump'
    tell(50 * SECOND)
    assert jumps[1:] == [50 * SECOND]
    born_simulated = NodeClock(node, lambda: None)
    assert born_simulated.now_ns() == 50 * SECOND
    node.set_parameters([Parameter('use_sim_time', value=False)])
    assert len(jumps) == 3
    assert lies_between(clock, node)
    assert lies_between(born_simulated, node)
    assert clock.now_ns() > 1_000_000_000 * SECOND
    node.destroy_node()


def test_a_system_clock_that_is_set_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    jumps: list[int] = []
    ahead_ns = 0
    real_ns = time.time_ns
    monkeypatch.setattr(node_clock.time, 'time_ns', lambda: real_ns() + ahead_ns)
    node = Node('set')
    clock = NodeClock(node, lambda: jumps.append(ahead_ns))
    for ahead_ns in (0, 3600 * SECOND, 3600 * SECOND, -7 * SECOND):  # noqa: B007 the clock's
        for _ in range(100):  # on a busy machine, one look may be interrupted
            clock.look()
    assert jumps == [3600 * SECOND, -7 * SECOND]
    node.destroy_node()


class SlowClock:
    """A simulated clock, which may run slower than real time or stop."""

    is_simulated = True

    def __init__(self) -> None:
        self.real_s, self.simulated_s = 50.0, 7.0

    def now_ns(self) -> int:
        return round(self.simulated_s * SECOND)

    def pass_by(self, real_s: float, slower: float = 100.0) -> None:
        self.real_s += real_s
        self.simulated_s += real_s / slower


def test_in_a_slow_simulation_simulated_seconds_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Any = SlowClock()
    monkeypatch.setattr(silence.time, 'monotonic', lambda: clock.real_s)
    stopwatch = Stopwatch(clock)
    for _ in range(100):
        clock.pass_by(0.1)
        assert stopwatch.elapsed_s() < 0.11
    assert stopwatch.elapsed_s() == pytest.approx(0.1)
    clock.pass_by(2.0, slower=float('inf'))
    assert stopwatch.elapsed_s() == pytest.approx(12.0), 'it is gone, not slow'
    stopwatch.start()
    clock.is_simulated = False
    clock.pass_by(0.5)
    assert stopwatch.elapsed_s() == pytest.approx(0.5)
