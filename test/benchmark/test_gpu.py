"""The script that measures GPUs, tried on the CPU."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from commands import check

from motion_predictor_benchmark import gpu
from motion_predictor_benchmark.gpu_parts import PARTS, Row, Task


def test_every_part_runs_dry_on_the_cpu(tmp_path: Path) -> None:
    assert check(gpu.main, 'gpu', ['--device', 'cpu', '--quick', '--out', str(tmp_path)]) == 0
    parts = json.loads((tmp_path / 'gpu.json').read_text())['parts']
    assert list(parts) == list(PARTS)
    assert all(part['rows'] for part in parts.values())
    (alike,) = {row['apart_cm_p99'] < 1e-3 for row in parts['agreement']['rows']}
    assert alike
    assert [row['stage'] for row in parts['training']['rows']] == ['teacher', 'student', 'refine']
    assert all(row['steps_per_s'] > 0 for row in parts['training']['rows'])
    text = (tmp_path / 'gpu.md').read_text()
    assert 'a dry run' in text and all(name.replace('_', ' ') in text for name in PARTS)


def test_a_part_that_breaks_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(PARTS, 'agreement', (PARTS['agreement'][0], 0.001))
    options = ['--device', 'cpu', '--quick', '--out', str(tmp_path)]
    assert gpu.main([*options, '--only', 'agreement', 'machine']) == 1
    parts = json.loads((tmp_path / 'gpu.json').read_text())['parts']
    assert parts['agreement']['error'] == 'it took more than 0.02 s'
    assert parts['agreement']['rows'] == []
    assert parts['machine']['rows']


def test_what_a_part_measured_before_it_broke_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(task: Task) -> Iterator[Row]:
        yield {'seen': 1}
        raise RuntimeError('no more')

    monkeypatch.setitem(PARTS, 'machine', (breaks, 1))
    with pytest.raises(RuntimeError, match='no more'):
        gpu.main(['--device', 'cpu', '--quick', '--out', str(tmp_path), '--part', 'machine'])
    assert json.loads((tmp_path / 'part-machine.json').read_text()) == [{'seen': 1}]


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_without_a_gpu_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(gpu.main, 'gpu', ['--out', str(tmp_path)]) == 2
    assert "there is no 'cuda'" in capsys.readouterr().err
