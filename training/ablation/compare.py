"""Whether two variants differ: by paired differences on the same windows, with an interval."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion_predictor_training.evaluation.measures import bootstrap


def errors_of(measured: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Return the ADE of every window and seed, (W, N); NaN where it was not measured."""
    columns = [of_seed['per_window']['ADE'] for of_seed in measured]
    return np.array(columns, dtype=np.float64).T


def clusters_of(measured: dict[str, Any]) -> NDArray[np.void]:
    """Return the clip and the person of each window (W,)."""
    windows = measured['per_window']
    return bootstrap.clusters(np.array(windows['clip']), np.array(windows['subject']))


def compare(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    clips: NDArray[np.void],
    tolerance: float,
) -> dict[str, Any]:
    """Return the difference of our ADE from theirs, its interval, and a verdict.

    Clips within people, and seeds, are resampled, the same for both. So effects that a window or a
    seed has on both cancel out. With three seeds the interval is somewhat too narrow.

    Args:
        ours: (W, N) errors by window and seed.
        theirs: (W, N).
        clips: (W,) see `bootstrap.clusters`.
        tolerance: relative difference that does not matter.

    Returns:
        `ADE_change` relative to theirs, `interval` of it (None for a single clip), `verdict`:
        `better` or `worse` if the interval holds no zero, `parity` if all of it is within the
        tolerance, else `not told apart`.
    """
    change = float(np.nanmean(ours) / np.nanmean(theirs) - 1)
    if len(np.unique(clips['clip'])) < 2:
        return {'ADE_change': change, 'interval': None, 'verdict': 'not told apart'}
    by_seed = [bootstrap.resampled_means(errors, clips) for errors in (ours, theirs)]
    rng = np.random.default_rng(bootstrap.SEED)
    seeds = ours.shape[1]
    drawn = rng.integers(seeds, size=(bootstrap.DRAWS, seeds))
    our_means, their_means = (np.take_along_axis(m, drawn, 1).mean(1) for m in by_seed)
    low, high = (float(end) for end in bootstrap.between(our_means / their_means - 1))
    verdict = 'not told apart'
    if max(-low, high) <= tolerance:
        verdict = 'parity'
    elif high < 0 or low > 0:
        verdict = 'better' if high < 0 else 'worse'
    return {'ADE_change': change, 'interval': [low, high], 'verdict': verdict}
