"""Everyone who is being observed: who is there, who can be predicted, and why not."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from motion_predictor.common.status import Status
from motion_predictor.skeleton import Layout
from motion_predictor.tracking.admission import MAX_TRACKED, Admission, usable
from motion_predictor.tracking.body import Body
from motion_predictor.tracking.feed import Feed, Verdict
from motion_predictor.tracking.identity import Identities
from motion_predictor.tracking.plausibility import Axes, wrong_proportions
from motion_predictor.tracking.presence import Presence
from motion_predictor.tracking.scene import Observation, Person, Scene
from motion_predictor.tracking.track import LastSeen, Track

FloatArray = NDArray[np.float32]

RECENT_LEAST = 0.5
"""Share of the joints that must have been seen lately: nobody is predicted from a pose that is
mostly memory, unless `min_observed_fraction` allows for it."""
KEEPS_PLACE_M = 0.3
"""Whoever is predicted gives way only to somebody who is so much nearer: no flicker."""


class People:
    """Keeps one history per person, and never takes a fault for an empty cell.

    Whoever was seen, read or not, is listed or counted as unlisted until `forget_after_s` have
    passed without a word of them; doc/statuses.md has the rules. `Identities` says who is who,
    `Feed` which messages are taken, `Gates` which joints are believed.

    Times of arrival are those of the clock by which messages are stamped. Whoever does not know
    them leaves them out; then messages arrive when they are captured.

    Args:
        layout: of the positions.
        rate_hz: the model's frame rate.
        frames: H, the frames of its history.
        max_gap_s: a longer gap restarts a person's history.
        forget_after_s: how long a person who is no longer reported stays listed, as STALE_INPUT.
        min_observed_fraction: with less than this observed, a person is not predicted; nor if half
            of the joints, or this share if it is less, have not been seen for 0.1 s.
        max_people: with more, those nearest to the robot are predicted and the rest are TOO_MANY.
        robot_position: [x, y, z] of the robot in the frame of the positions, metres.
        max_speed: metres per second that no person exceeds.
        reassociate_s: a person who was lost goes on under a new id for so long; 0 never does.
        frozen_after_s: somebody whose positions are the same for so long, bit by bit, is frozen:
            STALE_INPUT until they change. 0 never is.

    Raises:
        ValueError: if the robot's position is not three finite numbers.
    """

    def __init__(
        self,
        layout: Layout,
        rate_hz: float,
        frames: int,
        max_gap_s: float,
        forget_after_s: float,
        min_observed_fraction: float,
        max_people: int,
        robot_position: Sequence[float] = (0.0, 0.0, 0.0),
        max_speed: float = 4.0,
        reassociate_s: float = 0.3,
        frozen_after_s: float = 1.0,
    ) -> None:
        self.prefer(robot_position, max_people)
        self._body = Body(layout)
        self._window = (rate_hz, frames, max_gap_s)
        self._forget_after_ns = round(forget_after_s * 1e9)
        self._min_observed_fraction = min_observed_fraction
        self._max_speed = max_speed
        self._frozen_after_ns = round(frozen_after_s * 1e9)
        self._tracks: dict[str, Track] = {}
        self._predicted: set[str] = set()
        self._presence = Presence(self._forget_after_ns)
        self._unreadable = 0
        self._heard_ns = 0
        max_gap_ns, reassociate_ns = round(max_gap_s * 1e9), round(reassociate_s * 1e9)
        self.feed = Feed(max_gap_ns)
        self.rejected = self.feed.rejected
        """How often input was rejected, by reason."""
        self.remarks = self.feed.remarks
        """What is wrong with the input and what to do, by reason."""
        self._axes = Axes(self._body)
        self._admission = Admission(self._body, self.rejected, self.remarks)
        self._identities = Identities(
            self._fresh, max_gap_ns, max_speed, reassociate_ns, self.rejected
        )

    def prefer(self, robot_position: Sequence[float], max_people: int) -> None:
        """Set who is predicted where there are more: the nearest to the robot.

        Raises:
            ValueError: if the robot's position is not three finite numbers.
        """
        robot = np.array(robot_position, np.float64)
        if robot.shape != (3,) or not np.isfinite(robot).all():
            raise ValueError(
                f'robot_position must be three numbers [x, y, z], got {list(robot_position)}'
            )
        self._robot = robot
        self._max_people = max_people

    # Input

    def update(
        self,
        stamp_ns: int,
        observations: Sequence[Observation],
        frame_id: str = '',
        unreadable: int = 0,
        now_ns: int | None = None,
    ) -> bool:
        """Take everyone reported at one stamp.

        Args:
            stamp_ns: time of capture.
            observations: everyone who could be read.
            frame_id: frame of the positions.
            unreadable: people reported in the same message who could not be read.
            now_ns: time of arrival.

        Returns:
            False if the whole message was rejected: because its stamp is not newer than the
            newest, or it is in another frame than those that still come.
        """
        verdict = self.feed.decide(stamp_ns, frame_id, stamp_ns if now_ns is None else now_ns)
        if verdict is Verdict.REFUSED:
            now_ns = self._heard_ns if now_ns is None else now_ns
            self.refused(stamp_ns, observations, frame_id, unreadable, now_ns)
            return False
        self._heard_ns = now_ns = stamp_ns if now_ns is None else now_ns
        if verdict is Verdict.AFRESH:
            self._lose_everyone(now_ns)
        readable = self._admission(observations, self._robot)
        self._unreadable = unreadable + len(observations) - len(readable)
        if self._unreadable:
            self._presence.note_somebody(len(observations) + unreadable, now_ns)
        for positions, _ in readable.values():
            self._axes.see(positions)
        poses = {person_id: positions for person_id, (positions, _) in readable.items()}
        for person_id, track in self._identities.assign(self._tracks, stamp_ns, poses).items():
            self._tracks[person_id] = self._observe(track, stamp_ns, *readable[person_id], now_ns)
        self._forget(stamp_ns, now_ns)
        if self._tracks and (sentence := self._axes.wrong()):
            self.rejected['axes or sides of nobody'] += 1
            self.remarks['axes or sides of nobody'] = sentence
        return True

    def refused(
        self,
        stamp_ns: int,
        observations: Sequence[Observation],
        frame_id: str,
        unreadable: int,
        now_ns: int,
    ) -> None:
        """Remember the people of a message that cannot be taken: they are there all the same."""
        strangers = 0
        for observation in observations:
            if self._is_tracked(observation, frame_id, stamp_ns):
                self._tracks[observation.id].heard_ns = now_ns
            else:
                strangers += 1
        self._presence.note_others(strangers, now_ns)
        self._presence.note_somebody(len(observations) + unreadable, now_ns)

    def somebody(self, people: int, now_ns: int) -> None:
        """Remember that so many are there of whom nothing could be read at all."""
        self._presence.note_somebody(people, now_ns)

    def clear(self, now_ns: int | None = None) -> None:
        """Begin anew with the histories and with time: the clock was set to `now_ns`."""
        now_ns = self._heard_ns if now_ns is None else now_ns
        self._presence.time_jumped(now_ns)
        self._lose_everyone(now_ns)
        self.feed.clear()

    def succeed(self, others: 'People', now_ns: int) -> None:
        """Take over from others: whoever they may have seen may still be there."""
        self._presence.note_others(others.at_most(now_ns), now_ns)

    def at_most(self, now_ns: int) -> int:
        """Return how many people may be there, listed or not."""
        self._drop_forgotten(now_ns, now_ns)
        return len(self._tracks) + self._unlisted(now_ns)

    def _lose_everyone(self, now_ns: int) -> None:
        """Give all histories up; who they are of may still be there."""
        self._presence.note_others(len(self._tracks) + self._left_behind(now_ns), now_ns)
        self._tracks.clear()
        self._predicted.clear()
        self._unreadable = 0
        self._axes = Axes(self._body)

    def _is_tracked(self, observation: Observation, frame_id: str, stamp_ns: int) -> bool:
        """Whether somebody in a refused message is one who is tracked."""
        track = self._tracks.get(observation.id)
        if track is None or frame_id != self.feed.frame_id:
            return False
        positions = usable(observation.positions)
        return not np.isfinite(positions).any() or track.may_be(
            positions, stamp_ns, self._max_speed
        )

    def _fresh(self) -> Track:
        return Track(self._body, self._window)

    def _observe(
        self, track: Track, stamp_ns: int, positions: FloatArray, said: bytes, now_ns: int
    ) -> Track:
        """Add a pose to a track and return it, or another one if the two do not go together."""
        frozen = track.repeats(said, stamp_ns, self._frozen_after_ns)
        if frozen:
            self.rejected['frozen'] += 1
        elif track.frozen:  # what it repeated was not observed
            track = self._fresh()
            track.repeats(said, stamp_ns, self._frozen_after_ns)
        track.frozen = frozen
        if not track.observe(stamp_ns, positions, self.rejected):
            track = self._fresh()
            track.repeats(said, stamp_ns, self._frozen_after_ns)
            track.observe(stamp_ns, positions, self.rejected)
        track.heard_ns = now_ns
        return track

    def _forget(self, stamp_ns: int, now_ns: int) -> None:
        """Forget whoever was lost too long ago, and the longest lost if there are too many."""
        self._drop_forgotten(stamp_ns, now_ns)
        if len(self._tracks) > MAX_TRACKED:
            order = sorted(self._tracks, key=lambda n: self._tracks[n].newest_ns, reverse=True)
            for person_id in order[MAX_TRACKED:]:
                del self._tracks[person_id]
            self._presence.note_others(len(order) - MAX_TRACKED, now_ns)

    def _drop_forgotten(self, stamp_ns: int, now_ns: int) -> None:
        """Forget whoever was neither seen nor spoken of for too long."""
        oldest_ns, silent_ns = stamp_ns - self._forget_after_ns, now_ns - self._forget_after_ns
        self._tracks = {
            person_id: track
            for person_id, track in self._tracks.items()
            if track.newest_ns >= oldest_ns or track.heard_ns >= silent_ns
        }

    # What there is

    def listing(self, now_ns: int | None = None) -> Scene | None:
        """Return everyone at the newest stamp without their windows, which is cheap.

        Who could be predicted is listed as OK. None before the first message.

        Args:
            now_ns: the time now; that of the newest message by default.
        """
        newest_ns = self.feed.newest_ns
        if newest_ns is None:
            return None
        people = tuple(
            Person(person_id, self._standing(track), 0.0, None, self._last_seen(track))
            for person_id, track in self._tracks.items()
        )
        unlisted = self._unlisted(self._heard_ns if now_ns is None else now_ns)
        return Scene(newest_ns, self.feed.frame_id, people, unlisted)

    def scene(self, now_ns: int | None = None) -> Scene | None:
        """Return everyone at the newest stamp; None before the first message.

        People of whom too little is observed are counted as rejected.

        Args:
            now_ns: the time now; that of the newest message by default.
        """
        listing = self.listing(now_ns)
        if listing is None:
            return None
        people = {person.id: person for person in listing.people}
        ready = [person.id for person in listing.people if person.status == Status.OK]
        predicted: set[str] = set()
        if len(ready) > self._max_people:
            ready.sort(key=self._distance_from_robot)
        for person_id in ready:
            if len(predicted) < self._max_people:
                person = people[person_id] = self._with_window(people[person_id])
                predicted |= {person_id} if person.window is not None else set()
            else:
                people[person_id] = replace(people[person_id], status=Status.TOO_MANY)
        self._predicted = predicted
        return replace(listing, people=tuple(people.values()))

    def _unlisted(self, now_ns: int) -> int:
        """Return how many may be there beside those who are listed."""
        remembered = self._presence.unlisted(len(self._tracks), now_ns)
        return max(remembered, self._unreadable, self._left_behind(now_ns))

    def _left_behind(self, now_ns: int) -> int:
        """Return how many may still be where they were when their id jumped away."""
        oldest_ns = now_ns - self._forget_after_ns
        jumped = [track.before for track in self._tracks.values() if track.left_behind]
        return sum(before is not None and before.heard_ns >= oldest_ns for before in jumped)

    def _standing(self, track: Track) -> Status:
        """Return what can be said of a person without a look at the window."""
        if track.newest_ns != self.feed.newest_ns or track.frozen:  # not in the newest message
            return Status.STALE_INPUT
        if self._axes.wrong():
            return Status.STALE_INPUT
        return Status.OK if track.history.is_full() else Status.WARMING_UP

    def _last_seen(self, track: Track) -> LastSeen:
        """Return where somebody was last seen, with a reach as of the newest stamp."""
        seen = track.last_seen
        elapsed_s = max(0, (self.feed.newest_ns or 0) - seen.stamp_ns) * 1e-9
        return seen._replace(reach_m=seen.reach_m + self._max_speed * elapsed_s)

    def _distance_from_robot(self, person_id: str) -> float:
        distance_m = float(np.linalg.norm(self._tracks[person_id].place - self._robot))
        return distance_m - KEEPS_PLACE_M * (person_id in self._predicted)

    def _with_window(self, person: Person) -> Person:
        """Return a person of a full history with it, or without if too little was observed."""
        track = self._tracks[person.id]
        window = track.window()
        if sentence := wrong_proportions(self._body, track.gates.limbs_m):
            self.rejected['limbs of nobody'] += 1
            self.remarks['limbs of nobody'] = sentence
            return replace(person, status=Status.STALE_INPUT)
        least = self._min_observed_fraction
        if window is None:
            self.rejected['too little observed'] += 1
            return replace(person, status=Status.STALE_INPUT)
        if window.seen_fraction < least or window.recent_fraction < min(least, RECENT_LEAST):
            self.rejected['too little observed'] += 1
            return replace(
                person, status=Status.STALE_INPUT, observed_fraction=window.observed_fraction
            )
        return replace(
            person,
            observed_fraction=window.observed_fraction,
            window=window,
            track=track.number,
        )
