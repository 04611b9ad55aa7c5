"""Data types for observed people (`Observation`) and for listed people (`Person`, `Scene`)."""

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
    """The values that the source sent, before any transform; empty if nothing was transformed. If
    these values stay the same, the source is frozen."""


@dataclass(frozen=True)
class Person:
    """One person at the newest stamp. `window` is None for a person who cannot be predicted."""

    id: str
    status: Status
    observed_fraction: float
    window: ObservedWindow | None
    last_seen: LastSeen
    track: int = 0
    """Number of the person's `Track`. The number stays the same when the id changes."""


@dataclass(frozen=True)
class Scene:
    """All people at the newest stamp."""

    stamp_ns: int
    frame_id: str
    people: tuple[Person, ...]
    unlisted: int = 0
    """Number of people who may be there but are not listed."""
