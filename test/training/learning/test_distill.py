"""Students of other skeletons, outputs and losses, with and without a teacher."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import run_train
from torch.distributions import Normal, kl_divergence

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, Window, load_checkpoint
from motion_predictor.model.frames import from_features, person_frame, to_world
from motion_predictor.skeleton import known_layouts
from motion_predictor_training.config import (
    Augmentation,
    BankConfig,
    ConfigError,
    DistilConfig,
    Optimisation,
)
from motion_predictor_training.data.pool import pool_of
from motion_predictor_training.data.windows import model_features
from motion_predictor_training.evaluation.evaluate import evaluate_checkpoint
from motion_predictor_training.learning.bank import Bank, fill_bank
from motion_predictor_training.learning.distill import distil
from motion_predictor_training.learning.examples import seed_torch
from motion_predictor_training.learning.losses import (
    SPREAD_FLOOR,
    best_of,
    gaussian_kl,
    mean_square,
)
from motion_predictor_training.learning.targets import OtherSkeleton, windows_for

STILL = Augmentation(
    mirror=0,
    speed=0,
    slow_motion=0,
    body_scale=0,
    limb_scale=0,
    history_noise_m=0,
    swaying=0,
    jumping=0,
    slower=0,
    hidden=0,
)
NETWORK = {'kind': 'swiftdiff', 'layers': 2, 'width': 96}
BANK = BankConfig(size=2048, noises=4, truth=True)
OPTIMISATION = Optimisation(
    steps=250, batch=64, learning_rate=3e-3, ema_decay=0.95, precision='float32'
)


def configured(**changes: Any) -> DistilConfig:
    """Return the configuration of a small student."""
    content = {'name': 'small', 'network': NETWORK, 'bank': BANK, 'optimisation': OPTIMISATION}
    return DistilConfig.model_validate(content | changes)


def bank_of(
    folder: Path, teacher: Checkpoint, archive: Path, config: BankConfig, **options: Any
) -> Bank:
    """Fill a bank for a student of the teacher's own skeleton."""
    loaded = load_archive(archive)
    header = teacher.header
    windows = windows_for(loaded, header, header, 'teacher', config.truth)
    return fill_bank(folder, teacher, loaded, windows, config, **options)


# Losses of students.


def test_the_divergence_is_that_of_normal_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    result = torch.randn(2, 50, 3, 4, generator=generator)
    output = 0.5 + 0.7 * torch.randn(2, 50, 3, 4, generator=generator)

    def normal(samples: torch.Tensor) -> Normal:
        deviation = (samples.var(1, correction=0) + SPREAD_FLOOR**2).sqrt()
        return Normal(samples.mean(1), deviation)

    expected = kl_divergence(normal(result), normal(output)).mean()
    torch.testing.assert_close(gaussian_kl(output, result, torch.ones(3, 4)), expected)
    assert gaussian_kl(result, result, torch.ones(3, 4)) == 0


def test_only_the_nearest_sample_is_drawn_to_what_was_recorded() -> None:
    output = torch.tensor([3.0, 1.0, -2.0]).reshape(1, 3, 1, 1).requires_grad_()
    loss = best_of(output, torch.zeros(1, 1, 1), torch.ones(1, 1))
    loss.backward()
    assert loss == 1
    assert output.grad is not None and output.grad.flatten().tolist() == [0, 2, 0]


# Banks.


def test_a_killed_bank_ends_as_an_unbroken_one(
    tiny: Checkpoint, write_archive: Callable[..., Path], tmp_path: Path
) -> None:
    config = BankConfig(size=48, noises=2, chunk=16)
    bank = bank_of(tmp_path, tiny, write_archive(fps=20), config)
    whole = {field: array.copy() for field, array in bank.arrays.items()}
    progress = tmp_path / 'progress.json'
    progress.write_text(progress.read_text().replace('"rows": 48', '"rows": 16'))
    for array in bank.arrays.values():
        array[8:] = 0
    resumed = bank_of(tmp_path, tiny, write_archive(fps=20), config)
    assert whole.keys() == {'noise', 'condition', 'result'}, 'the truth was not asked for'
    assert whole['noise'].shape[:2] == (24, 2)
    for field, array in whole.items():
        np.testing.assert_array_equal(resumed.arrays[field], array)


