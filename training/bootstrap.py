"""How far averages over windows could be off: clips are resampled, not windows.

Windows of a clip overlap and are of one person in one mood, so that they are not independent. A
resample draws as many clips as there are, with replacement, and takes all their windows; the
interval lies between percentiles of what that gives (Efron 1979; clusters as in Davison and
Hinkley, Bootstrap Methods and their Application, 3.8). Of few clips it is too narrow.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

LEVEL = 0.95
DRAWS = 1000
SEED = 0


def resampled_means(values: FloatArray, clips: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the average over windows of each resample, (DRAWS, ...).

    The same clips are drawn at every call with the same clips, so that what is computed from two
    resampled averages, as a ratio, is of the same resamples.

    Args:
        values: (W, ...) of windows; NaN = not measured, left out.
        clips: (W,) that each window is of.
    """
    _, cluster = np.unique(clips, return_inverse=True)
    count = int(cluster.max()) + 1
    drawn = _draw(count)
    flat = values.reshape(len(values), -1).astype(np.float64)
    known = np.isfinite(flat)
    sums, counts = np.zeros((2, count, flat.shape[1]))
    np.add.at(sums, cluster, np.where(known, flat, 0))
    np.add.at(counts, cluster, known)
    with np.errstate(invalid='ignore', divide='ignore'):
        means = (drawn @ sums) / (drawn @ counts)
    return means.reshape(DRAWS, *values.shape[1:])


@lru_cache(maxsize=4)
def _draw(clips: int) -> NDArray[np.float64]:
    """Return how often each of some clips is in each resample, (DRAWS, clips)."""
    rng = np.random.default_rng(SEED)
    return rng.multinomial(clips, np.full(clips, 1 / clips), DRAWS).astype(np.float64)


def between(resampled: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the ends (...) of the interval of LEVEL that resampled figures (DRAWS, ...) span."""
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    never = np.isnan(resampled).all(0)
    values = np.where(never, 0, resampled)
    quantile = np.nanquantile if np.isnan(values).any() else np.quantile  # far quicker
    low, high = quantile(values, ends, axis=0)
    return np.where(never, np.nan, low), np.where(never, np.nan, high)


def interval(values: FloatArray, clips: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Return the interval (...) of the average of values (W, ...) of windows of clips (W,).

    Of a single clip it is NaN: nothing tells how another would differ.
    """
    if len(np.unique(clips)) < 2:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing
    return between(resampled_means(values, clips))


def mean(values: FloatArray) -> NDArray[np.float64]:
    """Return the average (...) over windows (W, ...) of what is not NaN; NaN if all is."""
    known = np.isfinite(values)
    with np.errstate(invalid='ignore'):
        return np.where(known, values, 0).sum(0, dtype=np.float64) / known.sum(0)


def over_people(values: FloatArray, people: NDArray[np.str_]) -> NDArray[np.float64]:
    """Return the average (...) over people, each of whom counts the same, of (W, ...)."""
    return mean(np.stack([mean(values[people == person]) for person in np.unique(people)]))
