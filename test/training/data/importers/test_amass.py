"""Import of AMASS: windows, zarr folders, and raw recordings with body models."""

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor_training.data.importers.amass import TEST_WINDOWS

FloatArray = NDArray[np.float32]


def test_amass_windows(
    tmp_path: Path, out: Path, walk: FloatArray, prepare: Callable[..., str]
) -> None:
    windows = np.stack([walk, walk + np.float32([0, 2, 0])])
    np.savez(tmp_path / 'data_3d_amass.npz', windows)
    prepare('amass', tmp_path / 'data_3d_amass.npz', '--out', out)
    made = load_archive(out)
    assert len(made) == 2 and made.rate_hz == 60 and made.layout.name == 'smpl22'
    np.testing.assert_allclose(made.clip(1), windows[1], atol=0.00013)


def test_amass_windows_relative_to_the_pelvis_are_put_back(
    tmp_path: Path, out: Path, walk: FloatArray, prepare: Callable[..., str]
) -> None:
    relative = walk.copy()
    relative[:, 1:] -= relative[:, :1]
    np.savez(tmp_path / 'w.npz', relative[None])
    prepare('amass', tmp_path / 'w.npz', '--out', out)
    np.testing.assert_allclose(load_archive(out).clip(0), walk, atol=0.00013)


def test_amass_test_windows_are_named_by_data_set(
    tmp_path: Path, out: Path, standing: FloatArray, prepare: Callable[..., str]
) -> None:
    assert sum(TEST_WINDOWS.values()) == 12727
    windows = np.broadcast_to(standing, (12727, 2, 22, 3))
    np.savez(tmp_path / 'data_3d_amass_test.npz', windows)
    prepare('amass', tmp_path / 'data_3d_amass_test.npz', '--subjects', 'SSM', '--out', out)
    made = load_archive(out)
    assert len(made) == 12 and set(made.categories) == {'SSM'}
    assert made.clip_names[0] == 'SSM/233'


def test_amass_zarr_folders(
    tmp_path: Path,
    out: Path,
    walk: FloatArray,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[..., str],
    refused: Callable[..., str],
) -> None:
    arrays = {}
    for name, shift in (('CMU', 0), ('SFU', 1)):
        for kind, array in (
            ('poses', np.concatenate([walk, walk[:30]]) + np.float32([0, shift, 0])),
            ('poses_index', np.array([[0, 60], [60, 90]])),
        ):
            folder = tmp_path / 'AMASS' / name / f'{kind}.zarr'
            folder.mkdir(parents=True)
            arrays[str(folder)] = array
    zarr = types.ModuleType('zarr')
    zarr.open = lambda path, mode: arrays[path]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'zarr', zarr)
    prepare('amass', tmp_path / 'AMASS', '--subjects', 'SFU', '--out', out)
    made = load_archive(out)
    assert made.subjects == ('SFU', 'SFU') and [len(made.clip(i)) for i in (0, 1)] == [60, 30]
    np.testing.assert_allclose(made.clip(1), walk[:30] + [0, 1, 0], atol=0.00013)
    arrays[str(tmp_path / 'AMASS' / 'CMU' / 'poses_index.zarr')] = np.array([[0, 900]])
    other = out.with_name('other.npz')
    assert '0 to 900' in refused('amass', tmp_path / 'AMASS', '--out', other)
    monkeypatch.setitem(sys.modules, 'zarr', None)
    assert 'pip install zarr' in refused('amass', tmp_path / 'AMASS', '--out', other)


class FakeBodyModel(torch.nn.Module):
    """Stands in for a body model. Joint j is at transl + (j, yaw, sum of betas)."""

    num_betas = 10
    num_expression_coeffs = 10
    created: list[dict[str, Any]] = []

    def forward(self, **given: torch.Tensor) -> types.SimpleNamespace:
        frames = len(given['transl'])
        assert given['betas'].shape == (frames, 10) and given['body_pose'].shape == (frames, 63)
        assert given['left_hand_pose'].shape == (frames, 45)
        index = torch.arange(55.0).expand(frames, 55) / 100
        yaw = given['global_orient'][:, 2:].expand(frames, 55)
        shape = given['betas'].sum(-1, keepdim=True).expand(frames, 55)
        joints = torch.stack([index, yaw, shape], -1) + given['transl'][:, None]
        return types.SimpleNamespace(joints=joints)


