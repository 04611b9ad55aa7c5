"""Import of plain arrays with any units, axes and joints, and options of all importers."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.skeleton import known_layouts

SMPL22 = known_layouts()['smpl22']
FloatArray = NDArray[np.float32]


def test_plain_arrays(
    tmp_path: Path, out: Path, walk: FloatArray, prepare: Callable[..., str]
) -> None:
    gappy = walk.copy()
    gappy[2, 5] = np.nan
    np.savez(tmp_path / 'ann.npz', motion=gappy)
    np.savez(tmp_path / 'two.npz', x=np.stack([walk, walk[::-1]]), subject=np.array(['b', 'c']))
    files = tmp_path / 'ann.npz', tmp_path / 'two.npz'
    prepare('npz', *files, '--rate-hz', 30, '--layout', 'smpl22', '--out', out)
    made = load_archive(out)
    assert made.rate_hz == 30 and made.layout.name == 'smpl22'
    assert made.subjects == ('ann', 'b', 'c') and made.clip_names == ('ann', 'two/0', 'two/1')
    np.testing.assert_allclose(made.clip(2), walk[::-1], atol=0.00013)
    missing = np.argwhere(np.isnan(made.clip(0)).any(-1))
    np.testing.assert_array_equal(missing, [[2, 5]])
    some = out.with_name('some.npz')
    prepare('npz', *files, '--rate-hz', 30, '--layout', 'smpl22', '--out', some,
            '--subjects', 'ann', 'c')  # fmt: skip
    assert load_archive(some).subjects == ('ann', 'c')


def test_plain_units_axes_and_names(
    tmp_path: Path,
    out: Path,
    standing: FloatArray,
    prepare: Callable[..., str],
    column: Callable[..., FloatArray],
) -> None:
    names = ['LHip', 'RHip', 'LShoulder', 'RShoulder', 'Head']
    own = ['l_hip', 'r_hip', 'l_shoulder', 'r_shoulder', 'head']
    pose = standing[[SMPL22.joint_names.index(name) for name in own]]
    x, y, z = np.moveaxis(np.stack([pose] * 4), -1, 0)
    y_up = np.stack([x, z, -y], -1) * 1000
    y_up[1, 4] = 0
    np.save(tmp_path / 'a.npy', y_up)
    words = ('npz', tmp_path / 'a.npy', '--rate-hz', 25, '--up', 'y', '--scale-to-metres', 0.001,
             '--zeros-are-missing', '--joint-names', *names)  # fmt: skip
    prepare(*words, '--out', out)
    made = load_archive(out)
    assert made.joint_names == tuple(names) and made.parents == (-1, 0, 0, 0, 0)
    np.testing.assert_allclose(made.clip(0)[0], pose, atol=0.00013)
    assert np.isnan(made.clip(0)[1, 4]).all() and np.isnan(made.clip(0)).sum() == 3
    mapped = out.with_name('mapped.npz')
    prepare(*words, '--layout', 'smpl22', '--out', mapped)
    made = load_archive(mapped)
    np.testing.assert_allclose(column(made, 'l_shoulder')[0], pose[2], atol=0.00013)
    assert np.isnan(column(made, 'l_knee')).all() and not np.isnan(column(made, 'neck')).any()


def test_plain_refusals(
    tmp_path: Path,
    out: Path,
    walk: FloatArray,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[..., str],
    refused: Callable[..., str],
) -> None:
    path = tmp_path / 'a.npz'

    def sentence(*words: object, **arrays: Any) -> str:
        np.savez(path, **arrays)
        return refused('npz', path, '--rate-hz', 30, '--out', out, *words)

    smpl = ('--layout', 'smpl22')
    assert '(60, 21, 3)' in sentence(*smpl, x=walk[:, 1:])
    assert '(0, 22, 3)' in sentence(*smpl, x=walk[:0])
    assert '--key' in sentence(*smpl, x=walk, y=walk)
    assert '--key' in sentence(*smpl, flat=walk[0])
    assert 'has no array z: it has x' in sentence(*smpl, '--key', 'z', x=walk)
    assert '--joint-names' in sentence(x=walk)
    assert 'with different names' in sentence('--joint-names', 'a', 'a', x=walk)
    two = ('--joint-names', 'LeftKnee', 'l_knee')
    assert 'more than once' in sentence(*smpl, *two, x=walk[:, :2])
    assert 'subject of shape (3,)' in sentence(*smpl, x=walk, subject=np.array(['a'] * 3))
    assert 'not a readable' in sentence(*smpl, x=np.array([{'a': 1}], dtype=object))
    assert 'no subject bob: it has a' in sentence(*smpl, '--subjects', 'bob', x=walk)
    assert 'was measured' in sentence(*smpl, x=walk * np.nan)
    assert 'none of the joints' in sentence(*smpl, '--joint-names', 'x', 'y', x=walk[:, :2])
    path.write_bytes(b'')
    assert 'not a readable' in refused('npz', path, '--rate-hz', 30, '--out', out, *smpl)
    np.savez(path, x=walk * 1000)
    prepare('npz', path, '--rate-hz', 30, '--out', out, *smpl)
    assert 'check the unit' in capsys.readouterr().err
    for wrong in ('0', '-5', 'nan', '1e9'):
        with pytest.raises(SystemExit):
            prepare('npz', path, '--rate-hz', wrong, '--out', out, *smpl)


def test_summary_is_one_line(
    tmp_path: Path, out: Path, walk: FloatArray, prepare: Callable[..., str]
) -> None:
    gappy = walk.copy()
    gappy[:, 0] = np.nan
    np.savez(tmp_path / 'a.npz', gappy)
    words = ('npz', tmp_path / 'a.npz', '--rate-hz', 10, '--layout', 'smpl22', '--out', out)
    assert prepare(*words) == (
        f'{out}: 1 clips, 0.1 min at 10 Hz, 22 joints (smpl22), 4.5% masked\n'
    )


def test_optional_packages_are_not_needed_to_start() -> None:
    code = 'import motion_predictor_training.commands.preparing, sys; print(sorted(sys.modules))'
    loaded = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    for package in ('smplx', 'zarr', 'rosbags'):
        assert f"'{package}'" not in loaded.stdout
