"""Keeps all observed people, and decides who can be predicted and why others cannot."""

from collections.abc import Sequence
from dataclasses import replace

from motion_predictor.common.status import Status
from motion_predictor.skeleton import Layout
from motion_predictor.tracking.admission import Admission
from motion_predictor.tracking.body import Body
from motion_predictor.tracking.feed import Feed, Verdict
from motion_predictor.tracking.identity import Identities
from motion_predictor.tracking.plausibility import Axes
from motion_predictor.tracking.preference import Preference
from motion_predictor.tracking.presence import Presence
from motion_predictor.tracking.scene import Observation, Scene
from motion_predictor.tracking.standing import WindowCheck
from motion_predictor.tracking.tracks import Tracks


class People:
    """Keeps one history per person. No fault of the input makes the robot cell look empty.

    After the last report of a person, the person is still listed, or counted as unlisted, for
    `forget_after_s`. doc/statuses.md has the rules. `Feed` decides which messages are used.
    `Identities` decides which person a pose belongs to. `Gates` decides which joints are believed.

    Times of arrival and stamps must come from the same clock. If no time of arrival is given, the
    time of capture is used instead.

    Args:
        layout: layout (names and parents) of the joints.
        rate_hz: frame rate of the model.
        frames: H, number of frames of the model's history.
        max_gap_s: longest gap between two frames; a longer gap restarts a person's history.
        forget_after_s: how long a person who is no longer reported stays listed, as STALE_INPUT.
        min_observed_fraction: least share of observed positions, as in `WindowCheck`.
        max_people: greatest number of people who are predicted. If more people are there, the
            nearest to the robot are predicted, and the others have the status TOO_MANY.
        robot_position: position [x, y, z] of the robot, metres, in the frame of the people.
        max_speed: speed in m/s that no person exceeds.
        reassociate_s: time for which a new id can continue the history of a lost person; 0 if no
            new id may do so.
        frozen_after_s: time of identical positions, bit by bit, after which a person counts as
            frozen; 0 if nobody may count as frozen. A frozen person is STALE_INPUT until the
            positions change.

    Raises:
        ValueError: if the robot's position is not three finite numbers.
    """

    def __init__(
        self,
        layout: Layout,
        rate_hz: float,
        frames: int,
        max_gap_s: float = 0.3,
        forget_after_s: float = 1.0,
        min_observed_fraction: float = 0.5,
        max_people: int = 8,
        robot_position: Sequence[float] = (0.0, 0.0, 0.0),
        max_speed: float = 4.0,
        reassociate_s: float = 0.3,
        frozen_after_s: float = 1.0,
    ) -> None:
        self._preference = Preference(robot_position, max_people)
        self._body = Body(layout)
        self._predicted: set[str] = set()
        forget_after_ns = round(forget_after_s * 1e9)
        self._presence = Presence(forget_after_ns)
        self._unreadable = 0
        self._heard_ns = 0
        max_gap_ns, reassociate_ns = round(max_gap_s * 1e9), round(reassociate_s * 1e9)
        self.feed = Feed(max_gap_ns)
        self.rejected = self.feed.rejected
        """Number of rejections of input, by reason."""
        self.remarks = self.feed.remarks
        """Sentences that say what is wrong with the input and what to do, by reason."""
        self._axes = Axes(self._body)
        self._with_window = WindowCheck(
            self._body, min_observed_fraction, self.rejected, self.remarks
        )
        self._admission = Admission(self._body, self.rejected, self.remarks)
        self._tracks = Tracks(
            self._body,
            (rate_hz, frames, max_gap_s),
            forget_after_ns,
            max_speed,
            round(frozen_after_s * 1e9),
            self.rejected,
        )
        self._identities = Identities(
            self._tracks.fresh, max_gap_ns, max_speed, reassociate_ns, self.rejected
        )

    def prefer(self, robot_position: Sequence[float], max_people: int) -> None:
        """Set the robot's position, and the greatest number of people who are predicted.

        Raises:
            ValueError: if the robot's position is not three finite numbers.
        """
        self._preference = Preference(robot_position, max_people)

    # Input

    def update(
        self,
        stamp_ns: int,
        observations: Sequence[Observation],
        frame_id: str = '',
        unreadable: int = 0,
        now_ns: int | None = None,
    ) -> bool:
        """Add the people of one message to their histories.

        Args:
            stamp_ns: time of capture of the message.
            observations: all people whose poses could be read.
            frame_id: coordinate frame of the positions.
            unreadable: number of people in the same message whose poses could not be read.
            now_ns: time of arrival of the message.

        Returns:
            False if the whole message was rejected, because its stamp is not newer than all stamps
            before, or because another coordinate frame is in use.
        """
        if self.feed.newest_ns is None:  # an empty first message does not prove an empty cell
            self._presence.note_somebody(1, stamp_ns if now_ns is None else now_ns)
        verdict = self.feed.decide(stamp_ns, frame_id, stamp_ns if now_ns is None else now_ns)
        if verdict is Verdict.REFUSED:
            now_ns = self._heard_ns if now_ns is None else now_ns
            self.refused(stamp_ns, observations, frame_id, unreadable, now_ns)
            return False
        self._heard_ns = now_ns = stamp_ns if now_ns is None else now_ns
        if verdict is Verdict.AFRESH:
            self._lose_everyone(now_ns)
        readable = self._admission(observations, self._preference.robot)
        self._unreadable = unreadable + len(observations) - len(readable)
        if self._unreadable:
            self._presence.note_somebody(len(observations) + unreadable, now_ns)
        for positions, _ in readable.values():
            self._axes.see(positions)
        poses = {person_id: positions for person_id, (positions, _) in readable.items()}
        found = self._identities.assign(self._tracks.by_id, stamp_ns, poses)
        for person_id, track in found.items():
            self._tracks.observe(person_id, track, stamp_ns, *readable[person_id], now_ns)
        self._tracks.drop_forgotten(stamp_ns, now_ns)
        self._presence.note_others(self._tracks.limit(), now_ns)
        if len(self._tracks) and (sentence := self._axes.wrong()):
            self.rejected['axes or sides of no person'] += 1
            self.remarks['axes or sides of no person'] = sentence
        return True

    def refused(
        self,
        stamp_ns: int,
        observations: Sequence[Observation],
        frame_id: str,
        unreadable: int,
        now_ns: int,
    ) -> None:
        """Count the people of a message that cannot be used, since these people may be there."""
        strangers = 0
        for observation in observations:
            same_frame = frame_id == self.feed.frame_id
            if same_frame and self._tracks.is_of(observation, stamp_ns):
                self._tracks.by_id[observation.id].heard_ns = now_ns
            else:
                strangers += 1
        self._presence.note_others(strangers, now_ns)
        self._presence.note_somebody(len(observations) + unreadable, now_ns)

    def somebody(self, people: int, now_ns: int) -> None:
        """Note that more people may be there: `people`, whose poses could not be read."""
        self._presence.note_somebody(people, now_ns)

    def clear(self, now_ns: int | None = None) -> None:
        """Drop all histories and stamps, because the clock was set to `now_ns`."""
        now_ns = self._heard_ns if now_ns is None else now_ns
        self._presence.time_jumped(now_ns)
        self._lose_everyone(now_ns)
        self.feed.clear()

    def succeed(self, others: 'People', now_ns: int) -> None:
        """Take over from `others`, and count its people, since these people may still be there."""
        self._presence.note_others(others.at_most(now_ns), now_ns)

    def at_most(self, now_ns: int) -> int:
        """Return the number of people who may be there, listed or not."""
        self._tracks.drop_forgotten(now_ns, now_ns)
        return len(self._tracks) + self._unlisted(now_ns)

    def _lose_everyone(self, now_ns: int) -> None:
        """Drop all histories, and count their people, since these people may still be there."""
        self._presence.note_others(len(self._tracks) + self._tracks.left_behind(now_ns), now_ns)
        self._tracks.by_id.clear()
        self._predicted.clear()
        self._unreadable = 0
        self._axes = Axes(self._body)

    # Output

    def listing(self, now_ns: int | None = None) -> Scene | None:
        """Return all people at the newest stamp without windows (the model's input).

        This is quick, since no window is computed. People who can be predicted are listed as OK.
        Before the first message, the result is None.

        Args:
            now_ns: present time; by default, the newest message's time of arrival.
        """
        newest_ns = self.feed.newest_ns
        if newest_ns is None:
            return None
        people = self._tracks.listing(newest_ns, axes_are_wrong=bool(self._axes.wrong()))
        unlisted = self._unlisted(self._heard_ns if now_ns is None else now_ns)
        return Scene(newest_ns, self.feed.frame_id, people, unlisted)

    def scene(self, now_ns: int | None = None) -> Scene | None:
        """Return all people at the newest stamp, each with a window (the model's input) or None.

        People of whom too little is observed are counted in `rejected`. Before the first message,
        the result is None.

        Args:
            now_ns: present time; by default, the newest message's time of arrival.
        """
        listing = self.listing(now_ns)
        if listing is None:
            return None
        people = {person.id: person for person in listing.people}
        ready = {
            person.id: self._tracks.by_id[person.id].place
            for person in listing.people
            if person.status == Status.OK
        }
        predicted: set[str] = set()
        for person_id in self._preference.in_order(ready, self._predicted):
            if len(predicted) < self._preference.max_people:
                person = people[person_id] = self._with_window(
                    people[person_id], self._tracks.by_id[person_id]
                )
                predicted |= {person_id} if person.window is not None else set()
            else:
                people[person_id] = replace(people[person_id], status=Status.TOO_MANY)
        self._predicted = predicted
        return replace(listing, people=tuple(people.values()))

    def _unlisted(self, now_ns: int) -> int:
        """Return the number of people who may be there but are not listed."""
        remembered = self._presence.unlisted(len(self._tracks), now_ns)
        return max(remembered, self._unreadable, self._tracks.left_behind(now_ns))
