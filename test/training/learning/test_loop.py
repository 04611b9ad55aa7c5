"""The training loop: killed, logged, validated, shared by two processes; and teachers."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from ament_index_python.packages import get_package_prefix
from commands import NOISE, run_train
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import distributed, nn

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, load_checkpoint
from motion_predictor.common.installed import installed
from motion_predictor.model.frames import to_features
from motion_predictor_training.config import ConfigError, Optimisation, TeacherConfig, load_config
from motion_predictor_training.data.windows import cut_windows
from motion_predictor_training.evaluation.measures.published import evaluate
from motion_predictor_training.learning.loop import DivergedError, optimise
from motion_predictor_training.learning.official import PRESETS
from motion_predictor_training.learning.parallel import share
from motion_predictor_training.predicting.multi_step import build_sampler

TRAIN = str(Path(get_package_prefix('motion_predictor')) / 'lib' / 'motion_predictor' / 'train')
TORCHRUN = (sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2')
MINIATURE = {
    'network': '{kind: transfusion, layers: 1, width: 8, heads: 2, ff_width: 8, dropout: 0}',
    'window': '{rate_hz: 20, history_frames: 5, future_frames: 7, coefficients: 6}',
    'optimisation': '{steps: 20, batch: 4, learning_rate: 0.01, precision: float32}',
    'augmentation': '{speed: 0.05}',
}
STUDENT = {
    'network': '{kind: swiftdiff, layers: 1, width: 8}',
    'bank': '{size: 40, chunk: 16}',
    'optimisation': MINIATURE['optimisation'],
}
SETTINGS = Optimisation(steps=40, batch=4, learning_rate=0.01, save_every=15, seed=3)


class KilledError(Exception):
    """Stands for a kill: this exception ends a run in these tests."""


@pytest.fixture
def archive(write_archive: Callable[..., Path]) -> Path:
    """Two clips of 30 and 20 frames at 20 Hz, whose joints wander about."""
    steps = np.random.default_rng(0).normal(scale=0.03, size=(50, 22, 3))
    return write_archive(positions=steps.cumsum(0).astype(np.float32), fps=20)


def arguments(stage: str, archive: Path, out: Path, overrides: dict[str, Any]) -> list[str]:
    """Return the command line of a stage."""
    sets = [part for key, value in overrides.items() for part in ('--set', f'{key}={value}')]
    return [stage, '--train', str(archive), '--out', str(out), *sets]


def teach(archive: Path, out: Path, **overrides: Any) -> Checkpoint:
    """Train a teacher in miniature."""
    assert run_train(arguments('teacher', archive, out, MINIATURE | overrides)) == 0
    return load_checkpoint(out)


def fit(
    state: Path, settings: Optimisation = SETTINGS, killed_at: int | None = None
) -> dict[str, torch.Tensor]:
    """Fit a small network with dropout. Return the weights of the network."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def loss() -> torch.Tensor:
        if killed_at is not None and torch.initial_seed() == settings.seed * 1_000_003 + killed_at:
            raise KilledError
        return network(torch.randn(settings.batch, 3)).square().mean()

    optimise(network, loss, settings, state, 'same', 'test')
    return network.state_dict()


def logged(state: Path, figure: str) -> dict[int, float]:
    """Return the values of a figure by step from the log. Fail if a step occurs twice."""
    accumulator = EventAccumulator(str(state.with_suffix('.logs'))).Reload()
    events = accumulator.Scalars(figure)
    values = {event.step: event.value for event in events}
    assert len(values) == len(events)
    return values


@pytest.mark.parametrize('matrix_learning_rate', [None, 0.02])
def test_a_killed_loop_ends_where_an_unbroken_one_does(
    tmp_path: Path, matrix_learning_rate: float | None
) -> None:
    settings = SETTINGS.model_copy(update={'matrix_learning_rate': matrix_learning_rate})
    unbroken = fit(tmp_path / 'unbroken.state', settings)
    with pytest.raises(KilledError):
        fit(tmp_path / 'killed.state', settings, killed_at=28)
    resumed = fit(tmp_path / 'killed.state', settings)
    for name, weights in unbroken.items():
        torch.testing.assert_close(resumed[name], weights, rtol=0, atol=0)


