"""Sends the log records of the library to the log of ROS."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rclpy.impl.rcutils_logger import RcutilsLogger

from motion_predictor.common.logs import library_logs_to


class _ToRos(logging.Handler):
    """Passes log records to the logger of a node.

    The level of the node's logger decides which records are printed.
    """

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._logger.error(message)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(message)
        else:
            self._logger.info(message)


@contextmanager
def logged_by(logger: RcutilsLogger) -> Iterator[None]:
    """Send the log records of the library to the node's logger, not to standard error."""
    with library_logs_to(_ToRos(logger)):
        yield
