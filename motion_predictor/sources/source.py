"""The interface of sources. They return the people in a message, with its joints and frame."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

MAX_JOINTS = 512
MAX_PEOPLE = 1000


class InputError(ValueError):
    """A whole message cannot be used, or a source cannot be opened. The sentence says why.

    Args:
        sentence: one sentence that says why.
        people: number of people in the message; one if unknown.
    """

    def __init__(self, sentence: str, people: int = 1) -> None:
        super().__init__(' '.join(sentence.split()))  # names in it may hold line breaks
        self.people = people


@dataclass
class Bodies:
    """Everyone in one message."""

    stamp_ns: int | None
    """Time of capture; None if nobody is there and the message has no stamp."""
    frame_id: str
    ids: list[str] = field(default_factory=list)
    positions: FloatArray = field(default_factory=lambda: np.zeros((0, 0, 3), np.float32))
    """(P, J, 3) metres, NaN = missing."""
    joint_names: tuple[str, ...] = ()
    """The J joints, with the names of the source."""
    layout: str = ''
    """Name of the layout of these joints, if the source names it."""
    confidence: FloatArray | None = None
    """(P, J) from 0 to 1, if the source gives confidences."""
    rejected: Counter[str] = field(default_factory=Counter)
    """People left out, by reason."""


class Source(Protocol):
    """Reads the messages of one kind of source."""

    kind: str
    """Type of the messages, as package/msg/Name."""
    topic: str
    """Default topic."""
    optical: bool
    """Whether positions are in an optical frame (z forward, y down), whatever its name."""

    def read(self, message: Any) -> Bodies | None:
        """Return the people in a message; None if they must be sampled from tf.

        Raises:
            InputError: if nothing in the message can be used.
        """


def stamp_of(header: Any) -> int:
    """Return a header's stamp in nanoseconds.

    Raises:
        InputError: if the stamp is not set.
    """
    stamp_ns = int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
    if stamp_ns <= 0:
        raise InputError('header.stamp is not set: set it to the time of capture')
    return stamp_ns


def as_floats(values: Any) -> FloatArray:
    """Return numbers as float32; infinite if they are too large."""
    with np.errstate(over='ignore'):
        return np.asarray(values, np.float32)


def check_count(people: int) -> None:
    """Refuse too many people.

    Raises:
        InputError: if there are more than MAX_PEOPLE.
    """
    if people > MAX_PEOPLE:
        raise InputError(f'expected at most {MAX_PEOPLE} people in a message, got {people}')


def gather(
    owners: NDArray[Any], joints: NDArray[np.integer], values: NDArray[np.floating], count: int
) -> tuple[list[str], FloatArray, Counter[str]]:
    """Sort points by person and joint.

    Args:
        owners: (N,) the person of each point.
        joints: (N,) the joint of each point, 0 to `count` - 1.
        values: (N, C) the values of each point.
        count: J, the number of joints of a person.

    Returns:
        The ids of P people. Their values (P, J, C), which are NaN for joints without a point. The
        number of people who were left out, by reason. A person with one invalid joint is left out.

    Raises:
        InputError: if there are too many people.
    """
    people, row = np.unique(owners, return_inverse=True)
    check_count(len(people))
    inside = (joints >= 0) & (joints < count)
    outside = np.bincount(row[~inside], minlength=len(people)) > 0
    place = row[inside] * count + joints[inside]
    twice = np.bincount(place, minlength=len(people) * count).reshape(-1, count).max(1) > 1
    table = np.full((len(people) * count, values.shape[1]), np.nan, np.float32)
    table[place] = as_floats(values[inside])
    reasons = {'joint number out of range': outside, 'joint twice in one person': twice & ~outside}
    rejected = Counter({reason: int(whose.sum()) for reason, whose in reasons.items()})
    kept = ~(outside | twice)
    ids = [str(person) for person in people[kept]]
    return ids, table.reshape(len(people), count, -1)[kept], +rejected
