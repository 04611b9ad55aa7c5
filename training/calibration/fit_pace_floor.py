"""Fits the smallest radii for people who walk.

Most people who walk in a recording go on walking. They are predicted well, so a calibration finds
small errors for walking. But any walker may stop, turn or speed up, even if nobody in the
calibration did. The error is then a share of the way that they would have gone.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motion_predictor_training.calibration.conformal import missed_at_most
from motion_predictor_training.calibration.errors import Scores

FloatArray = NDArray[np.float32]
LEVEL = 0.9
"""The floor of a person holds this share of their errors, or more if the coverage needs it."""
PEOPLE = 0.8
"""The floor of everybody is enough for this share of the people who walk."""
FREE_S = 1.0
"""Below this the floor falls with the square of the time, since changing velocity takes time."""
KNOWN = 1.0
"""A person who walks has at least this many walking windows, half a second apart."""


class PaceFloors:
    """Floors of radii, which grow with the speed of the root.

    The errors of a person who walks are divided by that speed. The person needs a quantile of
    these ratios. Its level is LEVEL, or higher if `missed_at_most` allows fewer misses. The floor
    is enough for the share PEOPLE of those who walk. It is zero if nobody walks.

    Args:
        scores: W windows.
        off: errors of the windows (W, K, J), metres; NaN where there is none.
        folds: fold of each window (W,). A fold is left out as a whole.
        paces: limits of the speed of the root, m/s. People walk from the first limit on.
        coverage: the promised coverage.
    """

    def __init__(
        self,
        scores: Scores,
        off: FloatArray,
        folds: NDArray[np.int64],
        paces: Sequence[float],
        coverage: float,
    ) -> None:
        self._times_s = scores.times_s
        self._speed = scores.state.root_speed
        self._folds = folds
        walks = self._speed >= (paces[0] if paces else np.inf)
        level = max(LEVEL, 1 - missed_at_most(coverage))
        # For each person who walks: the fold, and the floor that the person needs (K,), seconds.
        self._needed: list[tuple[int, NDArray[np.float64]]] = []
        for person in np.unique(scores.people[walks]):
            own = walks & (scores.people == person)
            per_speed = off[own] / self._speed[own, None, None]
            seen = np.isfinite(per_speed).any((0, 2)).all()
            if scores.share[own].sum() >= KNOWN and seen:
                needed = np.nanquantile(per_speed, level, axis=(0, 2))
                self._needed.append((int(folds[own][0]), needed))
        self.everybodys: FloatArray = self._floor(None)
        """(K,) seconds. Multiplied by the speed of the root, they give the least radii."""

    def known(self) -> FloatArray:
        """Return the least radii (W, K, 1), metres."""
        return (self.everybodys * self._speed[:, None])[..., None]

    def left_out(self) -> FloatArray:
        """Return the least radii that were made without the person (W, K, 1), metres."""
        floors = np.stack([self._floor(fold) for fold in range(self._folds.max() + 1)])
        return (floors[self._folds] * self._speed[:, None])[..., None]

    def _floor(self, without: int | None) -> FloatArray:
        """Return the floor (K,), seconds.

        Args:
            without: number of the fold whose people are left out. None: nobody is left out.
        """
        needed = [values for fold, values in self._needed if fold != without]
        free = self._times_s >= FREE_S
        if not needed or not free.any():
            return np.zeros_like(self._times_s)
        floor = np.maximum.accumulate(np.quantile(needed, PEOPLE, axis=0))
        first = int(np.argmax(free))
        early = floor[first] * (self._times_s / self._times_s[first]) ** 2
        return np.where(free, floor, np.minimum(floor, early)).astype(np.float32)