def test_noises_of_a_condition_are_drawn_together(
    tiny: Checkpoint, write_archive: Callable[..., Path], tmp_path: Path
) -> None:
    config = BankConfig(size=32, noises=4, chunk=16, truth=True)
    bank = bank_of(tmp_path, tiny, write_archive(fps=20), config)
    rows = bank.on(torch.device('cpu')).draw(8)
    assert rows['noise'].shape[:2] == rows['result'].shape[:2] == (2, 4)
    assert rows['condition'].shape == rows['truth'].shape == rows['noise'][:, 0].shape
    with torch.autocast('cpu', torch.bfloat16):
        expected = tiny.build().denoise(rows['noise'], rows['condition']).float()
    torch.testing.assert_close(rows['result'], expected, atol=0.05, rtol=0.05)


def test_without_a_teacher_the_result_is_what_was_recorded(
    tiny: Checkpoint, write_archive: Callable[..., Path], tmp_path: Path
) -> None:
    config = BankConfig(size=64, noises=2, chunk=64, truth=True)
    rows = bank_of(tmp_path, tiny, write_archive(fps=20), config, targets='recorded').arrays
    np.testing.assert_array_equal(rows['result'], np.repeat(rows['truth'][:, None], 2, axis=1))
    assert np.abs(rows['noise'].std() - 1) < 0.05


# Another skeleton.


def supervise(
    teacher: Checkpoint, make_checkpoint: Callable[..., Checkpoint], archive: Path, **student: Any
) -> tuple[OtherSkeleton, Checkpoint]:
    """Return the supervisor and the student, which differs from its teacher in some fields."""
    pupil = make_checkpoint(**student)
    loaded = load_archive(archive)
    windows = windows_for(loaded, teacher.header, pupil.header, 'teacher', False)
    pool = pool_of(windows, loaded, teacher.header.window.rate_hz, 0.0, torch.device('cpu'))
    return OtherSkeleton(teacher, pupil, pool, STILL), pupil


@torch.inference_mode()
def test_a_student_of_half_the_rate_gets_every_second_frame(
    tiny: Checkpoint,
    make_checkpoint: Callable[..., Checkpoint],
    write_archive: Callable[..., Path],
) -> None:
    exact = Window(rate_hz=10, history_frames=3, future_frames=3, coefficients=3)
    supervisor, student = supervise(tiny, make_checkpoint, write_archive(fps=20), window=exact)
    rows = supervisor(5, 2, (0, 0))
    parametrisation = student.build_parametrisation()
    learnt = parametrisation.synthesis @ parametrisation.expand(rows['result'])

    seed_torch((0, 0))
    drawn = supervisor.drawer(5).motion
    motion = supervisor._read(drawn, tiny.header)
    noise = torch.from_numpy(
        np.random.default_rng((0, 0, 1)).standard_normal((5, 2, 6, 66), np.float32)
    )
    futures = supervisor._futures(motion, noise)[:, :, 1::2, 0]  # (5, 2, 3, 3)
    facing = tiny.header.layout.facing
    seen = model_features(supervisor._read(drawn, student.header), 3, facing, True)[:, :3]
    learnt = learnt + parametrisation.offset(seen)[:, None]
    moved = from_features(learnt, None)[..., 0, :]  # (5, 2, 3, 3): root relative to the last pose
    frame = person_frame(motion[:, 4], facing)
    walked = to_world(moved[..., None, :], frame)[..., 0, :]
    torch.testing.assert_close(walked, futures, atol=1e-3, rtol=1e-3)


