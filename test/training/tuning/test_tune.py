"""Tuning in miniature on recorded motion: resumed, with failures, in parallel; its rules."""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from ament_index_python.packages import get_package_prefix
from commands import NOISE, run_train

from motion_predictor.checkpoint import Checkpoint, TransFusionSpec
from motion_predictor.common.installed import installed
from motion_predictor_training.config import ConfigError, DistilConfig, TuneConfig, load_config
from motion_predictor_training.tuning.proposals import Search
from motion_predictor_training.tuning.results import Latency, Trial, Trials, choose, pareto_front

TRAIN = str(Path(get_package_prefix('motion_predictor')) / 'lib' / 'motion_predictor' / 'train')
MINIATURE: dict[str, Any] = {
    'base': {
        'name': 'mini',
        'network': {
            'kind': 'shared_trunk',
            'layers': 2,
            'width': 16,
            'branch_layers': 1,
            'branch_width': 8,
        },
        'bank': {'size': 256, 'chunk': 256},
        'optimisation': {'steps': 5000, 'batch': 16, 'learning_rate': 1e-3, 'save_every': 5},
    },
    'space': {
        'network.layers': {'low': 1, 'high': 4},
        'network.width': {'choices': [8, 16, 32]},
        'optimisation.learning_rate': {'low': 1e-4, 'high': 1e-2, 'log': True},
    },
    'trials': 5,
    'initial_trials': 2,
    'steps': 40,
    'latency_budget_ms': 1000,
    'latency': {'samples': 5, 'warmup': 1, 'predictions': 5, 'gap_s': 0},
    'validation': {'samples': 5, 'stride': 240},
}
HEADS = {
    'base': MINIATURE['base']
    | {'network': {'kind': 'transfusion', 'layers': 1, 'width': 8, 'heads': 2, 'ff_width': 8}},
    'space': {'network.heads': {'choices': [2, 3]}},
    'trials': 3,
    'initial_trials': 3,
    'steps': 5,
}
"""After the base there is one trial per choice. One must fail: 8 is no multiple of 3."""


@pytest.fixture(scope='module')
def command(
    make_checkpoint: Callable[..., Checkpoint],
    recorded: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., list[str]]:
    """Builds a command line that tunes a student of a tiny teacher."""
    teacher = tmp_path_factory.mktemp('teacher') / 'teacher.safetensors'
    torch.manual_seed(0)
    network = TransFusionSpec(layers=1, width=8, heads=2, ff_width=8)
    make_checkpoint(network=network).save(teacher)
    archive = str(recorded / 'val.npz')

    def build(out: Path, *more: str, **changes: Any) -> list[str]:
        config = out.with_suffix('.yaml')
        config.write_text(yaml.safe_dump(MINIATURE | changes))
        files = ['--teacher', str(teacher), '--train', archive, '--validation', archive]
        return ['tune', *files, '--out', str(out), '--config', str(config), *more]

    return build


def recorded_trials(out: Path) -> list[Trial]:
    _, *lines = (out / 'trials.jsonl').read_text().splitlines()
    return [Trial.model_validate_json(line) for line in lines]


