"""Keeps the log file of this process small, because ROS neither rotates nor removes log files."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from rclpy.logging import get_logging_directory

MOST_BYTES = 10_000_000
CHECKED_S = 60.0
"""Period at which the node calls `keep_log_small`."""


def keep_log_small(most_bytes: int = MOST_BYTES) -> None:
    """If the log file is larger than `most_bytes`, move its content to `FILE.1`.

    An existing `FILE.1` is overwritten. ROS has the log file open for appending, so ROS continues
    in the emptied file. If the disk has no room for the copy, the content of the log file is lost.
    """
    with suppress(OSError):  # another program may delete files of the folder at the same time
        path = own_log_file()
        if path is None or path.stat().st_size <= most_bytes:
            return
        before = path.with_name(path.name + '.1')
        try:
            shutil.copyfile(path, before)
        except OSError:
            before.unlink(missing_ok=True)
        os.truncate(path, 0)


def own_log_file() -> Path | None:
    """Return the log file that this process has open, or None if ROS writes no log file."""
    folder = os.path.realpath(get_logging_directory())
    for descriptor in Path('/proc/self/fd').iterdir():
        path = Path(os.path.realpath(descriptor))
        if path.suffix == '.log' and str(path.parent) == folder and path.exists():
            return path
    return None
