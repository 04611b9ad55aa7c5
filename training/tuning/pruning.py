"""Pruning: stops bad trials early, by the median rule."""

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from motion_predictor.checkpoint import Checkpoint
from motion_predictor_training.config import TuneConfig
from motion_predictor_training.evaluation.evaluate import evaluate_checkpoint
from motion_predictor_training.files import replaced
from motion_predictor_training.tuning.results import Trial


class Hopeless(Exception):  # noqa: N818  it is no error
    """A trial is worse than most earlier trials were at the same step."""


def bar_m(config: TuneConfig, done: Sequence[Trial]) -> float | None:
    """Return the bar: the median of early scores, which the next trial must not exceed.

    The bar is None while too few trials have an early score.
    """
    reached = [trial.halfway_m for trial in done if trial.halfway_m is not None]
    if config.pruning is None or len(reached) < config.pruning.after:
        return None
    return statistics.median(reached)


def measured(path: Path, config: TuneConfig, validation: Path) -> tuple[float, dict[str, float]]:
    """Measure a student on validation data; return its score and all its metrics."""
    asked = config.validation
    result = evaluate_checkpoint(path, validation, asked.samples, asked.stride)
    figures: dict[str, float] = dict(result['rows']['model'])
    figures['energy_m'] = result['scores']['all']['energy_world_m']['mean'][-1]
    return figures['energy_m' if config.score == 'energy' else 'ADE'], figures


def require_hope(score_m: float | None, bar: float | None) -> None:
    """Raise Hopeless if the early score of a trial is above the bar (see `bar_m`).

    If `score_m` or `bar` is None, the trial may go on.

    Raises:
        Hopeless: if the early score is above the bar.
        ValueError: if the early score is not finite.
    """
    if score_m is not None and not math.isfinite(score_m):
        raise ValueError(f'its early score {score_m} is not finite')
    if score_m is not None and bar is not None and score_m > bar:
        raise Hopeless


class Rung:
    """Measures a trial's early score once during its training.

    A trial whose early score is above the bar is stopped.

    The early score is written to a file, so that a resumed trial is judged by the same score.

    Args:
        config: settings of the search.
        validation: archive to measure the early score on.
        bar: early score that the trial must not exceed, metres. If there is no bar, the trial is
            not stopped.
        folder: folder of the trial.
        student: student of the trial, before its training.
    """

    def __init__(
        self,
        config: TuneConfig,
        validation: Path,
        bar: float | None,
        folder: Path,
        student: Checkpoint,
    ) -> None:
        assert config.pruning is not None
        self.every = max(1, round(config.pruning.at * config.steps))
        self._config, self._validation, self._bar = config, validation, bar
        self._folder, self._student = folder, student

    def __call__(self, network: nn.Module, step: int) -> dict[str, float]:
        """Measure the early score, if `step` is the training step for this measurement.

        Raises:
            Hopeless, ValueError: as raised by `require_hope`.
        """
        if step != self.every:
            return {}
        path = self._folder / 'halfway.safetensors'
        student = self._student
        Checkpoint.of(student.header, network, student.build_parametrisation()).save(path)
        score_m, _ = measured(path, self._config, self._validation)
        path.unlink()
        with replaced(self._folder / 'halfway.json') as draft:
            draft.write_text(json.dumps(score_m))
        require_hope(score_m, self._bar)
        return {'score_m': score_m}


def halfway_m(folder: Path) -> float | None:
    """Return the early score of a trial from its folder, or None if it was not measured."""
    path = folder / 'halfway.json'
    return float(json.loads(path.read_text())) if path.is_file() else None
