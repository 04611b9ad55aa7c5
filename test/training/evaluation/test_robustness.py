"""Accuracy with faults of trackers. The faulty input passes through the code of the node."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_train

from motion_predictor.skeleton import known_layouts
from motion_predictor_training.evaluation.faults import FAULTS, Source

SMPL = known_layouts()['smpl22']


@pytest.fixture(scope='module')
def written(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the command's results for the default checkpoint on a few windows."""
    folder = tmp_path_factory.mktemp('robustness')
    files = ['--json', str(folder / 'r.json'), '--markdown', str(folder / 'r.md')]
    archive = ['--archive', str(recorded / 'test.npz')]
    assert run_train(['robustness', *archive, '--stride', '2000', *files]) == 0
    return folder


@pytest.fixture(scope='module')
def result(written: Path) -> dict[str, Any]:
    return json.loads((written / 'r.json').read_text())


@pytest.mark.parametrize('name', FAULTS)
def test_each_fault_is_the_same_each_time_and_keeps_the_shape(name: str) -> None:
    motion = np.random.default_rng(1).normal(size=(60, 22, 3)).astype(np.float32)
    first, again = (
        FAULTS[name](motion.copy(), Source(SMPL, 60.0, np.random.default_rng(0))) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape == motion.shape
    assert first.dtype == np.float32
    assert np.array_equal(first, motion) == (name == 'clean')


def test_everybody_is_predicted_and_the_radius_holds_what_is_hidden(
    result: dict[str, Any],
) -> None:
    rows = result['rows']
    clean = rows['clean']
    assert clean['observed'] == 1
    assert not clean['rejected']
    for name, row in rows.items():
        assert row['predicted'] == 1, name
        assert row['ADE'] < 1.5 * clean['ADE'], name
        assert row['coverage'] > clean['coverage'] - 0.15, name  # there are only a few windows
    for name in ('both legs never seen', 'an arm lost for 0.3 s'):
        assert rows[name]['coverage_unseen'] > clean['coverage'] - 0.1
    # Faults that the gates undo do not increase the error.
    assert rows['sides swapped for 3 frames']['ADE'] == pytest.approx(clean['ADE'], rel=1e-3)
    assert rows['sides swapped for 3 frames']['rejected']['left and right swapped'] > 0
    assert rows['2 % of joints 0.5 m off']['ADE'] == pytest.approx(clean['ADE'], rel=0.03)


def test_the_page_has_a_line_for_each_fault(written: Path) -> None:
    page = (written / 'r.md').read_text()
    assert all(f'| {name}' in page for name in FAULTS)


def test_an_archive_that_is_too_short_is_one_sentence(
    write_archive: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_train(['robustness', '--archive', str(write_archive())]) == 2
    assert 'no clip of the archive has' in capsys.readouterr().err
