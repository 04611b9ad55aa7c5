"""Everyone who is being observed: who is there, who can be predicted, and why not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from motion_predictor.body import Body
from motion_predictor.gates import Gates
from motion_predictor.history import History, ObservedWindow
from motion_predictor.skeleton import Layout

FloatArray = NDArray[np.float32]

RESTART_AFTER = 5
"""So many older stamps in a row, each newer than the last, mean that the source's time restarted:
a recording looped or its clock was set back. Fewer are stragglers."""
RECENT_LEAST = 0.5
"""Share of the joints that must have been seen lately: nobody is predicted from a pose that is
mostly memory, unless `min_observed_fraction` allows for it."""
MAX_COORDINATE_M = 1e6
"""What is farther off is no place; squares of it do not fit into the numbers used."""
MAX_TRACKED = 100
"""People remembered at most, however many ids a tracker makes up."""
MAX_FOUND = 10
"""With more new ids in one message, nobody who was lost is looked for among them."""
NEAR_M = 0.3
"""What a tracker's noise and a change of pace may add to the way that a person went."""
SWITCHED_M = 0.2
"""Somebody so far from where their id was, and half as far from another's place, is that one."""
KEEPS_PLACE_M = 0.3
"""Whoever is predicted gives way only to somebody who is so much nearer: no flicker."""


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


@dataclass(frozen=True)
class Scene:
    """Everyone at the newest stamp."""

    stamp_ns: int
    frame_id: str
    people: tuple[Person, ...]
    unreadable: int = 0
    """People in the newest message of whom nothing could be used: somebody is there, unlisted."""


class _Track:
    """One person as long as it is the same one: what was seen of them, and how far it holds."""

    def __init__(self, body: Body, window: tuple[float, int, float]) -> None:
        self.history = History(body, *window)
        self.gates = Gates(body)
        self.before: _Track | None = None
        """Whom the id stood for until it jumped; it may have been a slip of the tracker."""

    @property
    def newest_ns(self) -> int:
        return self.history.newest_ns or 0

    @property
    def place(self) -> NDArray[np.floating]:
        """Where the person was last seen (3,): the root, or the middle of all that was."""
        newest = self.gates.newest
        return newest[0] if np.isfinite(newest[0]).all() else np.nanmean(newest, axis=0)

    def way_m(self, positions: FloatArray) -> float:
        """Return how far a pose (J, 3) is from the last one."""
        return float(_distances_m(positions, self._comparable(positions)[None])[0])

    def going(self, stamp_ns: int) -> NDArray[np.floating]:
        """Return where the joints (J, 3) are by now, if the person goes on."""
        return self.gates.newest + self._step(stamp_ns)

    def surprise_m(self, stamp_ns: int, positions: FloatArray) -> float:
        """Return how far a pose (J, 3) is from where the person was going."""
        going = self._comparable(positions) + self._step(stamp_ns)
        return float(_distances_m(positions, going[None])[0])

    def _step(self, stamp_ns: int) -> NDArray[np.floating]:
        return self.history.velocity() * (stamp_ns - self.newest_ns) * 1e-9

    def _comparable(self, positions: FloatArray) -> FloatArray:
        """Return the last pose (J, 3); joints of earlier ones, if they are all that is shared.

        Where a joint was long ago says little: the person has gone on without showing it.
        """
        newest = self.gates.newest
        shared = np.isfinite(positions[:, 0]) & np.isfinite(newest[:, 0])
        return newest if shared.any() else self.gates.last


