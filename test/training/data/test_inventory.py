"""The description of motion archives, and configurations that are found by name."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import run_train


def test_an_archive_is_described(
    write_archive: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_archive(subject=np.array(['2', '3'])).rename(tmp_path / 'other.npz')
    valid = np.ones((50, 22), bool)
    valid[:25, :11] = False
    walked = np.random.default_rng(0).normal(size=(50, 22, 3)).astype(np.float32)
    with np.load(other) as file:
        walked[:30] = file['positions'][:30]  # both archives have the same first clip
    archive = write_archive(category=np.array(['locomotion', '']), positions=walked)
    out = tmp_path / 'found.json'
    assert run_train(['inspect', f'{archive}', '--others', f'{other}', '--json', f'{out}']) == 0
    found = json.loads(out.read_text())
    assert found['minutes'] == pytest.approx(50 / 3600)
    assert (found['clips'], found['rate_hz'], found['joints']) == (2, 60, 22)
    assert (found['layout'], found['measured']) == ('smpl22', pytest.approx(1))
    assert found['by_person'] == pytest.approx({'1': 30 / 3600, '2': 20 / 3600})
    assert found['by_category'] == pytest.approx({'locomotion': 30 / 3600, '': 20 / 3600})
    assert found['overlap'] == {str(other): {'people': ['2'], 'clips': 1}}
    printed = capsys.readouterr().out
    assert 'category not named' in printed and '2; 1 clips' in printed
    assert run_train(['inspect', f'{write_archive(valid=valid)}', '--json', f'{out}']) == 0
    assert json.loads(out.read_text())['measured'] == pytest.approx(0.75)


@pytest.mark.parametrize('name', ['transfusion-amass.yaml', 'transfusion-amass'])
def test_configurations_that_ship_are_found_by_name(
    name: str,
    write_archive: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive = write_archive()
    command = ['teacher', '--train', f'{archive}', '--out', f'{tmp_path / "teacher.safetensors"}']
    # Refused because the clips are too short.
    assert run_train([*command, '--config', name]) == 2
    assert 'has 150 gapless frames' in capsys.readouterr().err
    assert run_train([*command, '--config', f'elsewhere/{name}']) == 2
    assert 'cannot read the configuration elsewhere' in capsys.readouterr().err
