"""Fits the smallest radii for people who walk.

Most people who walk in a recording go on walking. Predictions of steady walking are good, so a
calibration finds small errors. But a walking person may stop, turn or speed up, even if nobody in
the calibration data does so. If a person stops or turns, the error of the prediction is a share of
the distance that steady walking would have covered.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motion_predictor_training.calibration.conformal import missed_at_most
from motion_predictor_training.calibration.errors import Scores

FloatArray = NDArray[np.float32]
LEVEL = 0.9
"""Least share of a person's errors that the floor for this person must cover."""
PEOPLE = 0.8
"""Share of the walking people for whom the common floor is large enough."""
FREE_S = 1.0
"""At earlier times the floor falls with the square of the time, since a change of velocity takes
time."""
KNOWN = 1.0
"""Least number of walking windows, half a second apart, of a person who counts as walking."""


class PaceFloors:
    """Smallest radii (floors) for walking people, which grow with the speed of the root.

    The errors of a walking person are divided by the speed of the root. A quantile of these
    quotients is the floor for this person. The level of the quantile is LEVEL, or higher if
    `missed_at_most` allows fewer misses. For the share PEOPLE of the walking people, the common
    floor is at least as large as their own floor. If nobody walks, the common floor is zero.

    Args:
        scores: speeds, people and times of W windows.
        off: errors of the windows, metres; NaN where there is no error (W, K, J).
        folds: fold of each window (W,). All people of a fold are left out together.
        paces: limits of the speed of the root, m/s. A person who is at least as fast as the first
            limit counts as walking.
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
        # The fold of each walking person, and the floor for this person (K,), seconds.
        self._needed: list[tuple[int, NDArray[np.float64]]] = []
        for person in np.unique(scores.people[walks]):
            own = walks & (scores.people == person)
            per_speed = off[own] / self._speed[own, None, None]
            seen = np.isfinite(per_speed).any((0, 2)).all()
            if scores.share[own].sum() >= KNOWN and seen:
                needed = np.nanquantile(per_speed, level, axis=(0, 2))
                self._needed.append((int(folds[own][0]), needed))
        self.everybodys: FloatArray = self._floor(None)
        """(K,) common floor, seconds. The least radius is this floor times the speed of the root.
        """

    def known(self) -> FloatArray:
        """Return the least radii, which are the common floor times the speed, metres (W, K, 1)."""
        return (self.everybodys * self._speed[:, None])[..., None]

    def left_out(self) -> FloatArray:
        """Return the least radii of all windows, metres (W, K, 1).

        For each window, the common floor is computed without the people of the window's fold.
        """
        floors = np.stack([self._floor(fold) for fold in range(self._folds.max() + 1)])
        return (floors[self._folds] * self._speed[:, None])[..., None]

    def _floor(self, without: int | None) -> FloatArray:
        """Return the common floor (K,), seconds: the least ratio of the radius to the speed.

        Args:
            without: number of the fold whose people are left out; None to leave out nobody.
        """
        needed = [values for fold, values in self._needed if fold != without]
        free = self._times_s >= FREE_S
        if not needed or not free.any():
            return np.zeros_like(self._times_s)
        floor = np.maximum.accumulate(np.quantile(needed, PEOPLE, axis=0))
        first = int(np.argmax(free))
        early = floor[first] * (self._times_s / self._times_s[first]) ** 2
        return np.where(free, floor, np.minimum(floor, early)).astype(np.float32)
