"""Groups of windows: by person, by activity, and by whether a checkpoint knows the person."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import run_train
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import load_checkpoint
from motion_predictor_training.data.known_people import Known
from motion_predictor_training.evaluation.evaluate import evaluate_checkpoint

HISTORY, FUTURE, RATE_HZ = 5, 7, 20
Archive = Callable[..., Path]


def dance(frames: int, seed: int = 0) -> NDArray[np.float32]:
    """Return joints (frames, 22, 3) that wander about."""
    steps = np.random.default_rng(seed).normal(scale=0.02, size=(frames, 22, 3))
    return (np.arange(22)[:, None] * [0.05, 0.1, 0.07] + steps.cumsum(0)).astype(np.float32)


def test_groups_partition_the_windows(saved: Callable[..., Path], write_archive: Archive) -> None:
    archive = write_archive(
        positions=dance(90),
        clip_offsets=np.array([0, 30, 50, 90]),
        fps=RATE_HZ,
        clip_names=np.array(['a', 'b', 'c']),
        subject=np.array(['7', '8', '7']),
        category=np.array(['lifting', '', 'walking']),
    )
    result = evaluate_checkpoint(saved(), archive, samples=4, stride=4, seen=['8', '99'])
    groups = result['groups']
    counts = {kind: {k: g['windows'] for k, g in of.items()} for kind, of in groups.items()}
    assert sum(counts.pop('pace').values()) == sum(counts.pop('body').values()) == 16
    assert counts == {
        'category': {'lifting': 5, 'not named': 3, 'walking': 8},
        'subject': {'7': 13, '8': 3},
        'training': {'seen': 3, 'unseen': 13},
    }
    assert {name: g['seen'] for name, g in groups['subject'].items()} == {'7': False, '8': True}
    assert groups['training']['seen']['rows'] == groups['subject']['8']['rows']
    additive = [n for n in result['rows']['model'] if n != 'speed_JSD_bits']
    for of_kind in groups.values():
        for row, figures in result['rows'].items():
            for name in additive:
                average = np.average(
                    [g['rows'][row][name] for g in of_kind.values()],
                    weights=[g['windows'] for g in of_kind.values()],
                )
                assert average == pytest.approx(figures[name], rel=1e-9, abs=1e-12)
    lone = evaluate_checkpoint(saved(), archive, samples=4, stride=4)
    assert list(lone['groups']['training']) == ['not recorded'], 'it does not say whom it knows'


def test_who_was_trained_or_calibrated_on_is_seen(
    saved: Callable[..., Path], write_archive: Archive
) -> None:
    """Old checkpoints record archives. Newer checkpoints and their parents also record people."""
    archive = write_archive(
        positions=dance(90), clip_offsets=np.array([0, 45, 90]), fps=RATE_HZ, category=None
    )
    fingerprint = load_archive(archive).fingerprint
    teacher = {'data': {'train': 'other'}, 'people': ['1', '3']}
    calibration = {'data': ['another'], 'trained_on': [], 'people': ['4']}
    student = {'data': {'train': 'other'}, 'people': ['1', '3'], 'parent': {'provenance': teacher}}
    unnamed = {'data': {'train': 'other'}, 'people': ['']}
    of_old = {'data': ['another'], 'trained_on': [fingerprint]}
    for provenance, expected in (
        (teacher, {'1': 'seen', '2': 'unseen'}),
        (student | {'calibration': calibration}, {'1': 'seen', '2': 'unseen'}),
        (unnamed | {'parent': {'provenance': teacher}}, {'1': 'seen', '2': 'not recorded'}),
        (
            {**teacher, 'people': [], 'committee': [{'provenance': teacher}]},
            {'1': 'seen', '2': 'unseen'},
        ),
        (unnamed, {'1': 'not recorded', '2': 'not recorded'}),
        ({'data': {'train': 'other'}, 'calibration': of_old}, {'1': 'seen', '2': 'seen'}),
        ({'imported': 'weights.pt'}, {'1': 'not recorded', '2': 'not recorded'}),
    ):
        known = Known.to(load_checkpoint(saved(provenance=provenance)).header)
        assert known.of(load_archive(archive)) == expected
    result = evaluate_checkpoint(saved(provenance=student), archive, samples=2, stride=9)
    assert result['seen'] == ['1']
    counts = {name: group['windows'] for name, group in result['groups']['training'].items()}
    assert counts == {'seen': 4, 'unseen': 4}
    assert result['groups']['subject']['1']['seen'] is True


def test_windows_need_not_overlap(
    saved: Callable[..., Path], write_archive: Archive, tmp_path: Path
) -> None:
    archive = write_archive(positions=dance(90), clip_offsets=np.array([0, 45, 90]), fps=RATE_HZ)
    out = tmp_path / 'apart.json'
    command = ['evaluate', '--checkpoint', f'{saved()}', '--archive', f'{archive}']
    assert run_train([*command, '--samples', '2', '--no-overlap', '--json', f'{out}']) == 0
    result = json.loads(out.read_text())
    assert (result['stride'], result['windows']) == (12, 6)  # 5 + 7 frames, three per clip


def test_an_archive_without_subjects_has_no_groups_of_them(
    saved: Callable[..., Path], write_archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = write_archive(fps=RATE_HZ, subject=None, category=None)
    checkpoint = saved()
    groups = evaluate_checkpoint(checkpoint, archive, samples=2)['groups']
    assert set(groups) == {'pace', 'body', 'training'}
    assert set(groups['training']) == {'not recorded'}
    arguments = ['evaluate', '--checkpoint', str(checkpoint), '--archive', str(archive)]
    assert run_train([*arguments, '--seen', '7']) == 2
    assert 'names no subjects, so --seen cannot be applied\n' in capsys.readouterr().err