def test_noise_goes_with_the_joint_of_its_name(
    tiny: Checkpoint,
    make_checkpoint: Callable[..., Checkpoint],
    write_archive: Callable[..., Path],
) -> None:
    layout = known_layouts()['h36m17']
    supervisor, _ = supervise(tiny, make_checkpoint, write_archive(fps=20), layout=layout)
    noise = torch.randn(64, 4, 6, 66, generator=torch.Generator().manual_seed(0))
    own = supervisor._own_noise(noise, (0, 0))
    assert torch.equal(own, supervisor._own_noise(noise, (0, 0))), 'the same for the same seed'
    wrist, l_wrist = layout.joint_names.index('LWrist'), tiny.header.layout.index('l_wrist')
    assert l_wrist is not None
    theirs = noise[..., 3 * l_wrist : 3 * l_wrist + 3]
    assert torch.equal(own[..., 3 * wrist : 3 * wrist + 3], theirs)
    correlation = np.corrcoef(own.flatten(0, 2).T.numpy())
    assert np.abs(correlation - np.eye(51)).max() < 0.15, "no joint shares another one's noise"
    assert abs(own.std() - 1) < 0.02


def test_a_student_of_another_skeleton_beats_standing_still_on_unseen_people(
    small_teacher: Path, recorded: Path, tmp_path: Path
) -> None:
    window = Window(rate_hz=25, history_frames=12, future_frames=50, coefficients=12)
    config = configured(layout='h36m17', window=window)
    out = tmp_path / 'student.safetensors'
    student = distil(config, small_teacher, recorded / 'train.npz', out)
    assert student.header.layout.name == 'h36m17'
    assert student.header.window == window
    rows = evaluate_checkpoint(out, recorded / 'test.npz', samples=20, stride=200)['rows']
    # Only errors of places are compared: poses after two seconds are too hard for this teacher.
    for metric in ('MPJPE_of_mean_mm', 'root_ADE_m'):
        assert rows['model'][metric] < rows['zero_velocity'][metric]
    assert rows['model']['APD'] > 0


# The kinds of students.


