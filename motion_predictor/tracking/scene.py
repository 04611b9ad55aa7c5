"""What comes of people, and what is said of them."""

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
    """What the source said of them, before a transform that may change while it repeats itself;
    empty where that is the positions."""


@dataclass(frozen=True)
class Person:
    """One person at the newest stamp; `window` is there if they can be predicted."""

    id: str
    status: Status
    observed_fraction: float
    window: ObservedWindow | None
    last_seen: LastSeen
    track: int = 0
    """Number of what was seen of them without a break, under whatever ids."""


@dataclass(frozen=True)
class Scene:
    """Everyone at the newest stamp."""

    stamp_ns: int
    frame_id: str
    people: tuple[Person, ...]
    unlisted: int = 0
    """People who may be there beside those listed."""
