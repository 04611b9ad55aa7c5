"""Assigns slots (rows of an array of learnt factors) to people, even if their ids change."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motion_predictor.tracking.scene import Person

KEPT_S = 60.0
"""A person who was not seen for this time counts as a new person, even if the id is the same."""
LONGEST_S = 0.1
"""Upper limit of the time that one message adds to the evidence. After a longer gap between
messages, only this time counts."""
MOST_TRACKS = 1000
"""Number of remembered tracks above which tracks of people without a slot are forgotten."""


class Slots:
    """Knows the slot of each person. A person keeps the slot if the id changes or comes back."""

    def __init__(self) -> None:
        self.of_ids: dict[str, int] = {}
        self._tracks: dict[int, str] = {}  # ids by track
        self._seen_ns: dict[str, int] = {}

    def forget(self, stamp_ns: int) -> list[int]:
        """Free the slots of people who were not seen recently, and return these slots."""
        late = [
            person_id
            for person_id, seen_ns in self._seen_ns.items()
            if not -KEPT_S <= (stamp_ns - seen_ns) * 1e-9 <= KEPT_S
        ]
        return [self._release(person_id) for person_id in late]

    def recognise(
        self, stamp_ns: int, people: Sequence[Person]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], list[int]]:
        """Return slots of people (P,), seconds since each was last seen (P,), and freed slots.

        The times since people were last seen are limited to LONGEST_S. If a known person takes the
        id of another person, the slot of that other person is freed.
        """
        slots, elapsed_s, freed = [], [], []
        for person in people:
            before = self._tracks.get(person.track, person.id)
            if before != person.id and before in self.of_ids:
                if person.id in self.of_ids:
                    freed.append(self._release(person.id))
                self.of_ids[person.id] = self.of_ids.pop(before)
                self._seen_ns[person.id] = self._seen_ns.pop(before)
            if person.id not in self.of_ids:
                self.of_ids[person.id] = self._free()
            since_s = (stamp_ns - self._seen_ns.get(person.id, stamp_ns)) * 1e-9
            elapsed_s.append(min(max(since_s, 0.0), LONGEST_S))
            slots.append(self.of_ids[person.id])
            self._seen_ns[person.id] = stamp_ns
        self._tracks |= {person.track: person.id for person in people}
        if len(self._tracks) > MOST_TRACKS:
            self._tracks = {t: i for t, i in self._tracks.items() if i in self.of_ids}
        return np.array(slots), np.array(elapsed_s), freed

    def _release(self, person_id: str) -> int:
        del self._seen_ns[person_id]
        return self.of_ids.pop(person_id)

    def _free(self) -> int:
        return next(i for i in range(len(self.of_ids) + 1) if i not in self.of_ids.values())
