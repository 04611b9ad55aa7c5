"""A thread that checks the rest of the node at a fixed period."""

import threading
from collections.abc import Callable

from motion_predictor.ros.node.scheduling import Precedence

PATIENCE_S = 1.0


class Watchdog:
    """Looks again and again until it is stopped.

    It is a thread and no timer for two reasons. An executor in Python needs far longer to find
    that a timer is due than the check takes. And a stuck callback would stop the timer too.

    Args:
        period_s: between two looks.
        look: must not raise.
        precedence: of the thread.
    """

    def __init__(self, period_s: float, look: Callable[[], None], precedence: Precedence) -> None:
        self._period_s = period_s
        self._look = look
        self._precedence = precedence
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name='watchdog', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; waits for the look in hand unless that hangs."""
        self._over.set()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        with self._precedence:
            while not self._over.wait(self._period_s):
                self._look()
