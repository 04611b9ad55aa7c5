"""Confidence intervals of averages over windows, from a bootstrap that resamples clips.

Clips are resampled instead of windows. The windows of one clip overlap and show one person in one
activity, so these windows are not independent. A resample draws clips of each person, with
replacement: as many clips as the person has. A resample contains all windows of the drawn clips.
People with a single clip are treated together as one person.

The ends of the interval are percentiles of the resampled averages (Efron 1979). The people are
strata and the clips are clusters, as in sections 3.2 and 3.8 of Davison and Hinkley, Bootstrap
Methods and their Application. The interval is valid for other clips of the measured people, not
for other people. With few clips the interval is too narrow.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

LEVEL = 0.95
DRAWS = 1000
SEED = 0


def clusters(clips: NDArray[np.int64], people: NDArray[np.str_]) -> NDArray[np.void]:
    """Return the clip and the person of each window (W,), in the form that `interval` takes."""
    result = np.empty(len(clips), [('clip', np.int64), ('person', np.int64)])
    result['clip'], result['person'] = clips, np.unique(people, return_inverse=True)[1]
    return result


def resampled_means(values: FloatArray, clips: NDArray[np.void]) -> NDArray[np.float64]:
    """Return DRAWS resampled averages over windows (DRAWS, ...).

    Calls with the same clips draw the same resamples. So, in a ratio of two averages, both
    averages come from the same resamples.

    Args:
        values: values of the windows (W, ...). NaN stands for a value that was not measured, and
            is left out.
        clips: clip and person of each window (W,), see `clusters`.
    """
    _, first, cluster = np.unique(clips['clip'], return_index=True, return_inverse=True)
    count = len(first)
    drawn = _draw(tuple(clips['person'][first].tolist()))
    flat = values.reshape(len(values), -1).astype(np.float64)
    known = np.isfinite(flat)
    sums, counts = np.zeros((2, count, flat.shape[1]))
    np.add.at(sums, cluster, np.where(known, flat, 0))
    np.add.at(counts, cluster, known)
    with np.errstate(invalid='ignore', divide='ignore'):
        means = (drawn @ sums) / (drawn @ counts)
    return means.reshape(DRAWS, *values.shape[1:])


@lru_cache(maxsize=4)
def _draw(people: tuple[int, ...]) -> NDArray[np.float64]:
    """Return how often each clip was drawn in each resample (DRAWS, clips)."""
    rng = np.random.default_rng(SEED)
    owners = np.array(people)
    alone = np.bincount(owners)[owners] == 1
    owners[alone] = -1
    drawn = np.empty((DRAWS, len(owners)))
    for owner in np.unique(owners):
        own = np.flatnonzero(owners == owner)
        drawn[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), DRAWS)
    return drawn


def between(resampled: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the ends (...) of the interval with the share LEVEL of the figures (DRAWS, ...)."""
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    never = np.isnan(resampled).all(0)
    values = np.where(never, 0, resampled)
    # If no value is NaN, np.quantile gives the same result as np.nanquantile and is faster.
    quantile = np.nanquantile if np.isnan(values).any() else np.quantile
    low, high = quantile(values, ends, axis=0)
    return np.where(never, np.nan, low), np.where(never, np.nan, high)


def interval(values: FloatArray, clips: NDArray[np.void]) -> tuple[FloatArray, FloatArray]:
    """Average values (W, ...) over windows; return both ends (...) of the average's interval.

    With a single clip both ends are NaN, since nothing is known about other clips.
    """
    if len(np.unique(clips['clip'])) < 2:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing
    return between(resampled_means(values, clips))


def mean(values: FloatArray) -> NDArray[np.float64]:
    """Average values (W, ...) over windows (...), leaving out NaN; NaN if all W values are NaN."""
    known = np.isfinite(values)
    with np.errstate(invalid='ignore'):
        return np.where(known, values, 0).sum(0, dtype=np.float64) / known.sum(0)


def over_people(values: FloatArray, people: NDArray[np.str_]) -> NDArray[np.float64]:
    """Average values (W, ...) over people, each with the same weight (...)."""
    return mean(np.stack([mean(values[people == person]) for person in np.unique(people)]))
