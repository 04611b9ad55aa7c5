"""The node's time, read without the cost of rclpy's clock."""

import time
from collections.abc import Callable

from rclpy.clock import JumpThreshold, ROSClock, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node

SET_NS = 50_000_000
"""If the system's clock moves by more than this against the monotonic clock, it was set."""


class NodeClock:
    """Tells the time of a node's clock, and says when it jumps.

    Unless time is simulated it is the system's time, for which asking rclpy takes 15 times as long
    as asking Python: with caches that went cold since the last message, 0.08 ms.

    It has to live as long as the node.

    Args:
        node: its clock is read.
        on_jump: called when time goes back, or becomes or ceases to be simulated, or when the
            system's clock is set.
    """

    def __init__(self, node: Node, on_jump: Callable[[], None]) -> None:
        clock = node.get_clock()
        assert isinstance(clock, ROSClock)
        self._clock = clock
        self._on_jump = on_jump
        self._ahead_ns = time.time_ns() - time.monotonic_ns()
        self._is_simulated = clock.ros_time_is_active
        self._handle = clock.create_jump_callback(  # the clock has but a bare pointer to it
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
            ),
            post_callback=self._jumped,
        )

    @property
    def is_simulated(self) -> bool:
        """Whether time is that of a simulation or a recording."""
        return self._is_simulated

    def now_ns(self) -> int:
        """Return the time."""
        return self._clock.now().nanoseconds if self._is_simulated else time.time_ns()

    def look(self) -> None:
        """See whether the system's clock was set, which nobody tells."""
        before_ns = time.monotonic_ns()
        ahead_ns = time.time_ns() - before_ns
        if time.monotonic_ns() - before_ns > SET_NS // 10:  # interrupted: it says nothing
            return
        if abs(ahead_ns - self._ahead_ns) > SET_NS and not self._is_simulated:
            self._on_jump()
        self._ahead_ns = ahead_ns

    def _jumped(self, jump: TimeJump) -> None:
        self._is_simulated = self._clock.ros_time_is_active
        self._on_jump()
