"""How near predicted futures are to training futures."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run_train

from motion_predictor_training.evaluation.memorisation import (
    MOMENTS,
    ROWS,
    Reference,
    compare,
)

FEATURES = 6


@pytest.fixture
def reference() -> Reference:
    """Forty training futures from four clips."""
    poses = 100 * torch.randn(MOMENTS, 40, FEATURES, generator=torch.Generator().manual_seed(0))
    return Reference(poses, torch.arange(40) // 10)


def test_what_is_recited_is_found(reference: Reference) -> None:
    truth = 100 * torch.randn(1, 1, MOMENTS, FEATURES)
    recited = reference.poses[:, [3, 17]].transpose(0, 1)[None]  # (1, 2, MOMENTS, FEATURES)
    rows = compare(recited + 0.1, truth, truth, reference)
    assert rows['copied'] == rows['nearer_than_truth'] == 1
    assert rows['samples_mm'] < 1 < 50 < rows['truth_mm']
    assert rows['truth_copied'] == 0
    assert rows['going_on_mm'] == rows['truth_mm']

    own = compare(recited[:, :1], truth, truth, reference, torch.tensor([0]))
    assert own['copied'] == 0 and own['samples_mm'] > 50, 'their own clip does not count'


def test_the_distance_is_a_mean_over_moments(reference: Reference) -> None:
    truth = reference.poses[:, :1].transpose(0, 1)[None]
    moved = truth.clone()
    moved[..., 0] += torch.linspace(0, 2, MOMENTS)
    rows = compare(torch.cat([moved, truth + 1000], 1), truth, truth, reference)
    assert rows['nearest_sample_mm'] == pytest.approx(1, abs=1e-4)


def test_the_command_sets_seen_beside_unseen_people(
    saved: Callable[..., Path],
    write_archive: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained = write_archive(fps=20).rename(tmp_path / 'train.npz')
    others = write_archive(fps=20, subject=np.array(['3', '4']))
    out = tmp_path / 'result.json'
    command = ['memorisation', '--checkpoint', str(saved()), '--samples', '3', '--stride', '9']
    command += ['--train', str(trained), '--json', str(out)]
    assert run_train([*command, '--archive', str(others)]) == 0
    assert 'people trained on' in capsys.readouterr().out
    result = json.loads(out.read_text())
    assert result['seen']['people'] == ['1', '2'] and result['unseen']['people'] == ['3', '4']
    assert set(ROWS) < set(result['unseen'])
    # Both people move in the same way, so the other person's clip is at distance zero.
    assert result['unseen']['truth_mm']['mean'] < 1 and result['seen']['truth_mm']['mean'] < 1
    assert result['unseen']['samples_mm']['mean'] > 1

    assert run_train([*command, '--archive', str(trained)]) == 2
    assert (
        "must hold only people who were not trained on, but holds ['1', '2']"
        in capsys.readouterr().err
    )