def test_a_killed_search_goes_on_as_an_unbroken_one(
    command: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'study'
    state = out / 'trials' / '001' / 'student.state'
    process = subprocess.Popen([TRAIN, *command(out)], stderr=subprocess.DEVNULL)
    patience = time.monotonic() + 120
    while not state.exists() and time.monotonic() < patience:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    reached = torch.load(state, weights_only=True)['step']
    first, second = recorded_trials(out)
    assert first.finished
    assert second.open

    assert run_train(command(out)) == 0
    captured = capsys.readouterr()
    assert f'steps {reached + 1} to 40' in captured.out, 'the trial went on where it was'
    assert 'accuracy' in captured.out
    trials = recorded_trials(out)
    assert trials[0] == first
    assert trials[1].values == second.values
    assert all(trial.finished and trial.latency for trial in trials)
    assert {trial.sought for trial in trials} == {'base', 'initial', 'accuracy', 'balance'}

    config = load_config(TuneConfig, out.with_suffix('.yaml'), [])
    search = Search(config)
    for number, trial in enumerate(trials):
        (again,) = search.propose(trials[:number], 1)
        assert (again.sought, again.values) == (trial.sought, trial.values)

    summary = json.loads((out / 'summary.json').read_text())
    for product in ('accuracy', 'balance'):
        student = load_config(DistilConfig, out / f'{product}.yaml', [])
        chosen = trials[summary['products'][product]['number']]
        assert student.network is not None
        assert student.network.layers == chosen.values['network.layers']
        assert student.network.width == chosen.values['network.width']
        assert student.optimisation.learning_rate == chosen.values['optimisation.learning_rate']
        assert student.optimisation.steps == 5000, 'it is to be trained in full'
        assert (out / f'partial_dependence_{product}.png').stat().st_size > 0
    assert (out / 'convergence.png').stat().st_size > 0
    assert (out / 'accuracy_latency.png').stat().st_size > 0

    assert run_train(command(out, trials=6)) == 0
    assert recorded_trials(out)[:5] == trials, 'more trials may be asked for later'
    capsys.readouterr()
    assert run_train(command(out, seed=7)) == 2
    assert 'was made with other settings, data or teacher' in capsys.readouterr().err


def test_a_failing_trial_is_recorded_and_the_search_goes_on(
    command: Callable[..., list[str]], tmp_path: Path
) -> None:
    out = tmp_path / 'study'
    assert run_train(command(out, **HEADS)) == 0
    by_heads = {trial.values['network.heads']: trial for trial in recorded_trials(out)}
    assert by_heads[2].finished
    assert by_heads[3].problem == 'network.width 8 is no multiple of network.heads 3'


def test_students_beyond_the_latency_budget_are_not_trained(
    command: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'study'
    assert run_train(command(out, latency_budget_ms=1e-3, trials=3)) == 2
    assert 'ms, more than the budget of 0.001 ms' in capsys.readouterr().err
    assert not (out / 'trials').exists()


def test_workers_train_trials_at_the_same_time(
    command: Callable[..., list[str]], tmp_path: Path
) -> None:
    pytest.importorskip('ray', reason='--workers needs ray')
    out = tmp_path / 'study'
    ended = subprocess.run(
        [TRAIN, *command(out, '--workers', '2', **HEADS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert not NOISE.findall(ended.stderr)
    assert {trial.finished for trial in recorded_trials(out)} == {True, False}


def test_workers_without_ray_are_refused_in_one_sentence(
    command: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, 'ray', None)
    monkeypatch.delitem(sys.modules, 'motion_predictor_training.tuning.workers', raising=False)
    assert run_train(command(tmp_path / 'study', '--workers', '2')) == 2
    assert 'the Python package ray is missing' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        (
            {'space': {'network.depth': {'low': 1, 'high': 2}}},
            'space.network.depth is not a key of the student: choose one of network.layers',
        ),
        (
            {'space': {'optimisation.steps': {'low': 1, 'high': 2}}},
            'space.optimisation.steps is not a key of the student',
        ),
        (
            {'space': {'network.layers': {'low': 0, 'high': 2}}},
            'layers: Input should be greater than or equal to 1, got 0',
        ),
        (
            {'space': {'network.layers': {'low': 1.5, 'high': 2}}},
            'layers: Input should be a valid integer',
        ),
        (
            {'space': {'network.layers': {'low': 3, 'high': 2}}},
            'space.network.layers: low must lie below high',
        ),
        (
            {'space': {'network.layers': {'low': 1, 'choices': [1, 2]}}},
            'space.network.layers: give either low and high, or choices',
        ),
        (
            {'space': {'optimisation.learning_rate': {'low': 0.0, 'high': 1.0, 'log': True}}},
            'space.optimisation.learning_rate: low must be positive',
        ),
        (
            {'space': {'optimisation.precision': {'low': 1, 'high': 2}}},
            'space.optimisation.precision is not a number: give choices',
        ),
        ({'latency': {'gaps': 3}}, 'latency.gaps: Extra inputs are not permitted'),
        ({'base': 'nowhere.yaml'}, 'cannot read the configuration'),
    ],
)
def test_a_wrong_space_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], sentence: str
) -> None:
    config = tmp_path / 'tune.yaml'
    config.write_text(yaml.safe_dump(MINIATURE | changes))
    files = [part for name in ('teacher', 'train', 'validation') for part in (f'--{name}', 'none')]
    arguments = ['tune', *files, '--out', str(tmp_path / 'study'), '--config', str(config)]
    assert run_train(arguments) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize('name', ['tune', 'tune-swiftdiff'])
def test_the_shipped_spaces_hold_the_students_that_they_start_from(name: str) -> None:
    config = load_config(TuneConfig, installed('config', 'training', f'{name}.yaml'), [])
    (first,) = Search(config).propose([], 1)
    assert first.sought == 'base'


def finished(number: int, ade_m: float, median_ms: float, **values: float) -> Trial:
    latency = Latency(least_ms=median_ms, median_ms=median_ms, p99_ms=2 * median_ms)
    keys = {f'network.{name}': value for name, value in values.items()}
    return Trial(number=number, sought='initial', values=keys, latency=latency, score_m=ade_m)


@pytest.fixture
def config() -> TuneConfig:
    space = {'network.layers': {'low': 1, 'high': 20}}
    limits = {'latency_budget_ms': 20, 'accuracy_loss': 0.02}
    return TuneConfig.model_validate(MINIATURE | {'space': space} | limits)


def test_products_are_chosen_by_the_rule(config: TuneConfig) -> None:
    trials = [
        finished(0, 0.500, 10.0),
        finished(1, 0.509, 6.0),
        finished(2, 0.511, 5.0),  # its error is more than 2 % above the smallest
        finished(3, 0.505, 8.0),
        finished(4, 0.520, 7.0),
        finished(5, 0.400, 21.0),  # its latency exceeds the budget of 20 ms
        Trial(number=6, sought='initial', values={}, problem='it failed'),
    ]
    assert choose('accuracy', trials, config).number == 0
    assert choose('balance', trials, config).number == 1
    assert [trial.number for trial in pareto_front(trials)] == [2, 1, 3, 0, 5]


def test_each_product_is_sought_where_it_lies(config: TuneConfig) -> None:
    """Up to 8 layers the ADE falls fast, then slowly. The latency grows with each layer."""

    def tried(number: int, layers: int) -> Trial:
        ade_m = 0.5 + 0.01 * max(0, 8 - layers) + 0.0002 * abs(layers - 16)
        return finished(number, ade_m, layers, layers=layers)

    trials = [tried(*numbered) for numbered in enumerate((1, 3, 5, 8, 11, 13, 19))]
    search = Search(config)
    (accuracy,) = search.propose(trials, 1)
    assert accuracy.sought == 'accuracy'
    assert 14 <= accuracy.values['network.layers'] <= 18
    found = tried(accuracy.number, accuracy.values['network.layers'])
    (balance,) = search.propose([*trials, found.with_(sought='accuracy')], 1)
    assert balance.sought == 'balance'
    assert balance.values['network.layers'] in (6, 7, 9, 10)


def test_a_random_search_spreads_its_trials_and_says_where_bounds_bind(
    config: TuneConfig,
) -> None:
    config = config.model_copy(update={'search': 'random', 'initial_trials': 1})
    search = Search(config)
    trials = [finished(number, 0.5, 10.0, layers=5) for number in range(2)]
    proposed = search.propose(trials, 8)
    assert [trial.number for trial in proposed] == list(range(2, 10))
    assert proposed[1:] == search.propose([*trials, proposed[0]], 7), 'by their numbers alone'
    layers = {trial.values['network.layers'] for trial in proposed}
    assert len(layers) > 3 and all(1 <= value <= 20 for value in layers)
    assert search.at_bounds({'network.layers': 20}) == ['network.layers']
    assert search.at_bounds({'network.layers': 19}) == []


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'trials.jsonl').write_text('{"identity": "same"}\n{"number": 0, "sou')
    with pytest.raises(ConfigError, match='trials.jsonl is damaged'):
        Trials(tmp_path, 'same')


def test_a_failed_trial_is_worth_as_little_as_the_worst(config: TuneConfig) -> None:
    failed = Trial(number=2, sought='initial', values={}, problem='it failed')
    trials = [finished(0, 0.5, 10.0), finished(1, 0.6, 4.0), failed]
    search = Search(config)
    assert search.worths('accuracy', trials) == [0.5, 0.6, 0.6]
    worst = 0.2 + math.log1p(9)  # 4 of 20 ms, and ten times the allowed loss of accuracy
    assert search.worths('balance', trials) == pytest.approx([0.5, worst, worst])
