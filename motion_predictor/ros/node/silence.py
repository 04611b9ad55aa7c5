"""How long something has not happened, in the time by which the robot lives."""

import time

from motion_predictor.ros.node.clock import NodeClock

STANDS_STILL_S = 1.0
"""A simulated clock that does not move for so long is not slow, it is gone."""


class Stopwatch:
    """Measures from the last time that it was started.

    In a simulation it counts simulated seconds: what comes 30 times a second there may come once a
    second here. Where the simulated clock stands still, it counts real ones.

    Args:
        clock: of the node.
    """

    def __init__(self, clock: NodeClock) -> None:
        self._clock = clock
        self.start()

    def start(self) -> None:
        """Begin to measure."""
        self._started_s = self._moved_s = time.monotonic()
        self._started_ns = self._seen_ns = self._clock.now_ns()

    def elapsed_s(self) -> float:
        """Return for how long it has measured; ask now and then, lest the clock seem to stand."""
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
