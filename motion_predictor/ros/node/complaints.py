"""Counts the active node's problems for diagnostics, and logs each problem without repetition."""

import time
from collections import Counter

from rclpy.impl.rcutils_logger import RcutilsLogger

from motion_predictor.ros.node.diagnostics import Health

REPEAT_S = 30.0
"""Time after which the same reason is logged again."""


class Complaints:
    """Reports problems in diagnostics and in the log.

    Args:
        health: counts problems for diagnostics.
        logger: logger of the node.
    """

    def __init__(self, health: Health, logger: RcutilsLogger) -> None:
        self._health = health
        self._logger = logger
        self._logged_s: dict[str, float] = {}

    def refuse(self, reason: str, sentence: str) -> None:
        """Count rejected input for diagnostics, and log why it was rejected."""
        self._health.reject(Counter([reason]), sentence)
        self.warn(reason, sentence)

    def remark(self, reason: str, sentence: str) -> None:
        """Log a problem with input that is used all the same.

        `sentence` says how to correct the problem.
        """
        self._health.remark(sentence)
        self.warn(reason, sentence)

    def warn(self, reason: str, sentence: str) -> None:
        """Log a warning, unless the same reason was logged less than `REPEAT_S` ago."""
        now_s = time.monotonic()
        if now_s - self._logged_s.get(reason, -REPEAT_S) >= REPEAT_S:
            self._logged_s[reason] = now_s
            self._logger.warning(f'{reason}: {sentence}')

    def mention(self, reason: str, sentence: str) -> None:
        """Log a possible problem. Each reason is logged only once."""
        if reason not in self._logged_s:
            self._logged_s[reason] = time.monotonic()
            self._logger.info(f'{reason}: {sentence}')
