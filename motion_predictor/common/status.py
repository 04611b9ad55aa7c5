"""Statuses, which tell a consumer how reliable a message is, with the same numbers as in msg/."""

from collections.abc import Iterable
from enum import IntEnum


class Status(IntEnum):
    """Tells how reliable a message is. Greater numbers are less reliable; see doc/statuses.md."""

    OK = 0
    DEGRADED = 1
    TOO_MANY = 2
    WARMING_UP = 3
    STALE_INPUT = 4
    FAULT = 5


def most_severe(statuses: Iterable[Status]) -> Status:
    """Return the most severe of several statuses; OK if there are no statuses."""
    return max(statuses, default=Status.OK)
