"""Shared memory that killed processes left behind.

Fast DDS removes a segment when its process ends, and cannot when the process is killed. Each
predictor would leave 17 MB, of the 64 MB that a container has.
"""

import fcntl
import os
import re
import time
from pathlib import Path

SHARED_MEMORY = Path('/dev/shm')
LOCK = re.compile(r'(fast(?:dds|rtps)_[0-9a-f]{16})_el')
"""Beside each segment lies a file that its process holds locked: of Fast DDS 3, and of 2."""
YOUNG_S = 10.0
"""A process that starts makes the file before it locks it."""


def remove_segments_of_the_dead(folder: Path = SHARED_MEMORY) -> int:
    """Remove the segments of this user's dead processes, as `fastdds shm clean` does.

    Returns:
        how many.
    """
    removed = 0
    try:
        found = list(folder.iterdir())
    except OSError:  # no such folder: nothing lies there
        return 0
    for path in found:
        if match := LOCK.fullmatch(path.name):
            removed += _remove_if_dead(path, path.with_name(match[1]))
    return removed


def _remove_if_dead(lock: Path, segment: Path) -> bool:
    try:
        status = lock.stat()
        if status.st_uid != os.getuid() or time.time() - status.st_mtime < YOUNG_S:
            return False
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:  # somebody else removed it just now
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        segment.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
    except OSError:  # it lives
        return False
    finally:
        os.close(descriptor)
    return True
