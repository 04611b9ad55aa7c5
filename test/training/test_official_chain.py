"""The published method, from official weights through every stage, in miniature."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from commands import run_train
from torch import Tensor

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, load_checkpoint
from motion_predictor.model.dct import dct_matrix, pad_with_last
from motion_predictor.model.diffusion import ddim_sample
from motion_predictor.predictor import MotionPredictor
from motion_predictor.skeleton import known_layouts
from motion_predictor_training.config import BankConfig
from motion_predictor_training.data.windows import model_windows
from motion_predictor_training.learning.targets import supervisor_of
from motion_predictor_training.predicting.multi_step import build_sampler

LAYOUT = known_layouts()['h36m17']
STEPS = 4
OPTIMISATION = '{steps: 60, batch: 16, learning_rate: 1.0e-3, ema_decay: 0.9, seed: 1}'
BANK = '{size: 32, chunk: 16}'
SWIFTDIFF = {'kind': 'swiftdiff', 'layers': 1, 'width': 16}
TUNE = {
    'base': {
        'name': 'small',
        'network': SWIFTDIFF,
        'bank': {'size': 16, 'chunk': 16},
        'optimisation': {'steps': 100, 'batch': 16, 'learning_rate': 1e-3},
    },
    'space': {'network.layers': {'low': 1, 'high': 2}},
    'trials': 1,
    'initial_trials': 1,
    'steps': 2,
    'latency_budget_ms': 10_000,
    'latency': {'samples': 2, 'warmup': 1, 'predictions': 2, 'gap_s': 0},
    'validation': {'samples': 2, 'stride': 60},
}


@pytest.fixture(scope='module')
def folder(golden: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random weights in the format of the authors' code, and motion at 50 Hz."""
    folder = tmp_path_factory.mktemp('official')
    prefix = 'teacher/'
    state = {n.removeprefix(prefix): t for n, t in golden.items() if n.startswith(prefix)}
    torch.save(state, folder / 'transfusion.pt')
    random = np.random.default_rng(0)
    steps = random.normal(scale=0.005, size=(320, len(LAYOUT.joint_names), 3))
    np.savez(
        folder / 'people.npz',
        positions=(steps.cumsum(0) + random.normal(scale=0.3, size=steps.shape[1:])),
        scale=1.0,
        clip_offsets=np.array([0, 160, 320]),
        fps=50,
        joint_names=np.array(LAYOUT.joint_names),
        parents=np.array(LAYOUT.parents),
        subject=np.array(['S1', 'S5']),
    )
    run(
        folder,
        ['import', 'transfusion', '--preset', 'h36m', '--sampling', 'ddim'],
        {'weights': 'transfusion.pt', 'out': 'teacher.safetensors'},
        *['--layers=5', '--width=32', '--heads=4', '--ff-width=64', f'--ddim-steps={STEPS}'],
    )
    return folder


def run(folder: Path, command: list[str], files: dict[str, str], *more: str) -> None:
    """Run a stage on files of the folder."""
    paths = [part for option, name in files.items() for part in (f'--{option}', folder / name)]
    assert run_train([*command, *map(str, paths), *more]) == 0


def distilled(folder: Path, command: list[str], teacher: str, out: str, *more: str) -> Checkpoint:
    """Run a stage of distillation on the motion in `folder`."""
    files = {'teacher': teacher, 'train': 'people.npz', 'out': out}
    settings = [f'bank={BANK}', f'optimisation={OPTIMISATION}', *more]
    if command[0] == 'student':
        settings.append(f'network={json.dumps(SWIFTDIFF)}')
    options = [part for setting in settings for part in ('--set', setting)]
    run(folder, command, files, *options)
    return load_checkpoint(folder / out)


@torch.no_grad()
def error_m(student: Checkpoint, teacher: Checkpoint, archive_path: Path) -> float:
    """Return the RMS difference of the completed coefficients of student and teacher."""
    archive = load_archive(archive_path)
    windows = model_windows(archive, student.header, stride=1)
    augmentation = BankConfig(size=16).augmentation
    rows = supervisor_of(teacher, student, windows, archive, augmentation, 'teacher')(
        16, 1, (1, 0)
    )
    model = student.build()
    x0 = model.denoise(rows['noise'], rows['condition'])
    x0 = model.parametrisation.complete(x0, rows['condition'])
    return float((x0 - rows['result']).square().mean().sqrt())


