"""Joining of motion archives into one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import run_train

from motion_predictor.archive import load_archive


def joined(out: Path, *arguments: str) -> int:
    """Run `train prepare join` and return its exit status."""
    return run_train(['prepare', 'join', *arguments, '--out', str(out)])


def test_archives_are_joined_whole(write_archive: Callable[..., Path], tmp_path: Path) -> None:
    valid = np.ones((50, 22), np.bool_)
    valid[:, 4] = False
    first = write_archive(valid=valid).rename(tmp_path / 'first.npz')
    second = write_archive(subject=np.array(['3', '4']))
    out = tmp_path / 'all.npz'
    assert joined(out, str(first), str(second)) == 0
    archive = load_archive(out)
    assert archive.subjects == ('1', '2', '3', '4')
    assert archive.categories == ('locomotion',) * 4
    for index, source in enumerate((first, first, second, second)):
        expected = load_archive(source).clip(index % 2)
        np.testing.assert_allclose(archive.clip(index), expected, atol=2e-4, equal_nan=True)


def test_people_are_taken_or_left_out(write_archive: Callable[..., Path], tmp_path: Path) -> None:
    archive, out = str(write_archive()), tmp_path / 'some.npz'
    assert joined(out, archive, '--subjects', '2') == 0
    assert load_archive(out).subjects == ('2',)
    assert joined(out, archive, '--without', '2') == 0
    assert load_archive(out).subjects == ('1',)


def test_people_who_are_not_there_are_named(
    write_archive: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert joined(tmp_path / 'x.npz', str(write_archive()), '--without', '7') == 2
    assert 'has no subject 7: it has 1, 2' in capsys.readouterr().err


def test_archives_of_other_rates_are_refused(
    write_archive: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = write_archive().rename(tmp_path / 'first.npz')
    assert joined(tmp_path / 'x.npz', str(first), str(write_archive(fps=30))) == 2
    assert 'has other joints or another rate than' in capsys.readouterr().err