class _Crowd:
    """Everybody as they were before a message; what it takes to compare with them is made once.

    Args:
        tracks: whom.
        stamp_ns: of the message.
    """

    def __init__(self, tracks: Sequence[_Track], stamp_ns: int) -> None:
        self.tracks = tracks
        self._stamp_ns = stamp_ns

    @cached_property
    def elapsed_s(self) -> NDArray[np.float64]:
        """(N,) since each was seen."""
        return np.array([self._stamp_ns - track.newest_ns for track in self.tracks]) * 1e-9

    @cached_property
    def last(self) -> NDArray[np.floating]:
        """(N, J, 3) the last pose of each."""
        return np.stack([track.gates.newest for track in self.tracks])

    @cached_property
    def going(self) -> NDArray[np.floating]:
        """(N, J, 3) where each joint is by now, if they all go on."""
        return np.stack([track.going(self._stamp_ns) for track in self.tracks])


def _distances_m(positions: FloatArray, others: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the median distance of the joints that a pose shares with others: (N,).

    It is infinite where they share none.

    Args:
        positions: (J, 3), NaN = missing.
        others: (N, J, 3).
    """
    ways = np.sort(np.linalg.norm(positions - others, axis=-1), axis=-1)  # NaN last
    shared = np.isfinite(ways).sum(-1)
    middle = ways[np.arange(len(ways)), np.maximum(shared - 1, 0) // 2]
    return np.where(shared > 0, middle, np.inf)


class People:
    """Keeps one history per person.

    An id is not believed blindly. One that jumps farther than a person moves, or to another
    person's place, starts a new history, and goes on with the old one if it jumps back before
    that is too old. A new id where somebody was just lost, and nobody else is near, goes on with
    theirs. Joints pass the gates of `Gates`.

    Args:
        layout: of the positions.
        rate_hz: the model's frame rate.
        frames: H, the frames of its history.
        max_gap_s: a longer gap restarts a person's history.
        forget_after_s: how long a person who is no longer reported stays listed, as STALE_INPUT.
        min_observed_fraction: with less than this observed, a person is not predicted; nor if half
            of the joints, or this share if it is less, have not been seen for 0.1 s.
        max_people: with more, those nearest to the robot are predicted and the rest are DEGRADED.
        robot_position: [x, y, z] of the robot in the frame of the positions, metres.
        max_speed: metres per second that no person exceeds.
        reassociate_s: a person who was lost goes on under a new id for so long; 0 never does.
        frozen_after_s: a source that repeats the same positions for so long, bit by bit, is
            frozen: everybody is STALE_INPUT until they change. 0 never is.

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
        self._max_gap_ns = round(max_gap_s * 1e9)
        self._forget_after_ns = round(forget_after_s * 1e9)
        self._min_observed_fraction = min_observed_fraction
        self._max_speed = max_speed
        self._reassociate_ns = round(reassociate_s * 1e9)
        self._frozen_after_ns = round(frozen_after_s * 1e9)
        self._tracks: dict[str, _Track] = {}
        self._predicted: set[str] = set()
        self._newest_ns: int | None = None
        self._frame_id = ''
        self._unreadable = 0
        self._older_stamps: list[int] = []
        self._payload: list[tuple[str, bytes]] = []
        self._payload_since_ns = 0
        self._frozen = False
        self.rejected: Counter[str] = Counter()
        """How often input was rejected, by reason."""
        self.restarts = 0
        """How often the source's time went back for good."""

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

    def clear(self) -> None:
        """Forget everyone."""
        self._tracks.clear()
        self._predicted.clear()
        self._newest_ns = None
        self._unreadable = 0
        self._older_stamps.clear()
        self._payload = []
        self._frozen = False

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
        self._watch_payload(stamp_ns, observations)
        readable = self._readable(observations)
        self._unreadable = unreadable + len(observations) - len(readable)
        # Compared with where everybody was before this message, whatever the order in it.
        crowd = _Crowd(list(self._tracks.values()), stamp_ns)
        self._follow_new_ids(crowd, stamp_ns, readable)
        tracks = {
            person_id: self._track_of(crowd, stamp_ns, person_id, positions)
            for person_id, positions in readable.items()
        }
        for person_id, track in tracks.items():
            checked = track.gates.check(stamp_ns, readable[person_id])
            self.rejected.update(checked.rejected)
            if checked.contradicts:
                self.rejected['left and right swapped for good'] += 1
                track = _Track(self._body, self._window)
                checked = track.gates.check(stamp_ns, readable[person_id])
            track.history.append(stamp_ns, checked.positions)
            self._tracks[person_id] = track
        self._forget(stamp_ns)
        return True

    def _watch_payload(self, stamp_ns: int, observations: Sequence[Observation]) -> None:
        """Notice a source that repeats itself, and forget everyone when it goes on."""
        payload = [(o.id, o.sent or o.positions.tobytes()) for o in observations]
        if not payload or payload != self._payload:
            if self._frozen:  # what it repeated was not observed
                self._tracks.clear()
            self._payload, self._payload_since_ns, self._frozen = payload, stamp_ns, False
        elif 0 < self._frozen_after_ns <= stamp_ns - self._payload_since_ns:
            self._frozen = True
            self.rejected['frozen'] += 1

    def _readable(self, observations: Sequence[Observation]) -> dict[str, FloatArray]:
        """Return the poses that can be used by id, the nearest if there are too many."""
        readable: dict[str, FloatArray] = {}
        for observation in observations:
            positions = np.asarray(observation.positions, np.float32)
            # Written so that NaN is not there.
            there = np.logical_and.reduce(np.abs(positions) < MAX_COORDINATE_M, axis=-1)  # (J,)
            if not there.any():
                self.rejected['no joint observed'] += 1
            elif observation.id in readable:
                self.rejected['id twice in one message'] += 1
            else:
                readable[observation.id] = np.where(there[:, None], positions, np.float32(np.nan))
        if len(readable) > MAX_TRACKED:
            self.rejected['too many people'] += len(readable) - MAX_TRACKED
            places = [np.nanmean(positions, axis=0) for positions in readable.values()]
            nearest = np.argsort(np.linalg.norm(places - self._robot, axis=-1), kind='stable')
            ids = list(readable)
            readable = {ids[i]: readable[ids[i]] for i in sorted(nearest[:MAX_TRACKED])}
        return readable

    def _follow_new_ids(
        self, crowd: _Crowd, stamp_ns: int, readable: dict[str, FloatArray]
    ) -> None:
        """Give the tracks of people who were just lost to the new ids that must be theirs."""
        new = [person_id for person_id in readable if person_id not in self._tracks]
        if not self._tracks or not 0 < len(new) <= MAX_FOUND:
            return
        ids = list(self._tracks)
        absent = np.array([person_id not in readable for person_id in ids])
        lost = absent & (crowd.elapsed_s <= self._reassociate_ns * 1e-9)
        if not lost.any():
            return
        # Everybody within reach counts, so that only one way to put it together remains.
        ways_m = np.stack([_distances_m(readable[person_id], crowd.last) for person_id in new])
        reach = ways_m <= self._max_speed * crowd.elapsed_s + NEAR_M  # (new, N)
        reach &= lost | ~absent
        for row, person_id in enumerate(new):
            (near,) = np.nonzero(reach[row])
            if len(near) != 1 or not lost[near[0]] or reach[:, near[0]].sum() != 1:
                continue
            if crowd.tracks[near[0]].surprise_m(stamp_ns, readable[person_id]) <= NEAR_M:
                self._tracks[person_id] = self._tracks.pop(ids[near[0]])

    def _track_of(
        self, crowd: _Crowd, stamp_ns: int, person_id: str, positions: FloatArray
    ) -> _Track:
        """Return the track that a pose under an id goes on with, perhaps a new one."""
        track = self._tracks.get(person_id)
        if track is None or stamp_ns - track.newest_ns > self._max_gap_ns:
            return _Track(self._body, self._window)
        reason = self._contradiction(crowd, track, stamp_ns, positions)
        if reason is None:
            return track
        before = track.before
        if (
            before is not None
            and stamp_ns - before.newest_ns <= self._max_gap_ns
            and self._contradiction(crowd, before, stamp_ns, positions) is None
        ):
            return before
        self.rejected[reason] += 1
        fresh = _Track(self._body, self._window)
        track.before = None
        fresh.before = track
        return fresh

    def _contradiction(
        self, crowd: _Crowd, track: _Track, stamp_ns: int, positions: FloatArray
    ) -> str | None:
        """Return why a pose is not of the person of a track; None if it may well be."""
        way_m = track.way_m(positions)
        if way_m <= SWITCHED_M:
            return None
        surprise_m = track.surprise_m(stamp_ns, positions)
        if surprise_m > SWITCHED_M:
            others = np.array([other is not track for other in crowd.tracks])
            others &= crowd.elapsed_s <= self._max_gap_ns * 1e-9
            if (_distances_m(positions, crowd.going)[others] < surprise_m / 2).any():
                return "id at another person's place"
        elapsed_s = (stamp_ns - track.newest_ns) * 1e-9
        return None if way_m <= self._max_speed * elapsed_s + NEAR_M else 'person jumped'

    def _forget(self, stamp_ns: int) -> None:
        """Forget whoever was lost too long ago, and the longest lost if there are too many."""
        order = sorted(self._tracks, key=lambda n: self._tracks[n].newest_ns, reverse=True)
        for position, person_id in enumerate(order):
            lost_ns = stamp_ns - self._tracks[person_id].newest_ns
            if lost_ns > self._forget_after_ns or position >= MAX_TRACKED:
                del self._tracks[person_id]

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

    def listing(self) -> Scene | None:
        """Return everyone at the newest stamp without their windows, which is cheap.

        Who could be predicted is listed as OK.
        """
        if self._newest_ns is None:
            return None
        people = tuple(
            Person(person_id, self._standing(track), 0.0, None)
            for person_id, track in self._tracks.items()
        )
        return Scene(self._newest_ns, self._frame_id, people, self._unreadable)

    def scene(self) -> Scene | None:
        """Return everyone at the newest stamp; None before the first message.

        People of whom too little is observed are counted as rejected.
        """
        listing = self.listing()
        if listing is None:
            return None
        people = {person.id: person for person in listing.people}
        ready = [person.id for person in listing.people if person.status == Status.OK]
        predicted: set[str] = set()
        if len(ready) > self._max_people:
            ready.sort(key=self._distance_from_robot)
        for person_id in ready:
            if len(predicted) < self._max_people:
                person = people[person_id] = self._person(person_id)
                predicted |= {person_id} if person.window is not None else set()
            else:
                people[person_id] = Person(person_id, Status.DEGRADED, 0.0, None)
        self._predicted = predicted
        return replace(listing, people=tuple(people.values()))

    def _standing(self, track: _Track) -> Status:
        """Return what can be said of a person without a look at the window."""
        if track.newest_ns != self._newest_ns or self._frozen:  # not in the newest message
            return Status.STALE_INPUT
        return Status.OK if track.history.is_full() else Status.WARMING_UP

    def _distance_from_robot(self, person_id: str) -> float:
        distance_m = float(np.linalg.norm(self._tracks[person_id].place - self._robot))
        return distance_m - KEEPS_PLACE_M * (person_id in self._predicted)

    def _person(self, person_id: str) -> Person:
        """Return a person with a full history."""
        track = self._tracks[person_id]
        window = track.history.window(track.gates.limbs_m)
        if window is None:
            self.rejected['too little observed'] += 1
            return Person(person_id, Status.STALE_INPUT, 0.0, None)
        least = self._min_observed_fraction
        if window.observed_fraction < least or window.recent_fraction < min(least, RECENT_LEAST):
            self.rejected['too little observed'] += 1
            return Person(person_id, Status.STALE_INPUT, window.observed_fraction, None)
        return Person(person_id, Status.OK, window.observed_fraction, window)
