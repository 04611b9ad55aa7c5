"""A thread that checks the other threads of the node at a fixed period."""

import threading
from collections.abc import Callable

from motion_predictor.ros.node.scheduling import Precedence

PATIENCE_S = 1.0


class Watchdog:
    """Calls a check in a thread of its own, periodically, until `stop` is called.

    The watchdog is a thread and not a ROS timer, for two reasons. First, a Python executor needs
    far longer to notice a due timer than the check itself takes. Second, a callback that hangs
    would also stop the timer.

    Args:
        period_s: time between two checks.
        look: function that does the check. `look` must not raise.
        precedence: real-time priority of the watchdog's thread.
    """

    def __init__(self, period_s: float, look: Callable[[], None], precedence: Precedence) -> None:
        self._period_s = period_s
        self._look = look
        self._precedence = precedence
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name='watchdog', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop checking. Wait for a running check, for at most `PATIENCE_S`."""
        self._over.set()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        with self._precedence:
            while not self._over.wait(self._period_s):
                self._look()
