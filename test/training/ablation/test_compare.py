"""Verdicts of paired differences."""

import numpy as np
import pytest

from motion_predictor_training.ablation.compare import compare
from motion_predictor_training.evaluation.measures import bootstrap

WINDOWS, SEEDS = 200, 3
CLIPS = bootstrap.clusters(np.arange(WINDOWS) // 10, np.repeat(['a', 'b'], WINDOWS // 2))


def errors(scale: float, noise: float, seed: int) -> np.ndarray:
    """Return errors (W, seeds). Windows differ from each other far more than variants do."""
    hard = np.random.default_rng(0).uniform(0.1, 2.0, (WINDOWS, 1))
    return hard * scale * (1 + noise * np.random.default_rng(seed).normal(size=(WINDOWS, SEEDS)))


@pytest.mark.parametrize(
    ('scale', 'noise', 'verdict'),
    [
        (0.95, 0.02, 'better'),
        (1.05, 0.02, 'worse'),
        (1.0, 0.01, 'parity'),
        (1.0, 1.0, 'not told apart'),
    ],
)
def test_small_differences_are_told_where_windows_and_seeds_allow(
    scale: float, noise: float, verdict: str
) -> None:
    found = compare(errors(scale, noise, 1), errors(1.0, 0.01, 2), CLIPS, tolerance=0.01)
    assert found['verdict'] == verdict
    low, high = found['interval']
    assert low < found['ADE_change'] < high


def test_a_seed_that_differs_widens_the_interval() -> None:
    theirs = errors(1.0, 0.0, 1)
    ours = theirs * np.array([0.9, 1.0, 1.02])  # the first seed has a much smaller error
    found = compare(ours, theirs, CLIPS, tolerance=0.01)
    assert found['ADE_change'] < -0.02 and found['verdict'] == 'not told apart'
    alone = compare(ours[:, :1], theirs[:, :1], CLIPS, tolerance=0.01)
    assert alone['verdict'] == 'better', 'a single seed would have decided'


def test_of_one_clip_nothing_is_said() -> None:
    one = bootstrap.clusters(np.zeros(5, np.int64), np.array(['a'] * 5))
    found = compare(np.ones((5, 2)), 2 * np.ones((5, 2)), one, tolerance=0.01)
    assert found['interval'] is None and found['verdict'] == 'not told apart'
