"""Assigns columns of an array to people, by the numbers of their tracks."""

import numpy as np
from numpy.typing import NDArray

MORE = 4
"""Number of columns that are added at once."""


class Columns:
    """Knows the column of each track. A column that is unused for some time goes to another track.

    Args:
        kept_s: time for which a track keeps a column without using it, seconds.
    """

    def __init__(self, kept_s: float) -> None:
        self.count = 0
        self._kept_ns = round(kept_s * 1e9)
        self._of_tracks: dict[int, int] = {}
        self._asked_ns: dict[int, int] = {}  # by track
        self._last: tuple[list[int], NDArray[np.int64]] = [], np.zeros(0, np.int64)

    def of(self, stamp_ns: int, tracks: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[int]]:
        """Return the columns (P,) of tracks, and the columns that were assigned in this call."""
        asked = tracks.tolist()
        self._asked_ns.update(dict.fromkeys(asked, stamp_ns))
        if asked == self._last[0]:
            return self._last[1], []
        fresh = [track for track in asked if track not in self._of_tracks]
        if fresh:
            self._forget(stamp_ns)
        for track in fresh:
            taken = set(self._of_tracks.values())
            self._of_tracks[track] = next(i for i in range(len(taken) + 1) if i not in taken)
        columns = [self._of_tracks[track] for track in asked]
        while max(columns, default=-1) >= self.count:
            self.count += MORE
        self._last = asked, np.array(columns, np.int64)
        return self._last[1], [self._of_tracks[track] for track in fresh]

    def _forget(self, stamp_ns: int) -> None:
        """Free columns whose last use is more than `kept_s` away, in the past or in the future.

        The last use lies in the future if time went back, for example when a recording restarts.
        """
        late = [
            track
            for track, asked_ns in self._asked_ns.items()
            if abs(stamp_ns - asked_ns) > self._kept_ns
        ]
        for track in late:
            del self._of_tracks[track], self._asked_ns[track]
