"""Checks ids against motion, and assigns each pose to the history of the right person.

- An id that jumps farther than a person can move, or to another person's place, starts a new
  history. An id that soon jumps back continues its old history.
- The tracker has swapped two ids if each id continues at the place of the other id. The histories
  of swapped ids are exchanged.
- A new id continues the history of a person who was just lost, if the new id appears at the place
  of this person and nobody else is near.
"""

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from motion_predictor.tracking.track import NEAR_M, Crowd, Track, distances_m

FloatArray = NDArray[np.float32]

MAX_FOUND = 10
"""Greatest number of new ids in one message that are compared with people who were lost."""
SWITCHED_M = 0.2
"""A pose contradicts its id if two conditions hold. The pose is farther than SWITCHED_M from the
last pose of the id and from the extrapolated pose of the id. The extrapolated pose of another
person is less than half as far."""
EXCHANGED_M, EXCHANGED_SHARE = 0.03, 0.5
"""Two ids count as swapped if each pose is much nearer to the extrapolated pose of the other id
than to the extrapolated pose of its own id: nearer by EXCHANGED_M, and less than EXCHANGED_SHARE
times as far."""
JUMPED = 'person jumped'


class Identities:
    """Assigns poses to tracks. A track is everything known about one person.

    Args:
        fresh: function that returns an empty track for a new person.
        max_gap_ns: a track ends if its person is not seen for longer than this time.
        max_speed: speed in m/s that no person exceeds.
        reassociate_ns: time for which a new id can continue the history of a lost person; 0 if no
            new id may do so.
        rejected: counter of ids that were not believed, by reason.
    """

    def __init__(
        self,
        fresh: Callable[[], Track],
        max_gap_ns: int,
        max_speed: float,
        reassociate_ns: int,
        rejected: Counter[str],
    ) -> None:
        self._fresh = fresh
        self._max_gap_ns = max_gap_ns
        self._max_speed = max_speed
        self._reassociate_ns = reassociate_ns
        self._rejected = rejected

    def assign(
        self, tracks: dict[str, Track], stamp_ns: int, readable: Mapping[str, FloatArray]
    ) -> dict[str, Track]:
        """Return for each pose of a message the track of its person, which may be a new track.

        Each pose is compared with the tracks as they were before this message. So the order of
        poses in the message does not matter.

        Args:
            tracks: tracks of all people by id. If a track continues under a new id, the track
                gets the new id as its key.
            stamp_ns: stamp of the message.
            readable: poses (J, 3) by id.
        """
        crowd = Crowd(list(tracks.values()), stamp_ns)
        self._follow_new_ids(tracks, crowd, stamp_ns, readable)
        self._follow_swapped_ids(tracks, stamp_ns, readable)
        return {
            person_id: self._track_of(crowd, tracks.get(person_id), stamp_ns, positions)
            for person_id, positions in readable.items()
        }

    def _follow_new_ids(
        self,
        tracks: dict[str, Track],
        crowd: Crowd,
        stamp_ns: int,
        readable: Mapping[str, FloatArray],
    ) -> None:
        """Continue the tracks of people who were just lost, if a new id appears at their place.

        A track is not continued if several new ids are near its person, or if several people are
        near the new id.
        """
        new = [person_id for person_id in readable if person_id not in tracks]
        if not tracks or not 0 < len(new) <= MAX_FOUND:
            return
        ids = list(tracks)
        absent = np.array([person_id not in readable for person_id in ids])
        lost = absent & (crowd.elapsed_s <= self._reassociate_ns * 1e-9)
        if not lost.any():
            return
        # A new id may also be a person who is still seen under another id.
        ways_m = np.stack([distances_m(readable[person_id], crowd.last) for person_id in new])
        reach = ways_m <= self._max_speed * crowd.elapsed_s + NEAR_M  # (new, N)
        reach &= lost | ~absent
        for row, person_id in enumerate(new):
            (near,) = np.nonzero(reach[row])
            if len(near) != 1 or not lost[near[0]] or reach[:, near[0]].sum() != 1:
                continue
            if crowd.tracks[near[0]].surprise_m(stamp_ns, readable[person_id]) <= NEAR_M:
                tracks[person_id] = tracks.pop(ids[near[0]])

    def _follow_swapped_ids(
        self, tracks: dict[str, Track], stamp_ns: int, readable: Mapping[str, FloatArray]
    ) -> None:
        """Exchange the tracks of two ids if each id continues at the place of the other id."""
        fresh_ns = stamp_ns - self._max_gap_ns
        both = [i for i in readable if i in tracks and tracks[i].newest_ns >= fresh_ns]
        if len(both) < 2:
            return
        own_m = {i: tracks[i].surprise_m(stamp_ns, readable[i]) for i in both}
        astray = [i for i in both if own_m[i] > EXCHANGED_M]
        while len(astray) > 1:
            one = astray.pop()
            for other in astray:
                crossed_m = (
                    tracks[other].surprise_m(stamp_ns, readable[one]),
                    tracks[one].surprise_m(stamp_ns, readable[other]),
                )
                if all(
                    way_m < min(EXCHANGED_SHARE * own_m[i], own_m[i] - EXCHANGED_M)
                    for way_m, i in zip(crossed_m, (one, other), strict=True)
                ):
                    tracks[one], tracks[other] = tracks[other], tracks[one]
                    self._rejected['ids swapped'] += 1
                    astray.remove(other)
                    break

    def _track_of(
        self, crowd: Crowd, track: Track | None, stamp_ns: int, positions: FloatArray
    ) -> Track:
        """Return the track that a pose continues, or a new track if the pose continues none."""
        if track is None or stamp_ns - track.newest_ns > self._max_gap_ns:
            return self._fresh()
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
        self._rejected[reason] += 1
        fresh = self._fresh()
        track.before = None
        fresh.before = track
        fresh.left_behind = reason == JUMPED
        return fresh

    def _contradiction(
        self, crowd: Crowd, track: Track, stamp_ns: int, positions: FloatArray
    ) -> str | None:
        """Return the reason why a pose cannot belong to the person of a track, or None."""
        way_m = track.way_m(positions)
        if way_m <= SWITCHED_M:
            return None
        surprise_m = track.surprise_m(stamp_ns, positions)
        if surprise_m > SWITCHED_M:
            others = np.array([other is not track for other in crowd.tracks])
            others &= crowd.elapsed_s <= self._max_gap_ns * 1e-9
            if (distances_m(positions, crowd.going)[others] < surprise_m / 2).any():
                return "id at another person's place"
        elapsed_s = (stamp_ns - track.newest_ns) * 1e-9
        return None if way_m <= self._max_speed * elapsed_s + NEAR_M else JUMPED
