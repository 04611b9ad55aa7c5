"""How large the balls of somebody who walks are at least, by other people who do.

Most who walk while they are recorded walk on, are predicted well, and a calibration takes their
errors for those of walking. But whoever walks may stop, turn or speed up, whatever those did who
were calibrated on, and is then off by a share of the way that they would have gone.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motion_predictor_training.calibration.conformal import missed_at_most
from motion_predictor_training.calibration.errors import Scores

FloatArray = NDArray[np.float32]
LEVEL = 0.9
"""The share of a person's errors that is looked at, if it is not more that must be held."""
PEOPLE = 0.8
"""The share of the people who walk that need no more."""
FREE_S = 1.0
"""A change of velocity takes time: before this, the floor falls with the square of the time."""
KNOWN = 1.0
"""Windows, half a second apart, in which somebody walks, from which on they are one of them."""


class PaceFloors:
    """Floors of radii, which grow with the speed of the root.

    Each person who walks needs a quantile of their errors over that speed: at LEVEL, or at what
    `missed_at_most` leaves. The floor is what PEOPLE of them need, and zero if nobody walks.

    Args:
        scores: W windows.
        off: (W, K, J) their errors, metres; NaN where there is none.
        folds: (W,) who is left out together.
        paces: m/s, of the root; from the first of them on somebody walks.
        coverage: that is promised.
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
        self._needed: list[tuple[int, NDArray[np.float64]]] = []  # by whom of which fold
        for person in np.unique(scores.people[walks]):
            own = walks & (scores.people == person)
            per_speed = off[own] / self._speed[own, None, None]
            seen = np.isfinite(per_speed).any((0, 2)).all()
            if scores.share[own].sum() >= KNOWN and seen:
                needed = np.nanquantile(per_speed, level, axis=(0, 2))
                self._needed.append((int(folds[own][0]), needed))
        self.everybodys: FloatArray = self._floor(None)
        """(K,) seconds, that the speed of the root is to be multiplied by."""

    def known(self) -> FloatArray:
        """Return the least radii (W, K, 1), metres."""
        return (self.everybodys * self._speed[:, None])[..., None]

    def left_out(self) -> FloatArray:
        """Return the least radii (W, K, 1), metres, that were made without the person."""
        floors = np.stack([self._floor(fold) for fold in range(self._folds.max() + 1)])
        return (floors[self._folds] * self._speed[:, None])[..., None]

    def _floor(self, without: int | None) -> FloatArray:
        """Return the floor (K,) that is made without the people of a fold."""
        needed = [values for fold, values in self._needed if fold != without]
        free = self._times_s >= FREE_S
        if not needed or not free.any():
            return np.zeros_like(self._times_s)
        floor = np.maximum.accumulate(np.quantile(needed, PEOPLE, axis=0))
        first = int(np.argmax(free))
        early = floor[first] * (self._times_s / self._times_s[first]) ** 2
        return np.where(free, floor, np.minimum(floor, early)).astype(np.float32)
