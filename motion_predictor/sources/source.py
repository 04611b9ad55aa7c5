"""The interface of sources, which extract people from messages."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

MAX_JOINTS = 512
MAX_PEOPLE = 1000


class InputError(ValueError):
    """Raised if a whole message cannot be used, or if a source cannot be opened.

    Args:
        sentence: one sentence that says why the message or the source is refused.
        people: number of people in the message; 1 if unknown.
    """

    def __init__(self, sentence: str, people: int = 1) -> None:
        # names in the sentence may contain line breaks
        super().__init__(' '.join(sentence.split()))
        self.people = people


@dataclass
class Bodies:
    """All people in one message, in the joints and the frame of the message."""

    stamp_ns: int | None
    """Time of capture; None if nobody is there and the message has no stamp."""
    frame_id: str
    ids: list[str] = field(default_factory=list)
    positions: FloatArray = field(default_factory=lambda: np.zeros((0, 0, 3), np.float32))
    """Positions of the joints, (P, J, 3), metres. Missing joints are NaN."""
    joint_names: tuple[str, ...] = ()
    """Names that the source gives to the J joints."""
    layout: str = ''
    """Name of the layout of these joints, if the source names it."""
    confidence: FloatArray | None = None
    """Confidence of each joint, (P, J), from 0 to 1; None if the source gives no confidences."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Number of people left out, by reason."""


class Source(Protocol):
    """The interface of a source, which reads one type of message."""

    kind: str
    """Type of the messages, as package/msg/Name."""
    topic: str
    """Default topic of the source."""
    optical: bool
    """Whether positions are always in an optical frame (z forward, y down)."""

    def read(self, message: Any) -> Bodies | None:
        """Return the people in a message; None if their joints must be read from tf.

        Raises:
            InputError: if nothing in the message can be used.
        """


def stamp_of(header: Any) -> int:
    """Return the stamp of a message header in nanoseconds.

    Raises:
        InputError: if the stamp is not set.
    """
    stamp_ns = int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
    if stamp_ns <= 0:
        raise InputError('header.stamp is not set: set it to the time of capture')
    return stamp_ns


def as_floats(values: Any) -> FloatArray:
    """Return numbers as float32. Numbers too large for float32 become infinite."""
    with np.errstate(over='ignore'):
        return np.asarray(values, np.float32)


def check_count(people: int) -> None:
    """Raise an error if a message has too many people.

    Raises:
        InputError: if there are more than MAX_PEOPLE people.
    """
    if people > MAX_PEOPLE:
        raise InputError(f'expected at most {MAX_PEOPLE} people in a message, got {people}')


def gather(
    owners: NDArray[Any], joints: NDArray[np.integer], values: NDArray[np.floating], count: int
) -> tuple[list[str], FloatArray, Counter[str]]:
    """Sort points by person and joint into one array per person.

    Args:
        owners: person to whom each point belongs, shape (N,).
        joints: joint index of each point, from 0 to `count` - 1, shape (N,).
        values: C values of each point, for example coordinates, shape (N, C).
        count: number J of joints per person.

    Returns:
        The ids of P people. The values of their joints (P, J, C), which are NaN for joints without
        a point. The number of people who were left out, by reason. A person with one invalid joint
        is left out.

    Raises:
        InputError: if there are more than MAX_PEOPLE people.
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
