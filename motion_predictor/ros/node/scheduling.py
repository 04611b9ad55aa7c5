"""Gives threads real-time priority, so that they run before all others on the machine."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress


class Precedence:
    """Gives real-time priority (SCHED_FIFO) to the thread that enters this context.

    A thread that already has a higher priority keeps it. If the system refuses the priority, the
    thread continues without it.

    Args:
        priority: real-time priority from 1 to 99; 0 leaves the thread's scheduling unchanged.
        warn: function that receives a sentence if the system refuses the priority.
    """

    def __init__(self, priority: int, warn: Callable[[str], object]) -> None:
        self._priority = priority
        self._warn = warn
        self._thread: int | None = None
        self._before: tuple[int, os.sched_param] | None = None
        self._given_up = False

    def __enter__(self) -> None:
        self._thread, self._given_up = threading.get_native_id(), False
        if not self._priority:
            return
        try:
            before = os.sched_getscheduler(0), os.sched_getparam(0)
            if before[1].sched_priority < self._priority:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(self._priority))
                self._before = before
        except (AttributeError, OSError) as error:  # only Linux has os.sched_setscheduler
            self._warn(
                f'real-time priority {self._priority} was refused ({error}), so other busy '
                f'processes can delay predictions: allow it (rtprio {self._priority + 1} '
                'in limits.conf, LimitRTPRIO of systemd, --cap-add SYS_NICE of docker), '
                'or set realtime_priority to 0'
            )

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            with suppress(OSError):  # the thread may lack the right to its earlier priority
                os.sched_setscheduler(0, *self._before)
        self._thread = self._before = None

    def give_up(self) -> bool:
        """Give the thread ordinary scheduling until `resume`. Any thread may call `give_up`.

        Returns:
            True if the thread had real-time priority until now.
        """
        thread = self._thread
        if thread is None or self._before is None or self._given_up:
            return False
        with suppress(OSError):  # some systems let only a thread itself change its priority
            os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
        self._given_up = True
        return True

    def resume(self) -> None:
        """Take back the real-time priority that `give_up` has given up.

        Only the thread whose priority was given up may call `resume`.
        """
        if self._given_up:
            with suppress(OSError):  # the thread may have lost the right to its priority
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(self._priority))
            self._given_up = False

    def __str__(self) -> str:
        """Return words that describe how the system schedules the thread now."""
        thread = self._thread
        if thread is None:
            return 'not running'
        try:
            priority = os.sched_getparam(thread).sched_priority
        except (AttributeError, OSError):  # only Linux has os.sched_getparam
            return 'unknown'
        return f'real-time, priority {priority}' if priority else 'ordinary'