@pytest.fixture(scope='module')
def banks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for banks that students share."""
    return tmp_path_factory.mktemp('banks')


@pytest.mark.parametrize(
    'changes',
    [{}, {'prediction': 'epsilon'}, {'loss': 'kl'}, {'truth_weight': 0.3}],
    ids=['mse', 'epsilon', 'kl', 'truth'],
)
def test_every_student_comes_near_its_teacher(
    small_teacher: Path, recorded: Path, banks: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = configured(**changes)
    out, folder = tmp_path / 'student.safetensors', banks / 'teacher'
    distil(config, small_teacher, recorded / 'train.npz', out, folder)
    student = load_checkpoint(out)
    assert student.header.prediction == (config.prediction or 'sample'), "or its teacher's"
    bank = bank_of(folder, load_checkpoint(small_teacher), recorded / 'train.npz', BANK)
    torch.manual_seed(0)
    rows = bank.on(torch.device('cpu')).draw(512)
    model = student.build()

    @torch.inference_mode()
    def error() -> torch.Tensor:
        output = model.denoise(rows['noise'], rows['condition'])
        return mean_square(output, rows['result'], torch.ones(()))

    trained = error()
    model.network = student.header.network.build(student.header.features, 12)
    assert trained < 0.5 * error(), 'it was half as far off as before it was trained'


@pytest.mark.parametrize(
    ('override', 'sentence'),
    [
        ('bank.noises=3', 'bank: size 102400 must be a multiple of noises 3'),
        ('loss=kl', 'loss kl needs bank.noises of 2 or more, got 1'),
        ('truth_weight=0.5', 'truth_weight needs bank.truth and bank.noises of 2 or more, got 1'),
        ('loss=huber', "loss: Input should be 'mse' or 'kl', got 'huber'"),
        ('window.rate_hz=50', 'window.history_frames: Field required'),
    ],
)
def test_a_student_that_cannot_be_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, sentence: str
) -> None:
    arguments = ['student', '--teacher', 'none', '--train', 'none.npz', '--out', str(tmp_path)]
    assert run_train([*arguments, '--set', override]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'network': None, 'prediction': 'epsilon'}, 'predict sample, not epsilon'),
        ({'network': None, 'layout': 'h36m17'}, 'works only with its own layout and window'),
        ({'layout': 'lego'}, "layout must be one of azure32, .*got 'lego'"),
        (
            {'window': Window(rate_hz=20, history_frames=5, future_frames=8, coefficients=6)},
            '0.4 s, must not be longer than that of the teacher, 0.35 s',
        ),
    ],
)
def test_a_student_that_its_teacher_cannot_teach_is_refused(
    tiny: Checkpoint,
    write_archive: Callable[..., Path],
    tmp_path: Path,
    changes: dict[str, Any],
    sentence: str,
) -> None:
    teacher = tmp_path / 'teacher.safetensors'
    tiny.save(teacher)
    with pytest.raises(ConfigError, match=sentence):
        distil(configured(**changes), teacher, write_archive(fps=20), tmp_path / 'out.safetensors')


# --direct.


@pytest.mark.parametrize(
    ('sampling', 'direct', 'sentence'),
    [
        ('ddim', [], 'takes 20 steps: distil it with `train one-step` first'),
        ('one_step', ['--direct'], 'already takes one step: leave out --direct'),
    ],
)
def test_stage_1_is_skipped_only_on_purpose(
    make_checkpoint: Callable[..., Checkpoint],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    sampling: str,
    direct: list[str],
    sentence: str,
) -> None:
    teacher = tmp_path / 'teacher.safetensors'
    network = {'kind': 'transfusion', 'layers': 3, 'width': 8, 'heads': 2, 'ff_width': 8}
    make_checkpoint(network=network, sampling=sampling).save(teacher)
    arguments = ['student', '--teacher', str(teacher), '--train', 'x', '--out', 'y', *direct]
    assert run_train(arguments) == 2
    assert sentence in capsys.readouterr().err


def test_everything_runs_without_stage_1(
    write_archive: Callable[..., Path], tmp_path: Path
) -> None:
    settings = {
        'teacher.window': '{rate_hz: 20, history_frames: 3, future_frames: 3, coefficients: 3}',
        'teacher.network': '{kind: transfusion, layers: 3, width: 8, heads: 2, ff_width: 8}',
        'teacher.optimisation.steps': 2,
        'student.network': '{kind: swiftdiff, layers: 1, width: 8}',
        'student.bank': '{size: 8, chunk: 8}',
        'student.optimisation.steps': 2,
        'refine.optimisation.steps': 2,
        'refine.optimisation.batch': 8,
        'refine-2.optimisation.seed': 9,
        'refine-4.branch_layers': 'null',
        'calibrate.coverages': [0.5],
        'calibrate.steps': 2,
        'calibrate.stride': 1,
    }
    overrides = [part for item in settings.items() for part in ('--set', '{}={}'.format(*item))]
    train, out = tmp_path / 'train.npz', tmp_path / 'chain'
    write_archive(fps=20).rename(train)
    others = write_archive(fps=20, subject=np.array(['3', '4']))
    arguments = ['all', '--direct', '--train', str(train), '--validation', str(others)]
    assert run_train([*arguments, '--out', str(out), *overrides]) == 0
    assert not (out / 'one-step.safetensors').exists()
    student = load_checkpoint(out / 'predictor.safetensors')
    ancestry = student.header.provenance
    while 'parent' in ancestry:  # go from parent to parent, up to the teacher
        parent = ancestry['parent']
        ancestry = parent['provenance']
    assert parent['sha256'] == load_checkpoint(out / 'teacher.safetensors').sha256
