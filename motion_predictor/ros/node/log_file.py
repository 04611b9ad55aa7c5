"""The file that ROS logs to, kept small: ROS itself neither rotates nor removes it."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from rclpy.logging import get_logging_directory

MOST_BYTES = 10_000_000
CHECKED_S = 60.0
"""How often somebody is to look."""


def keep_log_small(most_bytes: int = MOST_BYTES) -> None:
    """Move what the file holds to `FILE.1`, over what that held, once it is larger.

    ROS appends to it, so that it goes on in the file that was emptied. Where there is no room for
    both, what was logged is lost.
    """
    with suppress(OSError):  # somebody else may clear the folder up
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
    """Return the file that is open in the folder of logs, or None where ROS writes none."""
    folder = os.path.realpath(get_logging_directory())
    for descriptor in Path('/proc/self/fd').iterdir():
        path = Path(os.path.realpath(descriptor))
        if path.suffix == '.log' and str(path.parent) == folder and path.exists():
            return path
    return None
