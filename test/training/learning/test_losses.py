"""Losses of students, compared with closed forms and brute force."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run_train
from scipy.stats import energy_distance

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, SharedTrunkSpec, load_checkpoint
from motion_predictor.model.parametrisation import ScaledParametrisation
from motion_predictor_training.config import Augmentation
from motion_predictor_training.data.windows import model_windows
from motion_predictor_training.learning.examples import Examples, seed_torch
from motion_predictor_training.learning.losses import (
    Futures,
    energy_score,
    error_of_mean,
    nearest,
    pose_of,
)
from motion_predictor_training.learning.spread import spread_factors
from motion_predictor_training.predicting.every_window import predictor_of


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return random numbers with the standard normal distribution."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def scaled(checkpoint: Checkpoint) -> ScaledParametrisation:
    """Return the parametrisation of a checkpoint that has a `ScaledParametrisation`."""
    parametrisation = checkpoint.build_parametrisation()
    assert isinstance(parametrisation, ScaledParametrisation)
    return parametrisation


def test_positions_are_those_that_the_predictor_returns(
    tiny: Checkpoint, write_archive: Callable[..., Path]
) -> None:
    archive = load_archive(write_archive(fps=20))
    windows = model_windows(archive, tiny.header, stride=1)
    examples = Examples(
        windows,
        archive,
        tiny.header,
        Augmentation.model_validate(dict.fromkeys(Augmentation.model_fields, 0.0)),
        torch.device('cpu'),
    )
    seed_torch(0)
    features = examples(2).features
    parametrisation = scaled(tiny)
    futures = Futures(parametrisation, 20, with_root=True)
    positions = features.unflatten(-1, (-1, 3))
    whole = torch.cat([positions[:, :, :1], positions[:, :, 1:] + positions[:, :, :1]], 2)
    history, future = whole.tensor_split([5], dim=1)
    condition = parametrisation.condition(features[:, :5])
    predictor = predictor_of(tiny, samples=3)
    with torch.inference_mode():
        x0 = tiny.build().denoise(predictor._noise[None], condition)
    samples = torch.from_numpy(predictor.predict(history.numpy()).samples)
    error = samples - future[:, None]
    expected = futures.positions(x0) - futures.recorded(features)[:, None]
    torch.testing.assert_close(expected, error, atol=1e-4, rtol=0)


def test_early_frames_count_more_and_are_looked_at_more_often(tiny: Checkpoint) -> None:
    futures = Futures(scaled(tiny), 20, with_root=True)
    assert futures.frames.tolist() == list(range(7))
    weights = 1 / (0.05 + np.arange(1, 8) / 20)
    np.testing.assert_allclose(futures.weights, weights / weights.mean(), rtol=1e-5)
    few = Futures(scaled(tiny), 20, with_root=True, frames=5)
    assert few.frames.tolist() == [0, 1, 2, 4, 6]


def test_the_energy_score_of_numbers_is_that_of_scipy() -> None:
    samples, truth = drawn(1, 3, 1), torch.tensor([[0.3]])
    # E|X - y| - E|X - X'| / 2 is half the squared energy distance to a single point. The fair form
    # averages over the S (S - 1) pairs of different samples. scipy averages over all S * S pairs.
    numbers = samples.flatten().numpy().astype(np.float64)
    apart = np.abs(numbers[:, None] - numbers).sum()
    unfair = energy_distance(numbers, [0.3]) ** 2 / 2
    expected = unfair + apart / 9 / 2 - apart / 6 / 2
    assert energy_score(samples, truth).item() == pytest.approx(expected, rel=1e-5)


def test_the_energy_score_is_least_for_the_distribution_of_the_truth() -> None:
    truth = drawn(20_000, 3)
    scores = {
        spread: energy_score(spread * drawn(20_000, 8, 3, seed=1), truth).mean().item()
        for spread in (0.5, 0.8, 1.0, 1.25, 2.0)
    }
    assert min(scores, key=lambda spread: scores[spread]) == 1.0


def test_what_was_not_measured_does_not_count() -> None:
    samples, truth = drawn(2, 4, 5, 3, 3), drawn(2, 5, 3, 3, seed=1)
    measured = torch.ones(2, 5, 3, dtype=torch.bool)
    measured[0, :, 2] = False
    elsewhere = truth + 100 * (~measured[..., None])
    weights = torch.arange(1.0, 6.0)
    for loss in (
        lambda y: error_of_mean(samples, y, measured, weights),
        lambda y: nearest(samples, y, measured, 0.3),
        lambda y: energy_score(pose_of(samples, measured[:, None]), pose_of(y, measured)).mean(),
    ):
        torch.testing.assert_close(loss(truth), loss(elsewhere))


def test_the_mean_error_is_weighted_by_frames_and_joints() -> None:
    samples, truth = drawn(2, 4, 5, 3, 3), drawn(2, 5, 3, 3, seed=1)
    measured = drawn(2, 5, 3, seed=2) > 0
    weights = torch.arange(1.0, 6.0)
    distance = (samples.mean(1) - truth).norm(dim=-1).numpy()
    counted = measured.numpy() * weights.numpy()[:, None]
    expected = np.average(distance, weights=counted)
    assert error_of_mean(samples, truth, measured, weights).item() == pytest.approx(expected, 1e-5)


def test_the_nearest_sample_is_that_of_the_protocol() -> None:
    samples, truth = drawn(2, 4, 5, 3, 3), drawn(2, 5, 3, 3, seed=1)
    everything = torch.ones(2, 5, 3, dtype=torch.bool)
    pose = (samples - samples[..., :1, :] - (truth - truth[..., :1, :])[:, None]).flatten(-2)
    distance = pose.norm(dim=-1)  # (P, S, F)
    roots = (samples - truth[:, None])[..., 0, :].norm(dim=-1).mean(-1)
    expected = (
        distance.mean(-1).amin(1) + 0.3 * distance[..., -1].amin(1) + roots.amin(1) / 2
    ).mean()
    torch.testing.assert_close(nearest(samples, truth, everything, 0.3), expected)


# Refinement.

SMALL = [
    *('--set', 'optimisation={steps: 120, batch: 32, learning_rate: 0.003, ema_decay: 0.95}'),
    *('--set', 'optimisation.precision=float32', '--set', 'samples=4'),
]


@pytest.fixture(scope='module')
def student(small_teacher: Path, recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student after a short training."""
    out = tmp_path_factory.mktemp('student') / 'student.safetensors'
    settings = (
        'network={kind: shared_trunk, layers: 2, width: 64, branch_layers: 2, branch_width: 32}',
        'bank={size: 1024, chunk: 512}',
        'optimisation={steps: 60, batch: 64, learning_rate: 0.003, precision: float32}',
    )
    overrides = [part for setting in settings for part in ('--set', setting)]
    arguments = ['student', '--direct', '--teacher', str(small_teacher)]
    arguments += ['--train', str(recorded / 'train.npz'), '--out', str(out)]
    assert run_train([*arguments, *overrides]) == 0
    return out


