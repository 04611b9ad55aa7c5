"""Statuses, which tell a consumer how far to rely on a message; the same as in the messages."""

from collections.abc import Iterable
from enum import IntEnum


class Status(IntEnum):
    """The greater the number, the less reliable is the message; see doc/statuses.md."""

    OK = 0
    DEGRADED = 1
    TOO_MANY = 2
    WARMING_UP = 3
    STALE_INPUT = 4
    FAULT = 5


def most_severe(statuses: Iterable[Status]) -> Status:
    """Return the most severe status; OK if there is none."""
    return max(statuses, default=Status.OK)
