"""People as they are observed, and as they are listed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor.common.status import Status
from motion_predictor.tracking.history import ObservedWindow
from motion_predictor.tracking.track import LastSeen

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Observation:
    """One person in one message."""

    id: str
    positions: FloatArray  # (J, 3) metres, joints of the model's layout, NaN = missing
    sent: bytes = b''
    """The source's own values before any transform, by which a frozen source is recognised. Empty
    where they are the positions."""


@dataclass(frozen=True)
class Person:
    """One person at the newest stamp. `window` is None if they cannot be predicted."""

    id: str
    status: Status
    observed_fraction: float
    window: ObservedWindow | None
    last_seen: LastSeen
    track: int = 0
    """Number of the unbroken observation of this person; it stays the same when the id changes."""


@dataclass(frozen=True)
class Scene:
    """Everyone at the newest stamp."""

    stamp_ns: int
    frame_id: str
    people: tuple[Person, ...]
    unlisted: int = 0
    """People who may be there beside those listed."""
