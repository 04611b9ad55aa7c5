"""Tests whether two variants differ, by paired differences of errors on the same windows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion_predictor_training.evaluation.measures import bootstrap


def errors_of(measured: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Return the ADE of a variant for each window and seed (W, N); NaN if not measured."""
    columns = [of_seed['per_window']['ADE'] for of_seed in measured]
    return np.array(columns, dtype=np.float64).T


def clusters_of(measured: dict[str, Any]) -> NDArray[np.void]:
    """Return the clip and the person of each window (W,), in the form that `bootstrap` takes."""
    windows = measured['per_window']
    return bootstrap.clusters(np.array(windows['clip']), np.array(windows['subject']))


def compare(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    clips: NDArray[np.void],
    tolerance: float,
) -> dict[str, Any]:
    """Compare the ADE of one variant (ours) with that of another (theirs).

    The confidence interval comes from a bootstrap, which draws seeds and clips at random, with
    replacement. Clips are drawn separately for each person. Each draw takes the same seeds and
    clips for both variants. So an effect that a window or a seed has on both variants cancels out.
    With only three seeds, the interval is slightly too narrow.

    Args:
        ours: the ADE of our variant for each window and seed (W, N).
        theirs: the ADE of the other variant for each window and seed (W, N).
        clips: clip and person of each window (W,), see `bootstrap.clusters`.
        tolerance: greatest relative difference of the ADE that does not matter.

    Returns:
        `ADE_change` is the relative difference: our average ADE divided by theirs, minus 1.
        `interval` is the confidence interval of `ADE_change`, or None if there is only one clip.
        `verdict` is `parity` if the interval lies within plus or minus the tolerance. Otherwise
        the verdict is `better` or `worse` if the interval does not contain zero, and `not told
        apart` if the interval contains zero.
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
