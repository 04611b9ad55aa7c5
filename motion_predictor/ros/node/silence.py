"""A stopwatch that measures the time since an event, in simulated or real seconds."""

import time

from motion_predictor.ros.node.clock import NodeClock

STANDS_STILL_S = 1.0
"""A simulated clock that stands still for this long counts as stopped."""


class Stopwatch:
    """Measures the time since `start` was last called.

    In a simulation the stopwatch counts simulated seconds. If the simulation is slow, a source of
    30 Hz may send only one message per real second, and this is no silence. While the simulated
    clock stands still, the stopwatch counts real seconds.

    Args:
        clock: clock of the node.
    """

    def __init__(self, clock: NodeClock) -> None:
        self._clock = clock
        self.start()

    def start(self) -> None:
        """Start the stopwatch at 0, also if it already runs."""
        self._started_s = self._moved_s = time.monotonic()
        self._started_ns = self._seen_ns = self._clock.now_ns()

    def elapsed_s(self) -> float:
        """Return the seconds since the start.

        Call `elapsed_s` often: each call checks whether the simulated clock moves.
        """
        now_s = time.monotonic()
        if not self._clock.is_simulated:
            return now_s - self._started_s
        now_ns = self._clock.now_ns()
        if now_ns != self._seen_ns:
            self._seen_ns, self._moved_s = now_ns, now_s
        stands_still = now_s - self._moved_s > STANDS_STILL_S
        if stands_still or now_ns < self._started_ns:
            return now_s - self._started_s
        return (now_ns - self._started_ns) * 1e-9
