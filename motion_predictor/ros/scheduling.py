"""What the node asks of the system to be in time: precedence, and processors that are awake."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

IDLE_LATENCY = Path('/dev/cpu_dma_latency')
"""Holds microseconds as a 32-bit integer for as long as it is open (Linux's PM QoS)."""


@contextmanager
def real_time(priority: int, warn: Callable[[str], object]) -> Iterator[None]:
    """Schedule the calling thread by SCHED_FIFO meanwhile, if the system allows it.

    Args:
        priority: from 1 to 99; 0 leaves the thread as it is.
        warn: is told in a sentence if it is not allowed.
    """
    if not priority:
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        warn(
            f'realtime_priority {priority} is not to be had ({error.strerror}), so a busy machine '
            f'makes predictions late: allow it (ulimit -r {priority}, or capability SYS_NICE), '
            'or set it to 0'
        )
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def scheduling(thread: int) -> str:
    """Return in words how a thread, given by its native id, is scheduled."""
    policy = os.sched_getscheduler(thread)
    if policy in (os.SCHED_FIFO, os.SCHED_RR):
        return f'real-time, priority {os.sched_getparam(thread).sched_priority}'
    return 'ordinary'


class Awake:
    """Keeps processors from sleeping so deeply that they take long to wake up; for any thread.

    Args:
        latency_us: that waking up may take at most; -1 leaves it to the system.
        warn: is told in a sentence if it is not allowed.
    """

    def __init__(self, latency_us: int, warn: Callable[[str], object]) -> None:
        self._latency_us = latency_us
        self._warn = warn
        self._lock = threading.Lock()
        self._held: BinaryIO | None = None

    def hold(self) -> None:
        """Keep them awake from now on."""
        with self._lock:
            if self._held is not None or self._latency_us < 0:
                return
            try:
                self._held = IDLE_LATENCY.open('wb', buffering=0)
                self._held.write(self._latency_us.to_bytes(4, sys.byteorder))
            except OSError as error:
                self._warn(
                    f'idle_latency_us {self._latency_us} is not to be had ({error}): allow '
                    f'writing to {IDLE_LATENCY}, or set it to -1'
                )
                self._latency_us = -1

    def release(self) -> None:
        """Let them sleep."""
        with self._lock:
            if self._held is not None:
                self._held.close()
                self._held = None