@pytest.fixture
def smplx(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(path: str, **options: Any) -> FakeBodyModel:
        FakeBodyModel.created.append(options)
        return FakeBodyModel()

    module = types.ModuleType('smplx')
    module.create = create  # type: ignore[attr-defined]
    FakeBodyModel.created = []
    monkeypatch.setitem(sys.modules, 'smplx', module)


def raw_amass(path: Path, frames: int, rate_hz: float, columns: int = 156, **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    poses = np.zeros((frames, columns))
    poses[:, 2] = np.arange(frames) / rate_hz
    trans = np.arange(frames)[:, None] / rate_hz * [1.0, 0, 0]
    rate = 'mocap_framerate' if columns == 156 else 'mocap_frame_rate'
    content = {
        'poses': poses, 'trans': trans, 'betas': np.full(16, 0.1), 'gender': np.array('male'),
        rate: np.array(rate_hz), 'labels': np.array([{'pickled': 1}], dtype=object),
    }  # fmt: skip
    np.savez(
        path, **{name: value for name, value in (content | more).items() if value is not None}
    )


@pytest.fixture
def body_models(tmp_path: Path) -> Path:
    for name in ('smplh/SMPLH_MALE.pkl', 'smplh/SMPLH_FEMALE.pkl', 'smplx/SMPLX_NEUTRAL.npz'):
        path = tmp_path / 'models' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / 'models'


def test_raw_amass(
    tmp_path: Path,
    out: Path,
    body_models: Path,
    smplx: None,
    prepare: Callable[..., str],
    column: Callable[..., FloatArray],
) -> None:
    root = tmp_path / 'AMASS'
    raw_amass(root / 'CMU' / '01' / '01_01_poses.npz', 1201, 120.0)
    raw_amass(root / 'KIT' / '3' / 'a_poses.npz', 201, 100.0, gender=np.array(b'female'))
    raw_amass(root / 'SSM' / 'x' / 'b_stageii.npz', 60, 30.0, 165, gender=np.array("b'neutral'"))
    np.savez(root / 'CMU' / '01' / 'shape.npz', betas=np.zeros(16), gender=np.array('male'))
    prepare('amass', root, '--body-models', body_models, '--out', out)
    made = load_archive(out)
    assert made.subjects == ('CMU/01', 'KIT/3', 'SSM/x')
    assert made.categories == ('CMU', 'KIT', 'SSM')
    assert [len(made.clip(i)) for i in range(3)] == [601, 121, 119]
    assert [(c['model_type'], c['gender'], c['ext']) for c in FakeBodyModel.created] == [
        ('smplh', 'male', 'pkl'), ('smplh', 'female', 'pkl'), ('smplx', 'neutral', 'npz'),
    ]  # fmt: skip
    for clip in range(3):
        seconds = np.arange(len(made.clip(clip))) / 60
        expected = np.stack([seconds + 0.20, seconds, np.ones_like(seconds)], -1)  # joint 20
        np.testing.assert_allclose(column(made, 'l_wrist', clip), expected, atol=0.0002)
    one = out.with_name('one.npz')
    prepare('amass', root, '--body-models', body_models, '--out', one, '--subjects', 'CMU')
    assert load_archive(one).subjects == ('CMU/01',)


def test_raw_amass_refusals(
    tmp_path: Path,
    out: Path,
    body_models: Path,
    smplx: None,
    monkeypatch: pytest.MonkeyPatch,
    refused: Callable[..., str],
) -> None:
    path = tmp_path / 'AMASS' / 'CMU' / '01' / 'a.npz'
    models = ('--body-models', body_models)

    def sentence(*words: object, **changes: Any) -> str:
        raw_amass(path, 30, 60.0, **changes)
        return refused('amass', path, '--out', out, *words)

    assert '--body-models' in sentence()
    assert 'SMPLH_OTHER' in sentence(*models, gender=np.array('other'))
    assert 'frame rate of None' in sentence(*models, mocap_framerate=None)
    assert 'has no trans' in sentence(*models, trans=None)
    assert '(30, 72)' in sentence(*models, columns=72)
    assert '(7, 3)' in sentence(*models, trans=np.zeros((7, 3)))
    assert 'no subject KIT: it has CMU/01' in sentence(*models, '--subjects', 'KIT')
    np.savez(path, betas=np.zeros(3))
    assert 'no AMASS recording' in refused('amass', path, '--out', out, *models)
    path.write_bytes(b'not a zip')
    assert 'not a readable' in refused('amass', path, '--out', out, *models)
    np.savez(path, np.zeros((3, 150, 17, 3)))
    assert '(3, 150, 17, 3)' in refused('amass', path, '--out', out)
    assert 'there is no' in refused('amass', tmp_path / 'nowhere', '--out', out)
    monkeypatch.setitem(sys.modules, 'smplx', None)
    assert 'pip install smplx' in sentence(*models)
