"""The writer of motion archives: saved archives can be read; a refusal keeps the old file."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motion_predictor.archive import ArchiveError, load_archive, save_archive
from motion_predictor.skeleton import known_layouts

SMPL22 = known_layouts()['smpl22']
FloatArray = NDArray[np.float32]


def test_saved_archive_reads_back(tmp_path: Path, walk: FloatArray) -> None:
    gappy = walk.copy()
    gappy[3:5, 7] = np.nan
    path = tmp_path / 'a.npz'
    text = {'clip_names': ['one', 'two'], 'subject': ['S1', 'S2'], 'category': ['w', 'w']}
    save_archive(path, [walk, gappy[:20]], SMPL22, 60.0, text)
    archive = load_archive(path)
    assert archive.positions.dtype == np.int16 and archive.scale == 0.00025
    assert archive.layout.name == 'smpl22' and archive.rate_hz == 60
    assert archive.clip_names == ('one', 'two') and archive.subjects == ('S1', 'S2')
    assert [len(archive.clip(i)) for i in range(2)] == [60, 20]
    np.testing.assert_allclose(archive.clip(0), walk, atol=0.00013)
    assert np.isnan(archive.clip(1)).any(axis=-1).sum() == 2
    np.testing.assert_array_equal(np.isnan(archive.clip(1)[3:5, 7]), True)
    assert archive.valid is not None and archive.valid[:60].all()
    assert list(tmp_path.iterdir()) == [path]


def test_positions_too_far_for_integers_are_floats(tmp_path: Path, walk: FloatArray) -> None:
    far = walk + np.float32([20, 0, 0])
    save_archive(tmp_path / 'a.npz', [far], SMPL22, 60.0, {})
    archive = load_archive(tmp_path / 'a.npz')
    assert archive.positions.dtype == np.float32 and archive.scale == 1 and archive.valid is None
    np.testing.assert_array_equal(archive.clip(0), far)


def test_what_cannot_be_saved_leaves_the_old_file(tmp_path: Path, walk: FloatArray) -> None:
    path = tmp_path / 'a.npz'
    save_archive(path, [walk], SMPL22, 60.0, {})
    before = path.read_bytes()
    for clips, text, reason in (
        ([], {}, 'no motion'),
        ([walk[:, :5]], {}, 'shape'),
        ([walk[:0]], {}, 'shape'),
        ([walk], {'subject': ['a', 'b']}, 'subject'),
    ):
        with pytest.raises(ArchiveError, match=reason):
            save_archive(path, clips, SMPL22, 60.0, text)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    with pytest.raises(ArchiveError, match='cannot write'):
        save_archive(path / 'below_a_file.npz', [walk], SMPL22, 60.0, {})
