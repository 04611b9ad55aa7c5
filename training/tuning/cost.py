"""Computes what a search cost in training steps, and how much pruning saved."""

from collections.abc import Sequence
from typing import Any

from scipy.stats import spearmanr

from motion_predictor_training.config import TuneConfig
from motion_predictor_training.tuning.results import Trial


def cost(config: TuneConfig, trials: Sequence[Trial]) -> dict[str, Any]:
    """Return how many training steps the trials of a search took.

    Returns:
        `steps`: number of training steps of all trials together. `finished`, `pruned`, `failed`:
        number of trials with each outcome. `saved`: share of the training steps that pruning
        saved. `agreement`: the rank correlation (Spearman's) between early and final scores of the
        finished trials, or None if there are fewer than five. The lower `agreement` is, the more
        good trials pruning may have stopped.
    """
    pruned = sum(trial.pruned for trial in trials)
    finished = [trial for trial in trials if trial.finished]
    at = round(config.pruning.at * config.steps) if config.pruning else 0
    steps = len(finished) * config.steps + pruned * at
    pairs = [(t.halfway_m, t.score_m) for t in finished if t.halfway_m is not None]
    unpruned = (len(finished) + pruned) * config.steps
    return {
        'steps': steps,
        'finished': len(finished),
        'pruned': pruned,
        'failed': len(trials) - len(finished) - pruned,
        'saved': 1 - steps / unpruned if unpruned else 0.0,
        'agreement': float(spearmanr(*zip(*pairs, strict=True))[0]) if len(pairs) >= 5 else None,
    }


def said(spent: dict[str, Any]) -> str:
    """Return the result of `cost` as a sentence."""
    agreement = spent['agreement']
    told = (
        ''
        if agreement is None
        else f'; rank correlation of early and final scores {agreement:.2f}'
    )
    return (
        f'{spent["steps"]} steps of {spent["finished"]} finished, {spent["pruned"]} '
        f'stopped and {spent["failed"]} failed trials; stopping early saved '
        f'{spent["saved"]:.0%}{told}'
    )