@torch.inference_mode()
def judged(path: Path, archive: Path) -> dict[str, float]:
    """Return the energy score and the errors of the nearest sample and the mean on an archive."""
    checkpoint = load_checkpoint(path)
    windows = model_windows(load_archive(archive), checkpoint.header, stride=60)
    motion = windows.all()
    frames = checkpoint.header.window.history_frames
    prediction = predictor_of(checkpoint, samples=10).predict(motion[:, :frames].numpy())
    samples, truth = torch.from_numpy(prediction.samples), motion[:, frames:]
    everything = torch.ones(truth.shape[:-1], dtype=torch.bool)
    ones = torch.ones(truth.shape[1])
    return {
        'energy': energy_score(pose_of(samples), pose_of(truth)).mean().item(),
        'nearest': nearest(samples, truth, everything, 0.3).item(),
        'mean': error_of_mean(samples, truth, everything, ones).item(),
    }


@pytest.mark.parametrize('objective', ['energy', 'nearest'])
def test_a_refined_student_is_better_at_its_objective_on_unseen_people(
    student: Path, recorded: Path, tmp_path: Path, objective: str
) -> None:
    out = tmp_path / 'refined.safetensors'
    arguments = ['refine', '--student', str(student), '--train', str(recorded / 'train.npz')]
    arguments += ['--out', str(out), '--set', f'objective={objective}', *SMALL]
    assert run_train(arguments) == 0
    before, after = (judged(path, recorded / 'val.npz') for path in (student, out))
    assert after[objective] < 0.95 * before[objective]
    header = load_checkpoint(out).header
    assert header.provenance['parent']['sha256'] == load_checkpoint(student).sha256
    assert header.name == 'default'
    assert header.symmetric, 'left and right are treated alike from here on'


