"""Memory that a training step frees and the next one asks for again."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
LARGE_BYTES = 2**26
"""What is larger goes back to the system all the same, or a run would keep its peak for good."""
KEPT_BYTES = 2**31 - 1  # all that an int can say
PADDING_BYTES = 2**26


def keep_freed_memory() -> None:
    """Tell the C library to keep what is freed, where that is glibc; else do nothing.

    By itself it hands large tensors back to the system and gets them again, page by page, at every
    step: two thirds of the page faults of a teacher's steps on a CPU are due to that.
    """
    if not sys.platform.startswith('linux'):
        return
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(M_TOP_PAD, PADDING_BYTES)
