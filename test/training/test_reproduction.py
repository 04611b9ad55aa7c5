"""`train reproduce`, with generated files and with windows of recorded motion."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run_train
from torch import Tensor

from motion_predictor.archive import load_archive

TINY = [
    'one-step.bank.size=32',
    'one-step.bank.chunk=16',
    'one-step.optimisation.steps=2',
    'one-step.optimisation.batch=8',
    'student.network.layers=1',
    'student.network.width=16',
    'student.bank.size=32',
    'student.bank.chunk=16',
    'student.optimisation.steps=2',
    'student.optimisation.batch=8',
]
TEACHER = [
    'teacher.network={kind: transfusion, layers: 3, width: 16, heads: 2, ff_width: 16}',
    'teacher.ddim_steps=2',
    'teacher.optimisation.steps=2',
    'teacher.optimisation.batch=8',
]
ROWS = ['TransFusion, one step', 'SwiftDiff', 'zero velocity']


def reproduce(name: str, sources: list[Path], out: Path, *more: str, settings: list[str]) -> dict:
    """Run `train reproduce` in miniature. Return the report that the command wrote."""
    arguments = ['reproduce', name, '--source', *map(str, sources), '--out', str(out), *more]
    arguments += [part for setting in settings for part in ('--set', setting)]
    assert run_train([*arguments, '--samples', '3']) == 0
    return json.loads((out / 'reproduction.json').read_text())


def test_human36m_from_the_file_to_the_table(
    golden: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(0)

    def motion(frames: int) -> np.ndarray:
        drift = generator.standard_normal((frames, 1, 3)).cumsum(0) * 0.01
        body = np.linspace([0, -0.3, 0], [0.1, 0.3, 1.7], 32)
        return (body + drift).astype(np.float32)

    people = {f'S{n}': {'Walking': motion(151)} for n in (1, 5, 6, 7, 8, 9, 11)}
    np.savez(tmp_path / 'data_3d_h36m.npz', positions_3d=np.array(people, dtype=object))
    state = {k.removeprefix('teacher/'): v for k, v in golden.items() if k.startswith('teacher/')}
    torch.save(state, tmp_path / 'transfusion.pt')
    sizes = ['layers=5', 'width=32', 'heads=4', 'ff_width=64', 'ddim_steps=3']
    out = tmp_path / 'out'
    found = reproduce(
        'h36m',
        [tmp_path / 'data_3d_h36m.npz'],
        out,
        '--weights',
        str(tmp_path / 'transfusion.pt'),
        settings=[*(f'teacher.{size}' for size in sizes), *TINY],
    )
    assert sorted(set(load_archive(out / 'train.npz').subjects)) == ['S1', 'S5', 'S6', 'S7', 'S8']
    assert sorted(set(load_archive(out / 'test.npz').subjects)) == ['S11', 'S9']
    assert found['rows']['SwiftDiff']['windows'] == 4, 'two of each, 25 frames apart'
    assert list(found['rows']) == ['TransFusion, 3 steps', 'TransFusion, 20 steps', *ROWS]
    printed = capsys.readouterr().out
    assert 'TransFusion, published' in printed and 'the data are not the same' in printed


def test_amass_from_windows_of_recorded_motion(recorded: Path, tmp_path: Path) -> None:
    sources = []
    for archive, name in (('train', 'data_3d_amass'), ('test', 'data_3d_amass_test')):
        motion = load_archive(recorded / f'{archive}.npz')
        clips = [motion.clip(k) for k in range(len(motion))]
        windows = np.stack([clip[:150] for clip in clips if len(clip) >= 150][:8])
        sources.append(tmp_path / f'{name}.npz')
        np.savez(sources[-1], windows)
    found = reproduce('amass', sources, tmp_path / 'out', settings=[*TEACHER, *TINY])
    assert found['rows']['SwiftDiff']['windows'] == 8
    assert found['protocol'] == {'stride': 150, 'multimodal_threshold_m': 0.4}
    figures = found['rows']['zero velocity']['figures']
    assert figures['APD'] == 0 and 0.1 < figures['ADE'] < 3


def test_another_number_of_files_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['reproduce', 'amass', '--source', 'one.npz', '--out', str(tmp_path)]
    assert run_train(arguments) == 2
    assert 'amass needs 2 files as --source, got 1' in capsys.readouterr().err