def test_a_student_learns_what_a_committee_expects_on_unseen_people(
    student: Path,
    small_teacher: Path,
    recorded: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ['refine', '--student', str(student), '--train', str(recorded / 'train.npz')]
    arguments += SMALL
    members = [tmp_path / f'{seed}.safetensors' for seed in (1, 2)]
    for seed, member in enumerate(members):
        seeded = ['--set', f'optimisation.seed={seed}', '--out', str(member)]
        assert run_train([*arguments, *seeded]) == 0
    out = tmp_path / 'learnt.safetensors'
    # The student learns only from the committee, not from the recordings.
    arguments += ['--set', 'committee_weight=1.0', '--set', 'symmetric=false', '--out', str(out)]
    assert run_train([*arguments, '--committee', *map(str, members)]) == 0
    before, after = (judged(path, recorded / 'val.npz') for path in (student, out))
    assert after['energy'] < 0.97 * before['energy']
    header = load_checkpoint(out).header
    assert not header.symmetric
    learnt_from = [member['sha256'] for member in header.provenance['committee']]
    assert learnt_from == [load_checkpoint(member).sha256 for member in members]
    assert run_train([*arguments, '--committee', str(small_teacher)]) == 2
    assert 'only students of one step can be refined' in capsys.readouterr().err
    assert run_train(arguments) == 2
    assert 'the committee has 0 members' in capsys.readouterr().err


def test_a_branch_is_cut_to_its_first_blocks_before_it_learns(
    student: Path, recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = load_checkpoint(student).header.network
    assert isinstance(whole, SharedTrunkSpec) and whole.branch_layers > 1
    out = tmp_path / 'short.safetensors'
    arguments = ['refine', '--student', str(student), '--train', str(recorded / 'train.npz')]
    arguments += ['--out', str(out), *SMALL]
    assert run_train([*arguments, '--set', 'branch_layers=1']) == 0
    short = load_checkpoint(out)
    assert short.header.network == whole.model_copy(update={'branch_layers': 1})
    assert not any(name.startswith('network.branch.1.') for name in short.tensors)
    before, after = (judged(path, recorded / 'val.npz') for path in (student, out))
    assert after['energy'] < before['energy'], 'what it lost is learnt again'
    assert run_train([*arguments, '--set', 'branch_layers=9']) == 2
    assert 'branch_layers is 9' in capsys.readouterr().err


def test_a_student_that_scales_left_and_right_differently_is_not_refined(
    student: Path, recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = load_checkpoint(student)
    checkpoint.tensors['parametrisation.scale'][:, 3] *= 1.1  # x of the left hip
    checkpoint.save(tmp_path / 'lame.safetensors')
    arguments = ['refine', '--student', str(tmp_path / 'lame.safetensors')]
    arguments += [
        '--train',
        str(recorded / 'train.npz'),
        '--out',
        str(tmp_path / 'out.safetensors'),
    ]
    assert run_train([*arguments, *SMALL]) == 2
    assert 'scales left and right differently' in capsys.readouterr().err


def test_a_teacher_is_not_refined(
    small_teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['refine', '--student', str(small_teacher), '--train', 'none.npz']
    assert run_train([*arguments, '--out', str(tmp_path / 'out.safetensors')]) == 2
    assert 'only students of one step can be refined' in capsys.readouterr().err


def test_the_spread_is_fitted_to_the_errors_of_the_mean() -> None:
    samples = drawn(2, 4000, 8, 2, 3)
    truth = drawn(2, 4000, 2, 3, seed=1) * torch.tensor([2.0, 0.5])[:, None]
    # The error of the mean has the variance of the truth plus an eighth of the samples' variance.
    expected = torch.tensor([(4 + 1 / 8) ** 0.5, (0.25 + 1 / 8) ** 0.5]) * (8 / 9) ** 0.5
    torch.testing.assert_close(spread_factors(samples, truth), expected, rtol=0.03, atol=0)
    # Another person, who moves four times as far, has half of the weight.
    samples, truth = torch.cat([samples, samples]), torch.cat([truth, 4 * truth])
    far = torch.tensor([(64 + 1 / 8) ** 0.5, (4 + 1 / 8) ** 0.5]) * (8 / 9) ** 0.5
    between = (expected * far).sqrt()
    torch.testing.assert_close(spread_factors(samples, truth), between, rtol=0.03, atol=0)
    assert spread_factors(samples[..., :0], truth[..., :0]).tolist() == [1, 1]


def test_people_who_hardly_move_are_moved_less(tiny: Checkpoint) -> None:
    quiet = tiny.header.model_copy(update={'quiet_m_per_s': 0.05})
    time_s = torch.arange(5)[:, None, None] / tiny.header.window.rate_hz
    pose = drawn(22, 3)
    way = torch.tensor([1.0, 0, 0])
    speeds_m_per_s = torch.tensor([0.0, 0.05, 0.5])
    history = (pose + speeds_m_per_s[:, None, None, None] * time_s * way).numpy()
    plain = predictor_of(tiny, samples=4).predict(history)
    moved = predictor_of(Checkpoint(quiet, tiny.tensors), samples=4).predict(history)
    no_network = {name: torch.zeros_like(weights) for name, weights in tiny.tensors.items()}
    no_network |= {n: w for n, w in tiny.tensors.items() if n.startswith('parametrisation.')}
    base = predictor_of(Checkpoint(tiny.header, no_network), samples=4).predict(history).mean
    for person, kept in enumerate((0, 1 / 2, 100 / 101)):
        added = kept * (plain.mean - base)[person]
        np.testing.assert_allclose(moved.mean[person] - base[person], added, atol=1e-4)
    apart = plain.samples - plain.mean[:, None]
    np.testing.assert_allclose(moved.samples - moved.mean[:, None], apart, atol=1e-4)


def test_a_spread_moves_samples_and_not_their_mean(tiny: Checkpoint) -> None:
    spread = (2.0, *[1.0] * 4, 0.5), (1.0, *[3.0] * 4, 1.5)
    header = tiny.header.model_copy(update={'spread': spread})
    history = drawn(2, 5, 22, 3).numpy()
    plain = predictor_of(tiny, samples=4).predict(history)
    spread_out = predictor_of(Checkpoint(header, tiny.tensors), samples=4).predict(history)
    np.testing.assert_allclose(spread_out.mean, plain.mean, atol=1e-4)
    synthesis = scaled(tiny).synthesis  # (F, K), orthonormal columns
    before, after = (
        np.einsum('fk,psfja->pskja', synthesis, p.samples - p.mean[:, None])
        for p in (plain, spread_out)
    )
    of_root, of_others = np.array(spread)[..., None, None]
    np.testing.assert_allclose(after[..., :1, :], of_root * before[..., :1, :], atol=1e-4)
    relative, spread_apart = (x[..., 1:, :] - x[..., :1, :] for x in (before, after))
    np.testing.assert_allclose(spread_apart, of_others * relative, atol=1e-4)
