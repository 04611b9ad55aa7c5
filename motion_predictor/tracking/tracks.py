"""Keeps the track of each person by id, adds poses to tracks, and drops old tracks."""

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
    """The tracks of all people. A track is everything known about one person.

    Args:
        body: shape of a body in the layout of the poses.
        window: rate_hz, frames and max_gap_s, which are the arguments of `History`.
        forget_after_ns: time for which the track of a person who is no longer reported is kept.
        max_speed: speed in m/s that no person exceeds.
        frozen_after_ns: time of identical positions after which a person counts as frozen; 0 if
            nobody may count as frozen.
        rejected: counter of joints and poses that fail a check, by reason.
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
        """Return an empty track for a new person."""
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
        """Add a pose to a person's track, or to a new track if the pose contradicts the old one.

        Args:
            person_id: id of the person.
            track: track that `Identities` has found for the pose.
            stamp_ns: time of capture of the pose.
            positions: positions of the joints, metres, NaN = missing (J, 3).
            said: bytes that the source sent for the person.
            now_ns: time of arrival of the pose.
        """
        frozen = track.repeats(said, stamp_ns, self._frozen_after_ns)
        if frozen:
            self._rejected['frozen'] += 1
        elif track.frozen:  # the old history ends with the repeated poses
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
        """Whether an observation is near enough to the person who is tracked under the same id."""
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
        """Drop people who have been neither seen nor reported for `forget_after_ns`.

        Args:
            stamp_ns: time of capture of the newest message.
            now_ns: present time of the clock that gives the times of arrival.
        """
        oldest_ns, silent_ns = stamp_ns - self._forget_after_ns, now_ns - self._forget_after_ns
        self.by_id = {
            person_id: track
            for person_id, track in self.by_id.items()
            if track.newest_ns >= oldest_ns or track.heard_ns >= silent_ns
        }

    def left_behind(self, now_ns: int) -> int:
        """Return the number of people who may still be where their id was before the id jumped."""
        oldest_ns = now_ns - self._forget_after_ns
        jumped = [track.before for track in self.by_id.values() if track.left_behind]
        return sum(before is not None and before.heard_ns >= oldest_ns for before in jumped)

    def listing(self, newest_ns: int, axes_are_wrong: bool) -> tuple[Person, ...]:
        """Return all tracked people with their status, but without windows (the model's input).

        Args:
            newest_ns: time of capture of the newest message.
            axes_are_wrong: whether the source seems to mix up axes, or left and right.
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
        """Return the last position of a person, with the distance that the person can have moved.

        Args:
            track: track of the person.
            newest_ns: time of capture of the newest message.
        """
        seen = track.last_seen
        elapsed_s = max(0, newest_ns - seen.stamp_ns) * 1e-9
        return seen._replace(reach_m=seen.reach_m + self._max_speed * elapsed_s)
