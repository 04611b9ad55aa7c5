"""Removes shared memory that killed processes left behind.

Fast DDS removes a shared-memory segment when its process ends, but not if the process is killed.
Each killed predictor would leave 17 MB behind. A container has only 64 MB of shared memory by
default.
"""

import fcntl
import os
import re
import time
from pathlib import Path

SHARED_MEMORY = Path('/dev/shm')
LOCK = re.compile(r'(fast(?:dds|rtps)_[0-9a-f]{16})_el')
"""Lock file beside each segment, named by Fast DDS 3 or 2. The process of the segment keeps this
file locked as long as it lives."""
YOUNG_S = 10.0
"""Lock files that are younger than this are left alone, because a starting process creates the
file before it locks the file."""


def remove_segments_of_the_dead(folder: Path = SHARED_MEMORY) -> int:
    """Remove the segments of this user's dead processes, as `fastdds shm clean` does.

    Returns:
        Number of shared-memory segments that were removed.
    """
    removed = 0
    try:
        found = list(folder.iterdir())
    except OSError:  # this system has no /dev/shm
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
    except OSError:  # another process has just removed the lock file
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        segment.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
    except OSError:  # the file is locked: the process of the segment is alive
        return False
    finally:
        os.close(descriptor)
    return True