def test_matrices_have_a_learning_rate_of_their_own(tmp_path: Path) -> None:
    """Muon's first step changes a square matrix by one with singular values near Muon's rate."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 8))
    before = network[0].weight.detach().clone()
    settings = Optimisation(
        steps=1, batch=64, learning_rate=1e-9, matrix_learning_rate=0.02, weight_decay=0.0,
        ema_decay=0.0, decay_every=10,
    )  # fmt: skip
    optimise(
        network, lambda: network(torch.randn(64, 8)).square().mean(), settings,
        tmp_path / 'x.state', 'same', 'test',
    )  # fmt: skip
    change = torch.linalg.svdvals(network[0].weight.detach() - before) / 0.02
    assert ((change > 0.5) & (change < 1.5)).all(), change


@pytest.mark.parametrize('parts', [2, 4])
def test_a_batch_in_parts_is_the_batch(tmp_path: Path, parts: int) -> None:
    batches = torch.randn(10, 64, 3, generator=torch.Generator().manual_seed(0))

    def fitted(settings: Optimisation) -> torch.Tensor:
        torch.manual_seed(0)
        network = nn.Linear(3, 1)
        rows = iter(batches.flatten(0, 1).split(settings.at_once))
        state = tmp_path / f'{settings.accumulate}.state'
        optimise(network, lambda: network(next(rows)).square().mean(), settings, state, '', 'test')
        return network.weight.detach()

    whole = Optimisation(steps=10, batch=64, learning_rate=0.1, precision='float32')
    in_parts = fitted(whole.model_copy(update={'accumulate': parts}))
    torch.testing.assert_close(in_parts, fitted(whole))


def test_a_resumed_run_goes_on_in_the_same_log(tmp_path: Path) -> None:
    unbroken, killed = tmp_path / 'unbroken.state', tmp_path / 'killed.state'
    fit(unbroken)
    with pytest.raises(KilledError):
        fit(killed, killed_at=28)  # after the log of step 20 and the save of step 15
    fit(killed)
    for figure in ('loss', 'learning_rate', 'gradient_norm', 'steps_per_s'):
        assert list(logged(killed, figure)) == [10, 20, 30, 40]
    for figure in ('learning_rate', 'gradient_norm'):
        assert logged(killed, figure) == logged(unbroken, figure)
    assert logged(killed, 'loss')[40] == logged(unbroken, 'loss')[40]


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_good_state(tmp_path: Path) -> None:
    state = tmp_path / 'x.state'
    with pytest.raises(KilledError):
        fit(state, killed_at=16)
    good = state.read_bytes()
    network = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def loss() -> torch.Tensor:
        return network(torch.full((4, 3), torch.inf)).mean()

    with pytest.raises(DivergedError, match='the loss is nan after 20 steps'):
        optimise(network, loss, SETTINGS, state, 'same', 'test')
    assert state.read_bytes() == good


def test_the_learning_rate_may_decay_stepwise(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={'decay_every': 20, 'gradient_clip': None})
    fit(tmp_path / 'x.state', settings)
    rates = list(logged(tmp_path / 'x.state', 'learning_rate').values())
    assert rates == pytest.approx([0.01, 0.008, 0.008, 0.0064])


@pytest.mark.parametrize('steps', [1, 2, 5, 10, 20])
def test_a_few_steps_can_be_trained(tmp_path: Path, steps: int) -> None:
    weights = fit(tmp_path / 'x.state', SETTINGS.model_copy(update={'steps': steps}))
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


@pytest.mark.parametrize('stage', ['teacher', 'student'])
def test_two_processes_reach_what_one_does(
    archive: Path, tiny: Checkpoint, tmp_path: Path, stage: str
) -> None:
    extra = []
    if stage == 'student':
        tiny.save(tmp_path / 'teacher.safetensors')
        extra = ['--teacher', str(tmp_path / 'teacher.safetensors')]
    one, two = (
        [*arguments(stage, archive, tmp_path / f'{name}.safetensors', overrides), *extra]
        for name in ('one', 'two')
        for overrides in [MINIATURE if stage == 'teacher' else STUDENT]
    )
    assert run_train(one) == 0
    together = subprocess.run(
        [*TORCHRUN, TRAIN, *two], capture_output=True, text=True, check=False, timeout=300
    )
    assert together.returncode == 0, together.stderr[-2000:]
    assert together.stdout.count('steps 1 to 20 in') == 1, 'only one process tells'
    assert not NOISE.findall(together.stderr)
    alone, shared = (load_checkpoint(tmp_path / f'{name}.safetensors') for name in ('one', 'two'))
    for name, weights in alone.tensors.items():
        torch.testing.assert_close(shared.tensors[name], weights, rtol=1e-4, atol=1e-5)
    losses = (logged(tmp_path / f'{name}.state', 'loss') for name in ('one', 'two'))
    assert next(losses) == pytest.approx(next(losses), rel=1e-4)


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {'is_initialized': True, 'get_rank': 0, 'get_world_size': 2}.items():
        monkeypatch.setattr(distributed, name, lambda value=value: value)
    with pytest.raises(ConfigError, match='a batch of 5 cannot be shared evenly by 2 processes'):
        share(torch.zeros(5, 3))


# Teachers


@pytest.mark.parametrize('parametrisation', ['anchored', 'official'])
def test_the_validation_figure_is_the_ade_of_the_protocol(
    archive: Path, tmp_path: Path, parametrisation: str
) -> None:
    out = tmp_path / 'teacher.safetensors'
    overrides = MINIATURE | {
        'parametrisation': parametrisation,
        'validation': '{every: 8, windows: 1000, samples: 3}',
    }
    command = arguments('teacher', archive, out, overrides)
    assert run_train([*command, '--validation', str(archive)]) == 0
    figures = logged(out.with_suffix('.state'), 'ADE_m')
    assert list(figures) == [8, 16, 20]

    checkpoint = load_checkpoint(out)
    header = checkpoint.header
    motion = cut_windows(load_archive(archive), header.layout, 20, 12, stride=1).all()
    noise = torch.randn(3, 6, header.features, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    sampler = build_sampler(checkpoint)
    with torch.inference_mode():
        samples = torch.cat([sampler(some[:, :5], noise) for some in motion.split(8)])
    predictions = to_features(samples, with_root=False).transpose(0, 1)
    metrics = evaluate(to_features(motion, with_root=False), predictions, 5, 0.4)
    assert figures[20] == pytest.approx(metrics['ADE'], rel=1e-4)


def test_validation_changes_nothing(archive: Path, tmp_path: Path) -> None:
    plain = teach(archive, tmp_path / 'plain.safetensors')
    out = tmp_path / 'validated.safetensors'
    command = arguments('teacher', archive, out, MINIATURE)
    assert run_train([*command, '--validation', str(archive)]) == 0
    for name, weights in load_checkpoint(out).tensors.items():
        torch.testing.assert_close(weights, plain.tensors[name], rtol=0, atol=0)


def test_the_published_method_can_be_trained(archive: Path, tmp_path: Path) -> None:
    """The loss falls by about an eighth: 8 channels can represent an eighth of 63 features."""
    out = tmp_path / 'teacher.safetensors'
    optimisation = '{steps: 100, batch: 16, learning_rate: 0.02, precision: float32}'
    teacher = teach(archive, out, parametrisation='official', optimisation=optimisation)
    header = teacher.header
    assert (header.parametrisation, header.prediction) == ('official', 'epsilon')
    assert (header.frame, header.root, header.sampling) == ('world', 'damped', 'ddim')
    losses = logged(out.with_suffix('.state'), 'loss')
    assert losses[10] == pytest.approx(1, abs=0.05)
    assert losses[100] < 0.93


def test_a_body_of_ones_own_is_a_file(tmp_path: Path) -> None:
    """A layout file of a quadruped with five joints and no hips is trained on and distilled."""
    joints = {'trunk': None} | dict.fromkeys(('fore_l', 'fore_r', 'hind_l', 'hind_r'), 'trunk')
    layout = {'name': 'quadruped', 'joints': joints}
    (tmp_path / 'quadruped.yaml').write_text(yaml.safe_dump(layout, sort_keys=False))
    legs = np.array([[0.3, 0.1, 0.4], [0.3, -0.1, 0.4], [-0.3, 0.1, 0.4], [-0.3, -0.1, 0.4]])
    steps = np.random.default_rng(0).normal(scale=0.02, size=(60, 5, 3)).cumsum(0)
    np.save(tmp_path / 'dog.npy', (np.vstack([[[0, 0, 0.4]], legs * [1, 1, 0]]) + steps))
    archive = tmp_path / 'dogs.npz'
    prepare = ['prepare', 'npz', str(tmp_path / 'dog.npy'), '--rate-hz=20', f'--out={archive}']
    assert run_train([*prepare, '--joint-names', *joints]) == 0
    named = {'layout': str(tmp_path / 'quadruped.yaml'), 'augmentation': '{yaw_deg: 180}'}
    teacher = teach(archive, tmp_path / 'teacher.safetensors', **named)
    assert teacher.header.layout.joint_names == tuple(joints)
    assert (teacher.header.frame, teacher.header.root) == ('world', 'predicted')
    out = tmp_path / 'student.safetensors'
    command = arguments('student', archive, out, STUDENT)
    assert (
        run_train([*command, '--teacher', str(tmp_path / 'teacher.safetensors'), '--direct']) == 0
    )
    evaluate = ['evaluate', '--checkpoint', str(out), '--archive', str(archive), '--samples', '2']
    assert run_train(evaluate) == 0


def test_the_noise_schedule_travels_with_the_checkpoint(archive: Path, tmp_path: Path) -> None:
    teacher = teach(archive, tmp_path / 'teacher.safetensors', noise_schedule='linear')
    linear = build_sampler(teacher)
    betas = np.linspace(1e-4, 0.02, 1000)[: teacher.header.timestep + 1]
    assert linear.alpha_hat.item() == pytest.approx(np.prod(1 - betas), rel=1e-4)
    header = teacher.header.model_copy(update={'noise_schedule': 'cosine'})
    cosine = build_sampler(Checkpoint(header, teacher.tensors))
    history, noise = torch.randn(1, 5, 22, 3), torch.randn(2, 6, 66)
    with torch.inference_mode():
        assert not torch.allclose(linear(history, noise), cosine(history, noise), atol=1e-5)


def test_the_published_method_knows_one_noise_schedule(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = {'parametrisation': 'official', 'noise_schedule': 'linear'}
    assert (
        run_train(arguments('teacher', archive, tmp_path / 'x.safetensors', MINIATURE | both)) == 2
    )
    assert 'official needs noise_schedule cosine, not linear' in capsys.readouterr().err


def test_the_observed_motion_is_dropped_as_often_as_asked(archive: Path, tmp_path: Path) -> None:
    weights = 'network.cond_embed.weight'
    optimisation = '{steps: 20, batch: 4, learning_rate: 0.01, weight_decay: 0}'
    changed = [
        teach(
            archive,
            tmp_path / f'{drop}.safetensors',
            condition_drop=drop,
            **{'optimisation': optimisation},
        ).tensors[weights]
        for drop in (0.0, 0.999)
    ]
    torch.manual_seed(0)
    config = load_config(
        TeacherConfig,
        installed('config', 'training', 'teacher.yaml'),
        [f'{key}={value}' for key, value in MINIATURE.items()],
    )
    fresh = config.network.build(66, 6).state_dict()['cond_embed.weight']
    assert not torch.allclose(changed[0], fresh, atol=1e-3)
    torch.testing.assert_close(changed[1], fresh, rtol=0, atol=1e-6)


@pytest.mark.parametrize('data', ['h36m', 'amass'])
def test_the_presets_have_the_published_sizes(data: str) -> None:
    config = load_config(
        TeacherConfig, installed('config', 'training', f'transfusion-{data}.yaml'), []
    )
    preset = PRESETS[data]
    sizes = config.network.model_dump(exclude={'kind', 'dropout'})
    assert sizes == preset.sizes('transfusion')
    assert (config.layout, config.window) == (preset.layout, preset.window)
    assert set(config.augmentation.model_dump().values()) == {0.0}
