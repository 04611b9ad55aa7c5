"""The sensitivity of a student in miniature on recorded motion: rows, plot, resuming."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_train

from motion_predictor.checkpoint import load_checkpoint

MINIATURE = {
    'one-step.bank': '{size: 256, chunk: 64}',
    'one-step.optimisation.steps': 10,
    'one-step.optimisation.batch': 32,
    'student.network': '{kind: swiftdiff, layers: 1, width: 64}',
    'student.bank': '{size: 512, chunk: 256}',
    'student.optimisation.steps': 15,
    'student.optimisation.batch': 32,
    'sensitivity.ddim_steps': '[2, 5]',
    'sensitivity.noise_schedules': '[]',
    'sensitivity.timesteps': '[501, 801]',
    'sensitivity.bank_sizes': '[256, 512]',
    'sensitivity.noises': '[4]',
    'sensitivity.samples': 4,
    'sensitivity.stride': 200,
    'sensitivity.repeats': 1,
    'sensitivity.seeds': 1,
}
COMPARED_WITH = {
    'teacher': None,
    'student': None,
    'teacher, 2 steps, leading': 'teacher',
    'student, 2 steps, leading': 'student',
    'teacher, 2 steps, trailing': 'teacher',
    'student, 2 steps, trailing': 'student',
    'teacher, 5 steps, trailing': 'teacher',
    'student, 5 steps, trailing': 'student',
    'student, 256 rows': 'student',
    'student, 4 noises per condition': 'student',
    'one-step': None,
    'one-step, from 501': 'one-step',
}
"""Each row and the row that it is compared with. The teacher has five steps from timestep 801."""


def run(recorded: Path, teacher: Path, out: Path) -> dict[str, Any]:
    """Measure the sensitivity in miniature; return the report."""
    overrides = [part for item in MINIATURE.items() for part in ('--set', '{}={}'.format(*item))]
    archives = ['--train', str(recorded / 'train.npz'), '--validation', str(recorded / 'val.npz')]
    command = ['sensitivity', '--teacher', str(teacher), '--out', str(out), *archives, *overrides]
    assert run_train(command) == 0
    report: dict[str, Any] = json.loads((out / 'sensitivity.json').read_text())
    return report


@pytest.fixture(scope='module')
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the results."""
    return tmp_path_factory.mktemp('sensitivity')


@pytest.fixture(scope='module')
def report(recorded: Path, small_teacher: Path, out: Path) -> dict[str, Any]:
    """The report of a first run."""
    return run(recorded, small_teacher, out)


def test_every_value_is_a_row_that_differs(report: dict[str, Any]) -> None:
    rows = {row['name']: row for row in report['rows']}
    assert [row['failed'] for row in report['rows'] if 'failed' in row] == []
    assert {name: row.get('against') for name, row in rows.items()} == COMPARED_WITH
    figures = [row['ADE'] for row in rows.values()]
    assert np.isfinite(figures).all() and len(set(figures)) == len(figures)
    assert all(row['energy_m'] > 0 for row in rows.values())
    assert report['reference'] == {
        'ddim_steps': 5,
        'grid': 'leading',
        'timestep': 801,
        'bank_size': 512,
        'noises': 1,
    }


def test_a_student_starts_where_its_teacher_does_or_where_it_is_told(
    report: dict[str, Any], out: Path
) -> None:
    started = {
        path.parts[-3]: load_checkpoint(path).header.timestep
        for path in out.glob('*/seed-0/student.safetensors')
    }
    assert started['student'] == started['one-step'] == 801
    assert started['student-2-steps-leading'] == started['one-step-from-501'] == 501
    assert started['student-5-steps-trailing'] == 999


def test_the_page_and_the_plot_are_written_and_nothing_is_done_twice(
    report: dict[str, Any], recorded: Path, small_teacher: Path, out: Path
) -> None:
    page = (out / 'sensitivity.md').read_text()
    assert all(name in page for name in COMPARED_WITH)
    assert (out / 'sensitivity.png').stat().st_size > 10_000
    done = {file: file.stat().st_mtime_ns for file in out.rglob('student.safetensors')}
    assert run(recorded, small_teacher, out) == report
    assert done == {file: file.stat().st_mtime_ns for file in done}
