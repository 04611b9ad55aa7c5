"""Conformal factors: an expected error times its factor is a radius with the promised coverage."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Doubles = NDArray[np.float64]

ENOUGH_WINDOWS = 10.0
"""Number of windows in a group from which a person counts fully as a member of the group."""
FEW_WINDOWS = 5.0
ENOUGH_MISSES = 0.5
"""A person's margin counts fully with FEW_WINDOWS windows and ENOUGH_MISSES allowed misses."""
MISSED_MORE = 2.0
"""Greatest share of misses of one person, as a multiple of the promised share."""
SMALLEST = 1e-6
"""Lower limit of factors."""
CAUTION = 3.0
"""Number of people in a group at which the quantile of the group and the quantile of all scores
have equal weights."""


@dataclass(frozen=True)
class Grouped:
    """N scores per frame, with their groups, people and weights.

    The groups of scores form a table with rows and columns. Within a row of the table of groups,
    factors never fall from one group to the next.
    """

    groups: NDArray[np.int64]  # (N,) number of the group: row * columns + column
    rows: int
    columns: int
    people: NDArray[np.int64]  # (N,) number of the person
    weights: Doubles  # (N,)
    windows: Doubles  # (N,) share of an independent window that the score stands for in its row
    rows_each: int  # number of rows that contain scores of the same window

    @property
    def total(self) -> float:
        """Number of independent windows from which the scores come."""
        return float(self.windows.sum()) / self.rows_each

    def choose(self, chosen: NDArray[np.bool_]) -> 'Grouped':
        """Return only the chosen scores."""
        return replace(
            self,
            groups=self.groups[chosen],
            people=self.people[chosen],
            weights=self.weights[chosen],
            windows=self.windows[chosen],
        )


def quantile(scores: Doubles, weights: Doubles, level: float) -> float:
    """Return the weighted quantile of scores (N,) at `level`.

    NaN scores do not count. If no score is left, the result is NaN.
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
    """Return a level for a quantile of n scores.

    With the probability `coverage`, a new score is at most this quantile.

    The level is a little higher than `coverage`. If the n scores and the new score are
    exchangeable, the new score has each rank with the same probability (Vovk et al. 2005).

    Args:
        coverage: probability that the new score is not above the quantile.
        windows: n, the number of independent scores.
    """
    return min(1.0, coverage * (1 + 1 / max(windows, 1.0)))


def carries(coverage: float, windows: float) -> bool:
    """Return whether there are enough windows for a coverage c: c / (1 - c) windows or more."""
    return windows >= coverage / (1 - coverage) - 1e-9


def missed_at_most(coverage: float) -> float:
    """Return the largest share of misses that a single person in the calibration may have."""
    return min(1.0, MISSED_MORE * (1 - coverage))


def factors(scores: FloatArray, of: Grouped, coverage: float) -> Doubles:
    """Return the factors for the promised coverage, by row, column and frame (G, B, K).

    The factor of a group is a mean of the quantile of the group and the quantile of all scores. A
    group with few people, or with too few windows for the coverage, gets a factor nearer to the
    quantile of all scores. Within a row of the table of groups, no factor is smaller than the
    factor before it (method: pooled adjacent violators).

    Args:
        scores: scores by frame, NaN where there is no score (N, K).
        of: groups of the N scores.
        coverage: the promised coverage.
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
    """Return a factor of at least SMALLEST, or `otherwise` if the factor is NaN."""
    return otherwise if np.isnan(factor) else max(factor, SMALLEST)


def margins(scores: FloatArray, held: NDArray[np.bool_], of: Grouped, coverage: float) -> Doubles:
    """Return margins, by which factors are multiplied, by group and frame (G, K).

    If factors are multiplied by these margins, the promised coverage is reached on average over
    people, and nearly for each single person.

    Args:
        scores: scores divided by factors that were made without the person (N, K).
        held: true for a joint inside its ball without any margin (N, K). A joint inside its ball
            does not enlarge the margin that a single person needs.
        of: groups of the scores, with one group per row.
        coverage: the promised coverage.
    """
    on_average = factors(scores, of, coverage)[:, 0]
    return np.maximum(on_average, worst_person(np.where(held, 0, scores), of, coverage))


def worst_person(scores: FloatArray, of: Grouped, coverage: float) -> Doubles:
    """Return the largest factor that any person of a group needs, by group and frame (G, K).

    A person belongs to the group that has most of their windows. The factor that a person needs is
    so large that at most the share `missed_at_most` of the person's scores is larger than the
    factor. This factor is moved towards 1 if the person has fewer than FEW_WINDOWS windows, or if
    fewer than ENOUGH_MISSES windows may be missed. The factor of a group without people is 0.
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
    """Return the weight w of a group's quantile; the quantile of all scores has 1 - w."""
    if not len(own):
        return 0.0
    windows = np.bincount(of.people[own], weights=of.windows[own])
    people = np.minimum(1.0, windows / ENOUGH_WINDOWS).sum()
    carried = min(1.0, windows.sum() * (1 - coverage) / coverage)
    return float(people / (people + CAUTION) * carried)


def rising(values: Doubles, weights: Doubles) -> Doubles:
    """Return the sequence that never falls and is nearest to the given values (B,).

    The method is isotonic regression by weighted least squares.
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight and length of each block
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, heavy, length = value, weight + 1e-9, 1
        while blocks and blocks[-1][0] > mean:
            other, other_weight, other_length = blocks.pop()
            mean = (mean * heavy + other * other_weight) / (heavy + other_weight)
            heavy, length = heavy + other_weight, length + other_length
        blocks.append((mean, heavy, length))
    return np.concatenate([np.full(length, mean) for mean, _, length in blocks])


def smooth(values: Doubles) -> Doubles:
    """Smooth values over the frames with the weights 1/4, 1/2 and 1/4 (..., K)."""
    padded = np.concatenate([values[..., :1], values, values[..., -1:]], -1)
    return padded[..., :-2] / 4 + padded[..., 1:-1] / 2 + padded[..., 2:] / 4
