"""Factors and margins that keep a promise, also for people who were left out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor_training.calibration.conformal import Grouped, factors, margins

FloatArray = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Promise:
    """The factors and margins that keep a promise for W windows with n scores each."""

    factors: Doubles
    """(rows, columns, K) factors made from everybody."""
    margin: Doubles
    """(Q, K) margins made from everybody's scores over factors made without the person."""
    coverage: float
    _others: Doubles  # (W * n, K) factors made without the person
    _rest: FloatArray  # (W * n, K) scores divided by these factors
    _held: NDArray[np.bool_]  # (W * n, K) True where the joint is held without any margin
    _groups: Grouped  # groups of the margins
    _folds: NDArray[np.int64]  # (W,) number of the fold; a fold is left out as a whole

    def cross_fitted(self) -> FloatArray:
        """Return factors made without the person, times margins made with everybody (W, K, n)."""
        return self._of_windows(self._others * self.margin[self._groups.groups])

    def left_out(self) -> FloatArray:
        """Return factors times margins, both made without the person (W, K, n)."""
        result = self._others.copy()
        folds = np.repeat(self._folds, len(self._others) // len(self._folds))
        for fold in range(folds.max() + 1):
            own = folds == fold
            margin = margins(
                self._rest[~own], self._held[~own], self._groups.choose(~own), self.coverage
            )
            known = np.where(margin > 0, margin, margin.max(0))  # 0: nobody else is in the group
            result[own] *= known[self._groups.groups[own]]
        return self._of_windows(result)

    def _of_windows(self, values: Doubles) -> FloatArray:
        count = len(self._folds)
        return values.reshape(count, -1, values.shape[1]).swapaxes(1, 2).astype(np.float32)


def promise(
    ratio: FloatArray,
    held: NDArray[np.bool_],
    of: Grouped,
    groups: Grouped,
    folds: NDArray[np.int64],
    coverage: float,
) -> Promise:
    """Return the factors and margins that keep a promise.

    The margins are made for factors that do not know the person. With both, the promise is kept on
    average over people, and nearly for each person.

    Args:
        ratio: errors divided by expected errors (W, K, n); NaN where there is none.
        held: True where the ball holds the joint without factor and margin (W, K, n).
        of: groups of the W * n scores, each of which has its own factor.
        groups: Q groups of the W * n scores, each of which has its own margin.
        folds: fold of each window (W,). A fold is left out as a whole.
        coverage: the promised coverage.
    """
    _, frames, each = ratio.shape
    scores = ratio.swapaxes(1, 2).reshape(-1, frames)  # (W * n, K)
    held = held.swapaxes(1, 2).reshape(-1, frames)
    fold = np.repeat(folds, each)
    others = np.empty(scores.shape)
    for left_out in range(folds.max() + 1):
        own = fold == left_out
        table = factors(scores[~own], of.choose(~own), coverage)
        others[own] = table.reshape(-1, frames)[of.groups[own]]
    rest = (scores / others).astype(np.float32)
    margin = margins(rest, held, groups, coverage)
    table = factors(scores, of, coverage)
    return Promise(table, margin, coverage, others, rest, held, groups, folds)
