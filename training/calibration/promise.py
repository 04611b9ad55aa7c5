"""Factors and margins for scores, and what both are of people who had no part in them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor_training.calibration.conformal import Grouped, factors, margins

FloatArray = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Promise:
    """What scores of W windows, n each, are multiplied by to keep a promise."""

    factors: Doubles
    """(rows, columns, K) from everybody."""
    margin: Doubles
    """(Q, K), made of everybody left out."""
    coverage: float
    _others: Doubles  # (W * n, K) factors made without the person
    _rest: FloatArray  # (W * n, K) scores over them
    _held: NDArray[np.bool_]  # (W * n, K) whatever the margin
    _groups: Grouped  # of the margins
    _folds: NDArray[np.int64]  # (W,) who is left out together

    def cross_fitted(self) -> FloatArray:
        """Return factors (W, K, n) without the person, and the margin that makes up for that."""
        return self._of_windows(self._others * self.margin[self._groups.groups])

    def left_out(self) -> FloatArray:
        """Return factors (W, K, n) and margins that both were made without the person."""
        result = self._others.copy()
        folds = np.repeat(self._folds, len(self._others) // len(self._folds))
        for fold in range(folds.max() + 1):
            own = folds == fold
            margin = margins(
                self._rest[~own], self._held[~own], self._groups.choose(~own), self.coverage
            )
            known = np.where(margin > 0, margin, margin.max(0))  # a group of nobody else
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
    """Return what keeps a promise.

    With the margins, factors that were made without a person keep it: on average over people, and
    nearly for each.

    Args:
        ratio: (W, K, n) errors over what was to be expected; NaN where there is none.
        held: (W, K, n) what is held by something else than factors and margins.
        of: the groups of the W * n scores.
        groups: the Q groups of the scores that get margins of their own.
        folds: (W,) who is left out together.
        coverage: that is promised.
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
