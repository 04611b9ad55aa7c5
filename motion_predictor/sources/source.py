"""The interface of sources: a message in, everyone it shows out, in its own joints and frame."""

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
        sentence: why.
        people: so many are in the message; one, if that is not known.
    """

    def __init__(self, sentence: str, people: int = 1) -> None:
        super().__init__(' '.join(sentence.split()))  # names in it may hold line breaks
        self.people = people


@dataclass
class Bodies:
    """Everyone whom one message shows."""

    stamp_ns: int | None
    """Time of capture; None where nobody is there and the message has no stamp."""
    frame_id: str
    ids: list[str] = field(default_factory=list)
    positions: FloatArray = field(default_factory=lambda: np.zeros((0, 0, 3), np.float32))
    """(P, J, 3) metres, NaN = missing."""
    joint_names: tuple[str, ...] = ()
    """The J joints, as the source spells them."""
    layout: str = ''
    """Name of the layout that they are of, if the source says so."""
    confidence: FloatArray | None = None
    """(P, J) from 0 to 1, if the source says how sure it is."""
    rejected: Counter[str] = field(default_factory=Counter)
    """People left out, by reason."""


class Source(Protocol):
    """Reads the messages of one kind of source."""

    kind: str
    """Type of the messages, as package/msg/Name."""
    topic: str
    """Where such sources publish unless told otherwise."""
    optical: bool
    """Whether their frame is a camera's optical one (z forward, y down), whatever its name."""

    def read(self, message: Any) -> Bodies | None:
        """Return whom a message shows; None if that must be sampled elsewhere.

        Raises:
            InputError: if nothing of it can be used.
        """


def stamp_of(header: Any) -> int:
    """Return a header's stamp in nanoseconds.

    Raises:
        InputError: if it is not set.
    """
    stamp_ns = int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
    if stamp_ns <= 0:
        raise InputError('header.stamp is not set: it must be the time of capture')
    return stamp_ns


def as_floats(values: Any) -> FloatArray:
    """Return numbers as float32, infinite where they are too large for it."""
    with np.errstate(over='ignore'):
        return np.asarray(values, np.float32)


def check_count(people: int) -> None:
    """Refuse more people than any cell holds.

    Raises:
        InputError: naming both numbers.
    """
    if people > MAX_PEOPLE:
        raise InputError(f'{people} people are more than the {MAX_PEOPLE} allowed in one message')


def gather(
    owners: NDArray[Any], joints: NDArray[np.integer], values: NDArray[np.floating], count: int
) -> tuple[list[str], FloatArray, Counter[str]]:
    """Sort points by person and joint.

    Args:
        owners: (N,) whose each point is.
        joints: (N,) which of the person's joints, 0 to `count` - 1.
        values: (N, C) what is known of the point.
        count: J, the joints that a person has.

    Returns:
        Ids of P people, their values (P, J, C) with NaN for joints without a point, and how many
        were left out, by reason: one joint that cannot be right puts all of them in doubt.

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
