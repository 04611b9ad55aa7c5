"""Trials of a search that are stopped early."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from commands import run_train

from motion_predictor.checkpoint import Checkpoint, TransFusionSpec
from motion_predictor_training.config import TuneConfig
from motion_predictor_training.tuning.cost import cost
from motion_predictor_training.tuning.proposals import Search
from motion_predictor_training.tuning.pruning import bar_m
from motion_predictor_training.tuning.results import Latency, Trial, choose

MINIATURE: dict[str, Any] = {
    'base': {
        'name': 'mini',
        'network': {'kind': 'swiftdiff', 'layers': 1, 'width': 16},
        'bank': {'size': 256, 'chunk': 256},
        'optimisation': {'steps': 100, 'batch': 16, 'learning_rate': 1e-3},
    },
    'space': {'optimisation.learning_rate': {'choices': [1e-9, 3e-2]}},
    'search': 'random',
    'trials': 6,
    'initial_trials': 1,
    'steps': 40,
    'pruning': {'at': 0.5, 'after': 2},
    'latency_budget_ms': 1000,
    'latency': {'samples': 5, 'warmup': 1, 'predictions': 5, 'gap_s': 0},
    'validation': {'samples': 5, 'stride': 400},
}
LATENCY = Latency(least_ms=4, median_ms=4, p99_ms=5)


def test_trials_that_stay_behind_are_stopped(
    make_checkpoint: Callable[..., Checkpoint],
    recorded: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The trial that stays behind has a learning rate of almost zero."""
    torch.manual_seed(0)
    network = TransFusionSpec(layers=1, width=8, heads=2, ff_width=8)
    make_checkpoint(network=network).save(tmp_path / 'teacher.safetensors')
    (tmp_path / 'tune.yaml').write_text(yaml.safe_dump(MINIATURE))
    archive, out = str(recorded / 'val.npz'), tmp_path / 'study'
    files = ['--teacher', str(tmp_path / 'teacher.safetensors'), '--train', archive]
    files += ['--validation', archive, '--config', str(tmp_path / 'tune.yaml')]
    assert run_train(['tune', *files, '--out', str(out)]) == 0
    assert 'stopped at' in capsys.readouterr().out

    config = TuneConfig.model_validate(MINIATURE)
    _, *lines = (out / 'trials.jsonl').read_text().splitlines()
    trials = [Trial.model_validate_json(line) for line in lines]
    for trial in trials:
        assert trial.bar_m == bar_m(config, trials[: trial.number])
        assert trial.halfway_m is not None
        behind = trial.bar_m is not None and trial.halfway_m > trial.bar_m
        assert (trial.pruned, trial.finished) == (behind, not behind)
    pruned = [trial.number for trial in trials if trial.pruned]
    assert pruned
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['cost'] == cost(config, trials)
    assert summary['cost']['steps'] == 40 * (6 - len(pruned)) + 20 * len(pruned)
    assert not set(pruned) & set(summary['pareto_front'])


def test_a_stopped_trial_is_worth_what_it_had_reached() -> None:
    config = TuneConfig.model_validate(MINIATURE)
    whole = Trial(number=0, sought='base', values={}, latency=LATENCY, score_m=0.5, halfway_m=0.6)
    stopped = Trial(
        number=1, sought='initial', values={}, latency=LATENCY, halfway_m=0.7, pruned=True
    )
    failed = Trial(number=2, sought='initial', values={}, problem='it failed')
    assert Search(config).worths('accuracy', [whole, stopped, failed]) == [0.5, 0.7, 0.7]
    assert choose('balance', [whole, stopped, failed], config).number == 0
    assert bar_m(config, [whole]) is None
    assert bar_m(config, [whole, stopped, failed]) == pytest.approx(0.65)
