"""Everything known about one person: history, state of all checks, and last observed position."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motion_predictor.tracking.body import Body
from motion_predictor.tracking.gates import Gates
from motion_predictor.tracking.history import History, ObservedWindow
from motion_predictor.tracking.steadiness import Steadiness, sway_m

FloatArray = NDArray[np.float32]

NEAR_M = 0.3
"""Margin on the distance that a person can move, for the noise of a tracker and for a change of
speed."""


class LastSeen(NamedTuple):
    """Time, pose and position of a person at the last observation."""

    stamp_ns: int
    """Time of capture."""
    pose: FloatArray
    """(J, 3) metres, NaN for joints that were not seen at that time."""
    place: NDArray[np.floating]
    """(3,) position of the root, or the mean of the seen joints if the root was not seen."""
    reach_m: float
    """Radius of a ball around `place` that held all joints at that time in any posture, metres."""


class Track:
    """Everything known about one person.

    Args:
        body: shape of a body in the layout of the poses.
        window: rate_hz, frames and max_gap_s, which are the arguments of `History`.
    """

    _numbers = count(1)

    def __init__(self, body: Body, window: tuple[float, int, float]) -> None:
        self.number = next(self._numbers)
        """Number of the track; no other track has this number."""
        self._body = body
        self._rate_hz = window[0]
        self.history = History(body, *window)
        self.gates = Gates(body)
        self._steadiness = Steadiness()
        self.doubt_m = 0.0
        """Possible error of the position of the whole newest frame, metres."""
        self.before: Track | None = None
        """The track that the id had before the id jumped. This older track is kept because the
        jump may have been a short error of the tracker."""
        self.left_behind = False
        """Whether the person may still be where the id was before the jump."""
        self.heard_ns = 0
        """Time of arrival of the last message that named the person."""
        self.frozen = False
        """Whether the positions of the person have been identical, bit by bit, for too long."""
        self._said = b''
        self._said_since_ns = 0
        self._last_seen: LastSeen | None = None

    @property
    def newest_ns(self) -> int:
        """Stamp of the newest frame."""
        return self.history.newest_ns or 0

    @property
    def place(self) -> NDArray[np.floating]:
        """Last observed position: the root, or the mean of the seen joints, metres (3,)."""
        newest = self.gates.newest
        return newest[0] if np.isfinite(newest[0]).all() else np.nanmean(newest, axis=0)

    @property
    def last_seen(self) -> LastSeen:
        """The last observation of the person; poses that a frozen source repeats do not count."""
        if self.frozen and self._last_seen is not None:
            return self._last_seen
        newest = self.gates.newest
        has_root = bool(np.isfinite(newest[0]).all())
        reach_m = self._body.reach_m(self.gates.limbs_m)
        # If the root was not seen, the place is the mean of some joints. The root may be one reach
        # away from this mean, and another joint one reach away from the root. So this joint may be
        # two reaches away from the mean.
        reach_m = self.doubt_m + (reach_m if has_root else 2 * reach_m)
        return LastSeen(self.newest_ns, newest, self.place, reach_m)

    def observe(self, stamp_ns: int, positions: FloatArray, rejected: Counter[str]) -> bool:
        """Add a pose to the history, without the joints that fail a check.

        Args:
            stamp_ns: stamp of the pose, newer than all stamps before.
            positions: positions of the joints, metres, NaN = missing (J, 3).
            rejected: counter of joints and poses that fail a check, by reason.

        Returns:
            False if the pose contradicts the history; in that case nothing was added.
        """
        doubt_m, velocities = 0.0, None
        if self.history.knows_velocity():
            velocities = self.history.joint_velocities()
            elapsed_ns = stamp_ns - self.newest_ns
            going = self.going(stamp_ns).astype(np.float32)
            steadied = self._steadiness.check(elapsed_ns, stamp_ns, positions, going)
            if steadied.is_another:
                rejected['another motion'] += 1
                return False
            if steadied.moved is not None:
                rejected['everything moved'] += 1
                self.history.move(steadied.moved)
                self.gates.move(steadied.moved)
            positions, doubt_m = steadied.positions, steadied.doubt_m
            rejected.update({'whole body jumped': 1} if doubt_m else {})
        checked = self.gates.check(stamp_ns, positions, velocities)
        rejected.update(checked.rejected)
        if checked.contradicts:
            rejected['left and right swapped for good'] += 1
            return False
        self.doubt_m = doubt_m
        self.history.append(stamp_ns, checked.positions)
        return True

    def window(self) -> ObservedWindow | None:
        """Return the model's input, the window of frames that ends at the newest frame.

        The result is None if the history is not full or no joint was seen.
        """
        window = self.history.window(self.gates.limbs_m)
        if window is None:
            return None
        doubt_m = np.hypot(self.doubt_m, sway_m(window.positions, self._rate_hz))
        if not doubt_m:
            return window
        return replace(window, doubt_m=np.hypot(window.doubt_m, np.float32(doubt_m)))

    def repeats(self, said: bytes, stamp_ns: int, frozen_after_ns: int) -> bool:
        """Return whether the source has sent the same bytes for too long, and store the bytes.

        Args:
            said: bytes that the source sent for the person.
            stamp_ns: time of capture.
            frozen_after_ns: time of identical bytes after which a person counts as frozen; 0 if
                nobody may count as frozen.
        """
        if said != self._said:
            self._said, self._said_since_ns = said, stamp_ns
            self._last_seen = None
            return False
        if self._last_seen is None:
            self._last_seen = self.last_seen  # the observation that the source now repeats
        return 0 < frozen_after_ns <= stamp_ns - self._said_since_ns

    def way_m(self, positions: FloatArray) -> float:
        """Return the distance of a pose (J, 3) from the last pose of the track, metres."""
        return float(distances_m(positions, self._comparable(positions)[None])[0])

    def going(self, stamp_ns: int) -> NDArray[np.floating]:
        """Return the newest pose, extrapolated to a stamp, metres (J, 3)."""
        return self.gates.newest + self._step(stamp_ns)

    def surprise_m(self, stamp_ns: int, positions: FloatArray) -> float:
        """Return the distance of a pose (J, 3) from the extrapolated pose of the track, metres."""
        going = self._comparable(positions) + self._step(stamp_ns)
        return float(distances_m(positions, going[None])[0])

    def may_be(self, positions: FloatArray, stamp_ns: int, max_speed: float) -> bool:
        """Whether a pose (J, 3) at another time is near enough to be a pose of this person."""
        elapsed_s = abs(stamp_ns - self.newest_ns) * 1e-9
        return self.way_m(positions) <= max_speed * elapsed_s + NEAR_M

    def _step(self, stamp_ns: int) -> NDArray[np.floating]:
        return self.history.velocity() * (stamp_ns - self.newest_ns) * 1e-9

    def _comparable(self, positions: FloatArray) -> FloatArray:
        """Return the newest pose (J, 3) if it has a joint in common with `positions`.

        If no joint was seen in both poses, return the last observed position of each joint. Last
        observed positions may be old, and the person may have moved since then.
        """
        newest = self.gates.newest
        shared = np.isfinite(positions[:, 0]) & np.isfinite(newest[:, 0])
        return newest if shared.any() else self.gates.last


class Crowd:
    """The poses of all people before a message, as arrays that are computed only once.

    Args:
        tracks: tracks of N people.
        stamp_ns: stamp of the message.
    """

    def __init__(self, tracks: Sequence[Track], stamp_ns: int) -> None:
        self.tracks = tracks
        self._stamp_ns = stamp_ns

    @cached_property
    def elapsed_s(self) -> NDArray[np.float64]:
        """Time since each person was last seen, seconds (N,)."""
        return np.array([self._stamp_ns - track.newest_ns for track in self.tracks]) * 1e-9

    @cached_property
    def last(self) -> NDArray[np.floating]:
        """Last pose of each person, metres (N, J, 3)."""
        return np.stack([track.gates.newest for track in self.tracks])

    @cached_property
    def going(self) -> NDArray[np.floating]:
        """Last pose of each person, extrapolated to the stamp, metres (N, J, 3)."""
        return np.stack([track.going(self._stamp_ns) for track in self.tracks])


def distances_m(positions: FloatArray, others: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the distances of a pose from N other poses, metres (N,).

    The distance of two poses is the median over the joints that both poses have. The distance is
    infinite if the two poses share no joint.

    Args:
        positions: the pose, metres, NaN = missing (J, 3).
        others: the other poses, metres, NaN = missing (N, J, 3).
    """
    ways = np.sort(np.linalg.norm(positions - others, axis=-1), axis=-1)  # NaN last
    shared = np.isfinite(ways).sum(-1)
    middle = ways[np.arange(len(ways)), np.maximum(shared - 1, 0) // 2]
    return np.where(shared > 0, middle, np.inf)
