"""Factors and margins that give the promised coverage, also for people who were left out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor_training.calibration.conformal import Grouped, factors, margins

FloatArray = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Promise:
    """Factors and margins that give the promised coverage, for W windows with n scores each."""

    factors: Doubles
    """(rows, columns, K) factors from the scores of all people."""
    margin: Doubles
    """(Q, K) margins from all scores, each divided by a factor that was made without the person.
    """
    coverage: float
    _others: Doubles  # (W * n, K) factors made without the person
    _rest: FloatArray  # (W * n, K) scores divided by these factors
    _held: NDArray[np.bool_]  # (W * n, K) True for a joint inside its ball without any margin
    _groups: Grouped  # groups whose scores share a margin
    _folds: NDArray[np.int64]  # (W,) number of the fold, whose people are left out together

    def cross_fitted(self) -> FloatArray:
        """Return the product of factor and margin for each score (W, K, n).

        The factor comes from the scores of other people. The margin comes from the scores of all
        people.
        """
        return self._of_windows(self._others * self.margin[self._groups.groups])

    def left_out(self) -> FloatArray:
        """Return the product of factor and margin for each score (W, K, n).

        Both the factor and the margin are computed from the scores of other people only.
        """
        result = self._others.copy()
        folds = np.repeat(self._folds, len(self._others) // len(self._folds))
        for fold in range(folds.max() + 1):
            own = folds == fold
            margin = margins(
                self._rest[~own], self._held[~own], self._groups.choose(~own), self.coverage
            )
            # A margin of 0 means that the group has no scores of people outside this fold. Such a
            # group gets the largest margin of all groups.
            known = np.where(margin > 0, margin, margin.max(0))
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
    """Return factors and margins that give the promised coverage.

    The score of a person is divided by a factor that was computed without the fold of this person.
    The margins are computed from these quotients. With factors and margins, the promised coverage
    is reached on average over people, and nearly for each single person.

    Args:
        ratio: errors divided by expected errors; NaN where there is no error (W, K, n).
        held: true for a joint whose error is at most the least radius of its ball; factor and
            margin do not matter for this joint (W, K, n).
        of: groups for the factors: the scores of a group have the same factor.
        groups: Q groups for the margins: the scores of a group have the same margin.
        folds: fold of each window (W,). All people of a fold are left out together.
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
