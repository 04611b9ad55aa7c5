"""Everyone who is tracked, by id. Poses are added to their tracks, and old tracks are dropped."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from motion_predictor.tracking.admission import MAX_TRACKED, usable
from motion_predictor.tracking.body import Body
from motion_predictor.tracking.scene import Observation, Person
from motion_predictor.tracking.standing import status_of
from motion_predictor.tracking.track import LastSeen, Track

FloatArray = NDArray[np.float32]


class Tracks:
    """The tracks of all people.

    Args:
        body: the body of the layout.
        window: arguments of `History`: rate_hz, frames and max_gap_s.
        forget_after_ns: time for which somebody who is no longer reported is kept.
        max_speed: speed in m/s that no person exceeds.
        frozen_after_ns: a person whose positions stay the same for so long counts as frozen; 0:
            never.
        rejected: counts joints and poses that are not believed, by reason.
    """

    def __init__(
        self,
        body: Body,
        window: tuple[float, int, float],
        forget_after_ns: int,
        max_speed: float,
        frozen_after_ns: int,
        rejected: Counter[str],
    ) -> None:
        self.by_id: dict[str, Track] = {}
        self._body = body
        self._window = window
        self._forget_after_ns = forget_after_ns
        self._max_speed = max_speed
        self._frozen_after_ns = frozen_after_ns
        self._rejected = rejected

    def __len__(self) -> int:
        return len(self.by_id)

    def fresh(self) -> Track:
        """Return an empty track."""
        return Track(self._body, self._window)

    def observe(
        self,
        person_id: str,
        track: Track,
        stamp_ns: int,
        positions: FloatArray,
        said: bytes,
        now_ns: int,
    ) -> None:
        """Add a pose to a person's track, or to a fresh one if the pose contradicts the track.

        Args:
            person_id: id of the person.
            track: the track that was found for the pose.
            stamp_ns: time of capture.
            positions: (J, 3) metres, NaN = missing.
            said: the bytes that the source sent for the person.
            now_ns: time of arrival.
        """
        frozen = track.repeats(said, stamp_ns, self._frozen_after_ns)
        if frozen:
            self._rejected['frozen'] += 1
        elif track.frozen:  # repeated poses were not observed
            track = self.fresh()
            track.repeats(said, stamp_ns, self._frozen_after_ns)
        track.frozen = frozen
        if not track.observe(stamp_ns, positions, self._rejected):
            track = self.fresh()
            track.repeats(said, stamp_ns, self._frozen_after_ns)
            track.observe(stamp_ns, positions, self._rejected)
        track.heard_ns = now_ns
        self.by_id[person_id] = track

    def is_of(self, observation: Observation, stamp_ns: int) -> bool:
        """Whether an observation can be of the person who is tracked under its id."""
        track = self.by_id.get(observation.id)
        if track is None:
            return False
        positions = usable(observation.positions)
        return not np.isfinite(positions).any() or track.may_be(
            positions, stamp_ns, self._max_speed
        )

    def limit(self) -> int:
        """Keep the newest `MAX_TRACKED` people and return how many others were dropped."""
        if len(self.by_id) <= MAX_TRACKED:
            return 0
        order = sorted(self.by_id, key=lambda n: self.by_id[n].newest_ns, reverse=True)
        for person_id in order[MAX_TRACKED:]:
            del self.by_id[person_id]
        return len(order) - MAX_TRACKED

    def drop_forgotten(self, stamp_ns: int, now_ns: int) -> None:
        """Drop people who were neither seen nor reported for too long.

        Args:
            stamp_ns: time of capture of the newest message.
            now_ns: the time now, by the clock of arrival.
        """
        oldest_ns, silent_ns = stamp_ns - self._forget_after_ns, now_ns - self._forget_after_ns
        self.by_id = {
            person_id: track
            for person_id, track in self.by_id.items()
            if track.newest_ns >= oldest_ns or track.heard_ns >= silent_ns
        }

    def left_behind(self, now_ns: int) -> int:
        """Return the number of people who may still be where their id was before it jumped."""
        oldest_ns = now_ns - self._forget_after_ns
        jumped = [track.before for track in self.by_id.values() if track.left_behind]
        return sum(before is not None and before.heard_ns >= oldest_ns for before in jumped)

    def listing(self, newest_ns: int, axes_are_wrong: bool) -> tuple[Person, ...]:
        """Return everybody with their status, without a window.

        Args:
            newest_ns: time of capture of the newest message.
            axes_are_wrong: whether the axes or sides of the source seem to be wrong.
        """
        return tuple(
            Person(
                person_id,
                status_of(track, newest_ns, axes_are_wrong),
                0.0,
                None,
                self._last_seen(track, newest_ns),
            )
            for person_id, track in self.by_id.items()
        )

    def _last_seen(self, track: Track, newest_ns: int) -> LastSeen:
        """Return the place where somebody was last seen, and how far they can have moved since.

        Args:
            track: track of the person.
            newest_ns: time of capture of the newest message.
        """
        seen = track.last_seen
        elapsed_s = max(0, newest_ns - seen.stamp_ns) * 1e-9
        return seen._replace(reach_m=seen.reach_m + self._max_speed * elapsed_s)
