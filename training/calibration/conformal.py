"""Conformal factors: expected errors times these give sets with the promised coverage."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Doubles = NDArray[np.float64]

ENOUGH_WINDOWS = 10.0
"""Number of windows in a group from which a person counts as one of the group."""
FEW_WINDOWS = 5.0
ENOUGH_MISSES = 0.5
"""Number of windows, and of misses that they allow, from which the margin of a person is known."""
MISSED_MORE = 2.0
"""No person of the calibration may be missed more than this many times as often as promised."""
SMALLEST = 1e-6
"""Lower limit of factors."""
CAUTION = 3.0
"""Number of people with which the factor of a group has the same weight as that of everybody."""


@dataclass(frozen=True)
class Grouped:
    """N scores a frame, with their groups, people and weights."""

    groups: NDArray[np.int64]  # (N,)
    rows: int
    columns: int  # groups of a row, from each of which to the next factors do not fall
    people: NDArray[np.int64]  # (N,) who
    weights: Doubles  # (N,)
    windows: Doubles  # (N,) how much of a window apart from the others each is, in its row
    rows_each: int  # rows that each window has scores in

    @property
    def total(self) -> float:
        """Number of independent windows of all scores."""
        return float(self.windows.sum()) / self.rows_each

    def choose(self, chosen: NDArray[np.bool_]) -> 'Grouped':
        """Return some of the scores."""
        return replace(
            self,
            groups=self.groups[chosen],
            people=self.people[chosen],
            weights=self.weights[chosen],
            windows=self.windows[chosen],
        )


def quantile(scores: Doubles, weights: Doubles, level: float) -> float:
    """Return the weighted quantile of scores (N,) at `level`.

    Scores that are NaN do not count. Without scores it is NaN.
    """
    known = np.isfinite(scores) & (weights > 0)
    scores, weights = scores[known], weights[known]
    if not len(scores):
        return float('nan')
    order = np.argsort(scores, kind='stable')
    heard = np.cumsum(weights[order])
    place = int(np.searchsorted(heard, level * heard[-1] * (1 - 1e-12)))
    return float(scores[order[min(place, len(order) - 1)]])


def at_least(coverage: float, windows: float) -> float:
    """Return the level of the quantile of n scores that holds the next one with this probability.

    Of n exchangeable scores and the next, each rank is as likely (Vovk et al. 2005).
    """
    return min(1.0, coverage * (1 + 1 / max(windows, 1.0)))


def carries(coverage: float, windows: float) -> bool:
    """Return whether so many windows are enough for a quantile below their largest score."""
    return windows >= coverage / (1 - coverage) - 1e-9


def missed_at_most(coverage: float) -> float:
    """Return the share that is to be missed of nobody calibrated on, at most."""
    return min(1.0, MISSED_MORE * (1 - coverage))


def factors(scores: FloatArray, of: Grouped, coverage: float) -> Doubles:
    """Return the factor of each group at each frame (G, B, K) for the promised coverage.

    The quantile of a group is drawn towards that of all, more strongly if it has few people or too
    few windows for the coverage. Within a row of groups factors never fall (pooled adjacent
    violators).

    Args:
        scores: (N, K), NaN where there is none.
        of: the groups of the N scores.
        coverage: that is promised.
    """
    count = of.rows * of.columns
    members = [np.flatnonzero(of.groups == group) for group in range(count)]
    trust = np.array([_trust(of, own, coverage) for own in members])
    result = np.empty((count, scores.shape[1]))
    level = at_least(coverage, of.total)
    for frame, values in enumerate(scores.T.astype(np.float64)):
        everybody = _usable(quantile(values, of.weights, level), 1.0)
        for group, own in enumerate(members):
            theirs = everybody
            if trust[group]:
                theirs = _usable(quantile(values[own], of.weights[own], level), everybody)
            result[group, frame] = np.log(theirs / everybody) * trust[group] + np.log(everybody)
    heard = np.array([of.weights[own].sum() for own in members]).reshape(of.rows, of.columns)
    table = smooth(result).reshape(of.rows, of.columns, -1)
    for row, weight in zip(table, heard, strict=True):
        for frame in range(table.shape[2]):
            row[:, frame] = rising(row[:, frame], weight)
    return np.exp(table)


def _usable(factor: float, otherwise: float) -> float:
    """Return factors within their limits; NaN stays."""
    return otherwise if np.isnan(factor) else max(factor, SMALLEST)


def margins(scores: FloatArray, held: NDArray[np.bool_], of: Grouped, coverage: float) -> Doubles:
    """Return the correction of the factors in each group at each frame (G, K).

    It keeps the promise on average over people, and nearly for each.

    Args:
        scores: (N, K) over factors that were made without the person.
        held: (N, K) what is held whatever the margin, so that nobody needs one for it.
        of: their groups, which are rows of one.
        coverage: that is promised.
    """
    on_average = factors(scores, of, coverage)[:, 0]
    return np.maximum(on_average, worst_person(np.where(held, 0, scores), of, coverage))


def worst_person(scores: FloatArray, of: Grouped, coverage: float) -> Doubles:
    """Return for each group and frame (G, K) the largest factor that a person in it needs.

    A person belongs to the group of most of their windows. The factor that they need lets at most
    the share `missed_at_most` be missed. With fewer windows than FEW_WINDOWS, or than allow
    ENOUGH_MISSES misses, it is drawn towards 1. Groups without people have 0.
    """
    result = np.zeros((of.rows * of.columns, scores.shape[1]))
    missed = missed_at_most(coverage)
    for person in np.unique(of.people):
        own = np.flatnonzero(of.people == person)
        weights = of.windows[own]
        group = np.bincount(of.groups[own], weights).argmax()
        windows = weights.sum() / of.rows_each
        level = min(1 - missed, (windows + 0.5) / (windows + 1))
        trust = min(1.0, windows / FEW_WINDOWS, windows * missed / ENOUGH_MISSES)
        needed = np.array([quantile(column, weights, level) for column in scores[own].T])
        result[group] = np.fmax(result[group], np.maximum(needed, SMALLEST) ** trust)
    return result


def _trust(of: Grouped, own: NDArray[np.int64], coverage: float) -> float:
    """Return the weight of a group's own quantile, from 0 to 1."""
    if not len(own):
        return 0.0
    windows = np.bincount(of.people[own], weights=of.windows[own])
    people = np.minimum(1.0, windows / ENOUGH_WINDOWS).sum()
    carried = min(1.0, windows.sum() * (1 - coverage) / coverage)
    return float(people / (people + CAUTION) * carried)


def rising(values: Doubles, weights: Doubles) -> Doubles:
    """Return the sequence (B,) that never falls and is nearest to values (B,).

    By weighted least squares: isotonic regression.
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, heavy, length = value, weight + 1e-9, 1
        while blocks and blocks[-1][0] > mean:
            other, other_weight, other_length = blocks.pop()
            mean = (mean * heavy + other * other_weight) / (heavy + other_weight)
            heavy, length = heavy + other_weight, length + other_length
        blocks.append((mean, heavy, length))
    return np.concatenate([np.full(length, mean) for mean, _, length in blocks])


def smooth(values: Doubles) -> Doubles:
    """Return values (..., K) smoothed over the frames, a quarter of each neighbour."""
    padded = np.concatenate([values[..., :1], values, values[..., -1:]], -1)
    return padded[..., :-2] / 4 + padded[..., 1:-1] / 2 + padded[..., 2:] / 4