@pytest.mark.parametrize('one_step_first', [True, False])
def test_official_weights_are_distilled(folder: Path, one_step_first: bool) -> None:
    teacher, name = load_checkpoint(folder / 'teacher.safetensors'), 'teacher.safetensors'
    direct = ['--direct']
    if one_step_first:
        parent, name, direct = teacher, 'one-step.safetensors', []
        teacher = distilled(folder, ['one-step'], 'teacher.safetensors', name)
        assert teacher.header.parametrisation == 'official'
        assert (teacher.header.prediction, teacher.header.sampling) == ('epsilon', 'one_step')
        first = Checkpoint(teacher.header, parent.tensors)  # the student before training
        people = folder / 'people.npz'
        assert error_m(teacher, parent, people) < 0.9 * error_m(first, parent, people)
    out = f'student-{one_step_first}.safetensors'
    header = distilled(folder, ['student', *direct], name, out).header
    assert (header.network.kind, header.parametrisation) == ('swiftdiff', 'official')
    assert (header.prediction, header.frame, header.root) == ('epsilon', 'world', 'damped')
    assert header.provenance['people'] == ['S1', 'S5']


def test_a_student_of_official_weights_is_refined_tuned_measured_and_used(folder: Path) -> None:
    direct = ['student', '--direct']
    distilled(folder, direct, 'teacher.safetensors', 'sample.safetensors', 'prediction=sample')
    run(
        folder,
        ['refine'],
        {
            'student': 'sample.safetensors',
            'train': 'people.npz',
            'validation': 'people.npz',
            'out': 'refined.safetensors',
        },
        *['--set', 'samples=3', '--set', f'optimisation={OPTIMISATION}'],
    )
    refined = load_checkpoint(folder / 'refined.safetensors')
    assert refined.header.parametrisation == 'official'
    assert refined.header.spread is not None
    evaluated = {'checkpoint': 'refined.safetensors', 'archive': 'people.npz', 'json': 'e.json'}
    run(folder, ['evaluate'], evaluated, '--samples=3', '--stride=60')
    result = json.loads((folder / 'e.json').read_text())
    assert 0 < result['rows']['model']['ADE'] < 10
    predictor = MotionPredictor.load(folder / 'refined.safetensors', samples=3, backend='eager')
    prediction = predictor.predict(np.random.default_rng(0).normal(scale=0.3, size=(25, 17, 3)))
    assert np.isfinite(prediction.samples).all()
    (folder / 'tune.yaml').write_text(yaml.safe_dump(TUNE))
    files = {'config': 'tune.yaml', 'teacher': 'teacher.safetensors', 'out': 'tuned'}
    run(folder, ['tune'], files | {'train': 'people.npz', 'validation': 'people.npz'})
    assert (folder / 'tuned' / 'balance.yaml').is_file()


@torch.no_grad()
def test_a_teachers_futures_are_those_that_its_steps_completed(folder: Path) -> None:
    """Completion follows each step, and is not repeated after the last one."""
    teacher = load_checkpoint(folder / 'teacher.safetensors')
    sampler = build_sampler(teacher)
    history = torch.randn(1, 25, 17, 3, generator=torch.Generator().manual_seed(0))
    history[:, :, 0] = 0  # the root does not move, and is left out
    noise = torch.randn(2, 20, 48, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(2)
    futures = sampler(history, noise)[0, :, :, 1:].flatten(-2)  # (S, F, D)
    condition = dct_matrix(125, 20).float() @ pad_with_last(history[:, :, 1:].flatten(-2), 100)
    torch.manual_seed(2)
    expected = ddim_sample(sampler.network, condition, noise, 25, 100, STEPS)
    expected = dct_matrix(125, 20).float().T[25:] @ expected
    torch.testing.assert_close(futures, expected, rtol=1e-3, atol=1e-4)
