"""The ablations in miniature on recorded motion: the report, failures and resuming."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_train

from motion_predictor_training.ablation.plan import plan
from motion_predictor_training.ablation.variant import Stages
from motion_predictor_training.config import (
    AblateConfig,
    DistilConfig,
    TeacherConfig,
    load_config,
)
from motion_predictor_training.shipped import shipped_configuration

MINIATURE = {
    'one-step.bank': '{size: 256, chunk: 64}',
    'one-step.optimisation.steps': 20,
    'one-step.optimisation.batch': 32,
    'student.network': '{kind: swiftdiff, layers: 2, width: 96}',
    'student.bank': '{size: 1024, chunk: 256}',
    'student.optimisation.steps': 30,
    'student.optimisation.batch': 32,
    'student.optimisation.learning_rate': 3.0e-3,
    'student.optimisation.ema_decay': 0.9,
    'ablate.noises': 4,
    'ablate.ddim_steps': '[2, 5]',
    'ablate.noise_schedules': '[]',
    'ablate.samples': 8,
    'ablate.stride': 200,
    'ablate.batches': '[1, 2]',
    'ablate.repeats': 1,
    'ablate.seeds': 2,
    'ablate.networks': '{gru: {kind: gru, layers: 1, width: 32}, '
    'graph: {kind: graph, layers: 2, width: 32}}',
}
ANEW = {'ablate.noise_schedules': '[linear]', 'ablate.stride': 1, 'ablate.seeds': 1}
"""Settings that also train a teacher with another noise schedule."""
Rows = dict[str, dict[str, Any]]

COMPARED_WITH = {
    'teacher': None,
    'teacher, 2 steps': 'teacher',
    'one-step': 'teacher',
    'student': 'one-step',
    'student, bfloat16': 'student',
    'direct': 'student',
    'direct, longer': 'student',
    'KL': 'student',
    'epsilon': 'student',
    'epsilon, bfloat16': 'epsilon',
    'truth term': 'student',
    'vanilla': 'student',
    'vanilla, best of noises': 'student',
    'gru': 'student',
    'graph': 'student',
}


def run(train: Path, validation: Path, out: Path, *more: str, **settings: Any) -> Rows:
    """Run the ablations; return the rows by name."""
    overrides = [part for item in settings.items() for part in ('--set', '{}={}'.format(*item))]
    archives = ['--train', str(train), '--validation', str(validation)]
    assert run_train(['ablate', *archives, '--out', str(out), *more, *overrides]) == 0
    report = json.loads((out / 'ablation.json').read_text())
    return {row['name']: row for row in report['rows']}


def ablate(recorded: Path, teacher: Path, out: Path) -> Rows:
    """Run the ablations of a teacher in miniature."""
    archives = recorded / 'train.npz', recorded / 'val.npz'
    return run(*archives, out, '--teacher', str(teacher), **MINIATURE)


@pytest.fixture(scope='module')
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the ablations. A wrong file is in the place of one student."""
    folder = tmp_path_factory.mktemp('ablations')
    (folder / 'KL' / 'seed-0').mkdir(parents=True)
    (folder / 'KL' / 'seed-0' / 'student.safetensors').write_text('not a checkpoint')
    return folder


@pytest.fixture(scope='module')
def rows(recorded: Path, small_teacher: Path, out: Path) -> Rows:
    """The rows of the report of a first run, by name."""
    return ablate(recorded, small_teacher, out)


def test_the_teacher_is_trained_where_none_is_given(
    write_archive: Callable[..., Path], tmp_path: Path
) -> None:
    archive = write_archive(fps=20)
    window = '{rate_hz: 20, history_frames: 5, future_frames: 7, coefficients: 3}'
    network = '{kind: transfusion, layers: 3, width: 8, heads: 2, ff_width: 8}'
    settings = {'teacher.window': window, 'teacher.network': network}
    settings |= {f'{s}.optimisation.steps': '2' for s in ('teacher', 'one-step', 'student')}
    rows = run(archive, archive, tmp_path / 'out', **(MINIATURE | settings | ANEW))
    assert not [row['failed'] for row in rows.values() if 'failed' in row]
    assert 'teacher, linear schedule' in rows


def test_a_given_one_step_teacher_is_not_trained(small_teacher: Path, tmp_path: Path) -> None:
    stages = Stages(
        load_config(TeacherConfig, shipped_configuration('teacher'), []),
        load_config(DistilConfig, shipped_configuration('one-step'), []),
        load_config(DistilConfig, shipped_configuration('student'), []),
    )
    given = tmp_path / 'one-step.safetensors'
    variants = plan(AblateConfig(), stages, tmp_path / 'no.npz', tmp_path, small_teacher, given)
    made = {variant.name: variant.make for variant in variants}
    assert made['one-step'](0) == made['one-step'](1) == given


def test_every_row_is_measured_and_compared(rows: Rows) -> None:
    assert list(rows) == list(COMPARED_WITH)
    for name, row in rows.items():
        if name == 'KL':
            continue
        assert np.isfinite([row['ADE'], row['FDE'], row['APD']]).all()
        assert row.get('against') == COMPARED_WITH[name]
        people = ['1'] if name.startswith('teacher') else ['1', '2']
        assert list(row['latency_ms']) == people
        if reference := rows.get(row.get('against', '')):
            change = row['ADE'] / reference['ADE'] - 1
            assert row['ADE_change'] == pytest.approx(change, abs=1e-5)
            low, high = row['interval']
            assert low <= high
            assert (row['verdict'] == 'better') <= (high < 0)
            assert (row['verdict'] == 'worse') <= (low > 0)
        assert np.mean(row['ADE_of_seeds']) == pytest.approx(row['ADE'])
        assert len(set(row['ADE_of_seeds'])) == 2, 'seeds make a difference'


def test_rows_differ_as_they_must(rows: Rows) -> None:
    trained = [row['ADE'] for name, row in rows.items() if name not in ('KL', 'student, bfloat16')]
    assert len(set(trained)) == len(trained)
    assert rows['direct']['steps'] == 30 and rows['direct, longer']['steps'] == 50
    errors_cm = [rows[f'{name}, bfloat16']['bfloat16_error_cm'] for name in ('student', 'epsilon')]
    assert 0 < errors_cm[0]['p99'] < errors_cm[1]['p99'], 'epsilon loses more precision'


def test_a_failed_variant_is_a_row_and_is_tried_again(
    rows: Rows,
    recorded: Path,
    small_teacher: Path,
    out: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken = out / 'KL' / 'seed-0' / 'student.safetensors'
    assert 'not a safetensors file' in rows['KL']['failed']
    page = (out / 'ablation.md').read_text()
    assert f'failed: {taken}' in page and 'zero velocity' in page

    taken.unlink()
    done = {file: file.stat().st_mtime_ns for file in out.rglob('student.*')}
    repaired = ablate(recorded, small_teacher, out)
    assert 'verdict' in capsys.readouterr().out
    assert repaired['KL']['against'] == 'student' and 'failed' not in repaired['KL']
    assert {name: row for name, row in repaired.items() if name != 'KL'} == {
        name: row for name, row in rows.items() if name != 'KL'
    }
    assert done == {file: file.stat().st_mtime_ns for file in done}, 'nothing was done twice'
