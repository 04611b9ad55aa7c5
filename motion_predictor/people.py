"""Everyone who is being observed: who is there, who can be predicted, and why not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from motion_predictor.history import History, ObservedWindow

FloatArray = NDArray[np.float32]

RESTART_AFTER = 5
"""So many older stamps in a row, each newer than the last, mean that the source's time restarted:
a recording looped or its clock was set back. Fewer are stragglers."""


class Status(IntEnum):
    """What a consumer may rely on, as in the messages."""

    OK = 0
    WARMING_UP = 1
    STALE_INPUT = 2
    DEGRADED = 3
    FAULT = 4


SEVERITY = (
    Status.OK,
    Status.DEGRADED,
    Status.WARMING_UP,
    Status.STALE_INPUT,
    Status.FAULT,
)
"""From the least to the most severe."""


def most_severe(statuses: Sequence[Status]) -> Status:
    """Return the most severe status; OK if there is none."""
    return max(statuses, key=SEVERITY.index, default=Status.OK)


@dataclass(frozen=True)
class Observation:
    """One person in one message."""

    id: str
    positions: FloatArray  # (J, 3) metres, joints of the model's layout, NaN = missing


@dataclass(frozen=True)
class Person:
    """One person at the newest stamp; `window` is there if they can be predicted."""

    id: str
    status: Status
    observed_fraction: float
    window: ObservedWindow | None


@dataclass(frozen=True)
class Scene:
    """Everyone at the newest stamp."""

    stamp_ns: int
    frame_id: str
    people: tuple[Person, ...]
    unreadable: int = 0
    """People in the newest message of whom nothing could be used: somebody is there, unlisted."""


class People:
    """Keeps one history per person.

    Args:
        rate_hz: the model's frame rate.
        frames: H, the frames of its history.
        max_gap_s: a longer gap restarts a person's history.
        forget_after_s: how long a person who is no longer reported stays listed, as STALE_INPUT.
        min_observed_fraction: with less than this observed, a person is not predicted.
        max_people: with more, the ones seen first are predicted and the rest are DEGRADED.
    """

    def __init__(
        self,
        rate_hz: float,
        frames: int,
        max_gap_s: float,
        forget_after_s: float,
        min_observed_fraction: float,
        max_people: int,
    ) -> None:
        self._window = (rate_hz, frames, max_gap_s)
        self._forget_after_ns = round(forget_after_s * 1e9)
        self._min_observed_fraction = min_observed_fraction
        self._max_people = max_people
        self._histories: dict[str, History] = {}
        self._newest_ns: int | None = None
        self._frame_id = ''
        self._unreadable = 0
        self._older_stamps: list[int] = []
        self.rejected: Counter[str] = Counter()
        """How often input was rejected, by reason."""
        self.restarts = 0
        """How often the source's time went back for good."""

    def clear(self) -> None:
        """Forget everyone."""
        self._histories.clear()
        self._newest_ns = None
        self._unreadable = 0
        self._older_stamps.clear()

    def update(
        self,
        stamp_ns: int,
        observations: Sequence[Observation],
        frame_id: str = '',
        unreadable: int = 0,
    ) -> bool:
        """Take everyone reported at one stamp.

        Args:
            stamp_ns: time of capture.
            observations: everyone who could be read.
            frame_id: frame of the positions; another one than before restarts everyone, since
                positions of two frames must not meet in one history.
            unreadable: people reported in the same message who could not be read.

        Returns:
            False if the whole message was rejected because its stamp is not newer than the newest.
        """
        if frame_id != self._frame_id:
            self.clear()
            self._frame_id = frame_id
        if self._newest_ns is not None and stamp_ns <= self._newest_ns:
            if not self._time_restarted(stamp_ns):
                return False
            self.clear()
            self.restarts += 1
        self._older_stamps.clear()
        self._newest_ns = stamp_ns
        self._unreadable = unreadable
        for observation in observations:
            if not np.isfinite(observation.positions).all(-1).any():
                self.rejected['no joint observed'] += 1
                self._unreadable += 1
                continue
            if observation.id not in self._histories:
                self._histories[observation.id] = History(*self._window)
            history = self._histories[observation.id]
            if not history.append(stamp_ns, observation.positions):
                self.rejected['id twice in one message'] += 1
                self._unreadable += 1
        for person_id in [
            person_id
            for person_id, history in self._histories.items()
            if stamp_ns - (history.newest_ns or 0) > self._forget_after_ns
        ]:
            del self._histories[person_id]
        return True

    def _time_restarted(self, stamp_ns: int) -> bool:
        """Count a stamp that is not new and say whether there were enough of them."""
        if stamp_ns == self._newest_ns:
            self.rejected['duplicate stamp'] += 1
            return False
        self.rejected['out-of-order stamp'] += 1
        if self._older_stamps and stamp_ns <= self._older_stamps[-1]:
            self._older_stamps.clear()
        self._older_stamps.append(stamp_ns)
        return len(self._older_stamps) >= RESTART_AFTER

    def scene(self) -> Scene | None:
        """Return everyone at the newest stamp; None before the first message."""
        if self._newest_ns is None:
            return None
        people: list[Person] = []
        places = self._max_people
        for person_id, history in self._histories.items():
            person = self._person(person_id, history, has_place=places > 0)
            places -= person.window is not None
            people.append(person)
        return Scene(self._newest_ns, self._frame_id, tuple(people), self._unreadable)

    def _person(self, person_id: str, history: History, has_place: bool) -> Person:
        if history.newest_ns != self._newest_ns:  # not in the newest message
            return Person(person_id, Status.STALE_INPUT, 0.0, None)
        if not history.is_full():
            return Person(person_id, Status.WARMING_UP, 0.0, None)
        if not has_place:
            return Person(person_id, Status.DEGRADED, 0.0, None)
        window = history.window()
        if window is None or window.observed_fraction < self._min_observed_fraction:
            fraction = 0.0 if window is None else window.observed_fraction
            return Person(person_id, Status.STALE_INPUT, fraction, None)
        return Person(person_id, Status.OK, window.observed_fraction, window)
