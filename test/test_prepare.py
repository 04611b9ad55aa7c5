"""Importers: from files in the very format of each source to a motion archive."""

import argparse
import contextlib
import io
import os
import pickle
import sqlite3
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from scipy.spatial.transform import Rotation

from motion_predictor.archive import ArchiveError, MotionArchive, load_archive, save_archive
from motion_predictor.skeleton import known_layouts
from motion_predictor_training.data.amass import TEST_WINDOWS
from motion_predictor_training.data.bvh import read_bvh, read_mapping
from motion_predictor_training.data.human36m import KEPT
from motion_predictor_training.prepare import add_prepare

MILLIMETRE = 1e-3
SMPL22 = known_layouts()['smpl22']
FloatArray = NDArray[np.float32]


def prepare(*words: object) -> str:
    """Run `train prepare`; return what it prints."""
    parser = argparse.ArgumentParser()
    add_prepare(parser.add_subparsers())
    arguments = parser.parse_args(['prepare', *map(str, words)])
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        arguments.run(arguments)
    return printed.getvalue()


def refused(*words: object) -> str:
    """Return the sentence with which `train prepare` refuses; it wrote nothing."""
    with pytest.raises(ArchiveError) as caught:
        prepare(*words)
    out = Path(words[words.index('--out') + 1])  # type: ignore[arg-type]
    assert not out.exists()
    assert '\n' not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / 'made' / 'archive.npz'


@pytest.fixture
def walk(standing: FloatArray) -> FloatArray:
    """Somebody who glides forward for 60 frames: (60, 22, 3) in the order of smpl22."""
    return standing + np.linspace(0, 1, 60, dtype=np.float32)[:, None, None] * np.float32(
        [1, 0, 0]
    )


@pytest.fixture
def standing() -> FloatArray:
    """A plausible pose (22, 3), metres, z up, facing +x, left towards +y."""
    places = {
        'pelvis': (0, 0, 0.95), 'spine1': (0, 0, 1.06), 'spine2': (0, 0, 1.19),
        'spine3': (0, 0, 1.25), 'neck': (0, 0, 1.46), 'head': (0.04, 0, 1.55),
    }  # fmt: skip
    left = {
        'hip': (0, 0.07, 0.87), 'knee': (0.02, 0.09, 0.49), 'ankle': (0, 0.1, 0.09),
        'foot': (0.13, 0.11, 0.03), 'collar': (0, 0.08, 1.4), 'shoulder': (0, 0.18, 1.41),
        'elbow': (0.02, 0.3, 1.17), 'wrist': (0.1, 0.35, 0.95),
    }  # fmt: skip
    for name, (x, y, z) in left.items():
        places |= {f'l_{name}': (x, y, z), f'r_{name}': (x + 0.01, -y, z)}
    return np.array([places[name] for name in SMPL22.joint_names], np.float32)


def column(archive: MotionArchive, joint: str, clip: int = 0) -> FloatArray:
    """Return one joint's path (T, 3)."""
    return archive.clip(clip)[:, archive.joint_names.index(joint)]


# --- The writer ---


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


# --- Human3.6M ---


@pytest.fixture
def h36m() -> dict[str, dict[str, FloatArray]]:
    """Motion of the size of people, as VideoPose3D stores it; no two joints coincide."""
    generator = np.random.default_rng(0)

    def motion(frames: int) -> FloatArray:
        drift = generator.standard_normal((frames, 1, 3)).cumsum(0) * 0.01
        body = np.linspace([0, -0.3, 0], [0.1, 0.3, 1.7], 32)
        return (body + drift).astype(np.float32)

    return {
        subject: {'Walking 1': motion(40), 'Eating': motion(30)} for subject in ('S1', 'S9', 'S11')
    }


@pytest.mark.parametrize('protocol', [2, 4])
def test_human36m(tmp_path: Path, out: Path, h36m: Any, protocol: int) -> None:
    source = tmp_path / 'data_3d_h36m.npz'
    if protocol == 4:
        np.savez_compressed(source, positions_3d=np.array(h36m, dtype=object))
    else:  # as numpy wrote it when these files were made
        with zipfile.ZipFile(source, 'w') as archive, archive.open('positions_3d.npy', 'w') as f:
            np.lib.format.write_array_header_1_0(
                f, {'descr': '|O', 'fortran_order': False, 'shape': ()}
            )
            f.write(pickle.dumps(np.array(h36m, dtype=object), protocol=2))
    prepare('human36m', source, '--subjects', 'S1', 'S11', '--out', out)
    made = load_archive(out)
    assert made.rate_hz == 50 and made.layout.name == 'h36m17' and made.valid is None
    assert made.subjects == ('S1', 'S1', 'S11', 'S11')
    assert made.clip_names[:2] == ('S1/Walking 1', 'S1/Eating')
    assert made.categories[:2] == ('Walking', 'Eating')
    np.testing.assert_allclose(made.clip(2), h36m['S11']['Walking 1'][:, list(KEPT)], atol=0.00013)
    # Human3.6M's own numbers of these joints.
    for joint, index in {'Hip': 0, 'RHip': 1, 'LAnkle': 8, 'Head': 15, 'RWrist': 27}.items():
        expected = h36m['S1']['Walking 1'][:, index]
        np.testing.assert_allclose(column(made, joint), expected, atol=0.00013)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(Malicious.trace),)

    trace: Path


@pytest.mark.parametrize('hidden_in', ['the dictionary', 'the place of the array'])
def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, out: Path, hidden_in: str) -> None:
    Malicious.trace = tmp_path / 'executed'
    source = tmp_path / 'evil.npz'
    if hidden_in == 'the dictionary':
        np.savez(source, positions_3d=np.array({'S1': {'Walking': Malicious()}}, dtype=object))
    else:
        with zipfile.ZipFile(source, 'w') as archive, archive.open('positions_3d.npy', 'w') as f:
            np.lib.format.write_array_header_1_0(
                f, {'descr': '|O', 'fortran_order': False, 'shape': ()}
            )
            f.write(pickle.dumps(Malicious()))
    sentence = refused('human36m', source, '--out', out)
    assert 'evil.npz' in sentence and 'mkdir' in sentence
    assert not Malicious.trace.exists()


def test_human36m_refusals(tmp_path: Path, out: Path, h36m: Any) -> None:
    source = tmp_path / 'h.npz'

    def sentence(content: Any = None, subjects: tuple[str, ...] = (), **arrays: Any) -> str:
        if content is not None:
            arrays = {'positions_3d': np.array(content, dtype=object)}
        np.savez(source, **arrays)
        chosen = ('--subjects', *subjects) if subjects else ()
        text = refused('human36m', source, '--out', out, *chosen)
        assert str(source) in text
        return text

    assert 'no subject S2: it has S1, S11, S9' in sentence(h36m, ('S2', 'S9'))
    assert '(40, 17, 3)' in sentence({'S1': {'Walking': h36m['S1']['Walking 1'][:, :17]}})
    assert '(0, 32, 3)' in sentence({'S1': {'Walking': np.zeros((0, 32, 3), np.float32)}})
    assert 'list' in sentence({'S1': {'Walking': [1, 2]}})
    assert 'dictionary of actions' in sentence({'S1': h36m['S1']['Walking 1']})
    assert 'dictionary of subjects' in sentence({})
    assert 'no array positions_3d' in sentence(positions=np.zeros((4, 32, 3)))
    assert 'float64' in sentence(positions_3d=np.zeros((4, 32, 3)))
    np.savez_compressed(source, positions_3d=np.array(h36m, dtype=object))
    source.write_bytes(source.read_bytes()[:-500])
    assert 'not a readable' in refused('human36m', source, '--out', out)
    assert 'not a readable' in refused('human36m', tmp_path / 'none.npz', '--out', out)


# --- AMASS ---


def test_amass_windows(tmp_path: Path, out: Path, walk: FloatArray) -> None:
    windows = np.stack([walk, walk + np.float32([0, 2, 0])])
    np.savez(tmp_path / 'data_3d_amass.npz', windows)
    prepare('amass', tmp_path / 'data_3d_amass.npz', '--out', out)
    made = load_archive(out)
    assert len(made) == 2 and made.rate_hz == 60 and made.layout.name == 'smpl22'
    np.testing.assert_allclose(made.clip(1), windows[1], atol=0.00013)


def test_amass_windows_relative_to_the_pelvis_are_put_back(
    tmp_path: Path, out: Path, walk: FloatArray
) -> None:
    relative = walk.copy()
    relative[:, 1:] -= relative[:, :1]
    np.savez(tmp_path / 'w.npz', relative[None])
    prepare('amass', tmp_path / 'w.npz', '--out', out)
    np.testing.assert_allclose(load_archive(out).clip(0), walk, atol=0.00013)


def test_amass_test_windows_are_named_by_data_set(
    tmp_path: Path, out: Path, standing: FloatArray
) -> None:
    assert sum(TEST_WINDOWS.values()) == 12727
    windows = np.broadcast_to(standing, (12727, 2, 22, 3))
    np.savez(tmp_path / 'data_3d_amass_test.npz', windows)
    prepare('amass', tmp_path / 'data_3d_amass_test.npz', '--subjects', 'SSM', '--out', out)
    made = load_archive(out)
    assert len(made) == 12 and set(made.categories) == {'SSM'}
    assert made.clip_names[0] == 'SSM/233'


def test_amass_zarr_folders(
    tmp_path: Path, out: Path, walk: FloatArray, monkeypatch: pytest.MonkeyPatch
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
    """Stands where a body model does: joint j is transl + (j, yaw, sum of betas)."""

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


def test_raw_amass(tmp_path: Path, out: Path, body_models: Path, smplx: None) -> None:
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
) -> None:
    path = tmp_path / 'AMASS' / 'CMU' / '01' / 'a.npz'
    models = ('--body-models', body_models)

    def sentence(*words: object, **changes: Any) -> str:
        raw_amass(path, 30, 60.0, **changes)
        return refused('amass', path, '--out', out, *words)

    assert '--body-models' in sentence()
    assert 'SMPLH_OTHER' in sentence(*models, gender=np.array('other'))
    assert 'frame rate None' in sentence(*models, mocap_framerate=None)
    assert 'lacks trans' in sentence(*models, trans=None)
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


# --- BVH ---

# Hips turn; the left arm of one unit points along x, its end site one unit further. The knee has
# position channels of its own, the orders of the channels differ, the root's position comes last.
RIG = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Zrotation Xrotation Yrotation Xposition Yposition Zposition
  JOINT Left Arm
  {
    OFFSET 1 0 0
    CHANNELS 3 Yrotation Zrotation Xrotation
    End Site
    {
      OFFSET 1 0 0
    }
  }
  JOINT LeftKnee
  {
    OFFSET 0 -5 0
    CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
    End Site
    {
      OFFSET 0 -1 0
    }
  }
}
MOTION
"""
FRAMES = [
    # root: z x y, position; arm: y z x; knee: position, z y x
    '0 0 0 10 20 30  0 0 0   0 -5 0  0 0 0',
    '90 0 0 10 20 30  0 0 0  0 -5 0  0 0 0',
    '90 0 90 10 20 30  0 0 0  0 -6 0  0 0 0',
    '0 0 0 10 20 30  90 90 0  0 -5 0  0 0 0',
]


def write_bvh(path: Path, frames: list[str] = FRAMES, seconds: str = '0.0166667') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{RIG}Frames: {len(frames)}\nFrame Time: {seconds}\n' + '\n'.join(frames))
    return path


def write_mapping(path: Path, **changes: Any) -> Path:
    mapping = {
        'scale_to_metres': 0.1,
        'joints': {'pelvis': 'Hips', 'l_shoulder': 'Left Arm', 'l_elbow': 'Left Arm_end',
                   'l_knee': 'LeftKnee'},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(mapping | changes))
    return path


def test_bvh_positions(tmp_path: Path) -> None:
    bvh = read_bvh(write_bvh(tmp_path / 'a.bvh'))
    assert bvh.names == ['Hips', 'Left Arm', 'Left Arm_end', 'LeftKnee', 'LeftKnee_end']
    assert bvh.rate_hz == 60
    relative = bvh.positions - bvh.positions[:, :1]
    np.testing.assert_allclose(bvh.positions[:, 0], [[10, 20, 30]] * 4)
    np.testing.assert_allclose(
        relative[0], [[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, -5, 0], [0, -6, 0]]
    )
    # A quarter turn about z brings x to y.
    np.testing.assert_allclose(
        relative[1], [[0, 0, 0], [0, 1, 0], [0, 2, 0], [5, 0, 0], [6, 0, 0]], atol=1e-12
    )
    # About z first, then about the y that this has turned to -x: x goes to -z, then z stays -z.
    np.testing.assert_allclose(
        relative[2], [[0, 0, 0], [0, 0, -1], [0, 0, -2], [6, 0, 0], [7, 0, 0]], atol=1e-12
    )
    # About y first, then about the turned z: the arm's x goes to the y it keeps.
    np.testing.assert_allclose(relative[3, 2], [1, 1, 0], atol=1e-12)


def test_bvh_rotations_are_those_of_matrices(tmp_path: Path) -> None:
    angles = np.random.default_rng(3).uniform(-180, 180, (5, 9))
    frames = [' '.join(map(str, [*a[:3], 0, 0, 0, *a[3:6], 0, -5, 0, *a[6:]])) for a in angles]
    bvh = read_bvh(write_bvh(tmp_path / 'a.bvh', frames))
    for number, angle in enumerate(angles):
        root = Rotation.from_euler('ZXY', angle[:3], degrees=True)
        arm = root * Rotation.from_euler('YZX', angle[3:6], degrees=True)
        expected = root.apply([1, 0, 0]) + arm.apply([1, 0, 0])
        np.testing.assert_allclose(bvh.positions[number, 2], expected, atol=1e-12)


def test_bvh_to_a_layout(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / 'takes'
    write_bvh(folder / 'ann' / '7_walk.bvh')
    write_bvh(folder / 'bob' / '8_run.bvh', FRAMES[:1] * 3, seconds='0.0333333')
    mapping = write_mapping(
        tmp_path / 'rig.yaml', skip_frames=1, subject='([^/]+)/[^/]+$', category=r'_(\w+)\.bvh'
    )
    prepare('bvh', folder, '--mapping', mapping, '--out', out)
    made = load_archive(out)
    assert made.layout.name == 'smpl22' and made.rate_hz == 60
    assert made.subjects == ('ann', 'bob') and made.categories == ('walk', 'run')
    assert [len(made.clip(i)) for i in (0, 1)] == [3, 3]  # 30 Hz became 60
    # y up became z up, a unit 10 cm, and x stayed: right-handed.
    np.testing.assert_allclose(column(made, 'pelvis'), [[1, -3, 2]] * 3, atol=1e-4)
    np.testing.assert_allclose(column(made, 'l_knee', 1), [[1, -3, 1.5]] * 3, atol=1e-4)
    np.testing.assert_allclose(column(made, 'l_elbow', 1), [[1.2, -3, 2]] * 3, atol=1e-4)
    measured = {SMPL22.joint_names[j] for j in np.flatnonzero(~np.isnan(made.clip(0)).any((0, 2)))}
    assert measured == {'pelvis', 'l_shoulder', 'l_elbow', 'l_knee'}
    one = out.with_name('one.npz')
    prepare('bvh', folder, '--mapping', mapping, '--out', one, '--subjects', 'bob')
    assert load_archive(one).subjects == ('bob',)


def test_bvh_joints_made_of_others(tmp_path: Path, out: Path) -> None:
    joints = {'l_hip': 'Hips', 'r_hip': 'Left Arm', 'l_ankle': 'LeftKnee', 'neck': 'LeftKnee'}
    mapping = write_mapping(tmp_path / 'rig.yaml', joints=joints, make_missing=True, up='z')
    prepare('bvh', write_bvh(tmp_path / 'a.bvh'), '--mapping', mapping, '--out', out)
    made = load_archive(out)
    pelvis = 0.83 * np.array([1.05, 2, 3]) + 0.17 * column(made, 'neck')[0]
    np.testing.assert_allclose(column(made, 'pelvis')[0], pelvis, atol=2e-4)
    assert not np.isnan(column(made, 'l_foot')).any() and np.isnan(column(made, 'r_foot')).all()


@pytest.mark.parametrize('name', ['cmu', 'lafan1'])
def test_shipped_mappings_cover_their_rigs(tmp_path: Path, out: Path, name: str) -> None:
    mapping = read_mapping(name)
    names = [n for n in mapping.joints.values() if n != 'Hips']
    joints = ''.join(
        f'JOINT {n} {{ OFFSET 0 {i} 0 CHANNELS 3 Zrotation Yrotation Xrotation }}\n'
        for i, n in enumerate(names)
    )
    zeros = ' '.join(['0'] * (6 + 3 * len(names)))
    path = tmp_path / 'take' / '01_08.bvh'
    path.parent.mkdir()
    path.write_text(
        'HIERARCHY\nROOT Hips\n{ OFFSET 0 0 0\nCHANNELS 6 Xposition Yposition Zposition '
        f'Zrotation Yrotation Xrotation\n{joints}}}\n'
        f'MOTION\nFrames: 5\nFrame Time: .0083333\n' + f'{zeros}\n' * 5
    )
    prepare('bvh', path, '--mapping', name, '--out', out)
    made = load_archive(out)
    assert not np.isnan(made.clip(0)).any()  # a model of smpl22 can be trained on it
    left = column(made, 'l_wrist')[0, 2] / mapping.scale_to_metres
    assert left == pytest.approx(names.index(mapping.joints['l_wrist']), abs=0.01)
    assert made.subjects == (('01',) if name == 'cmu' else ('',))


def test_bvh_refusals(tmp_path: Path, out: Path) -> None:
    path = tmp_path / 'a.bvh'
    good = write_bvh(path).read_text()

    def file_refused(text: str) -> str:
        path.write_text(text)
        sentence = refused('bvh', path, '--mapping', mapping, '--out', out)
        assert str(path) in sentence
        return sentence

    mapping = write_mapping(tmp_path / 'rig.yaml')
    assert 'incomplete' in file_refused(good[:200])
    assert 'incomplete' in file_refused('HIERARCHY ROOT Hips')
    assert 'incomplete' in file_refused('')
    assert 'Frames:' in file_refused(good.split('Frames:')[0])
    assert '0 frames' in file_refused(good.split('Frames:')[0] + 'Frames: 0\nFrame Time: 0.1\n')
    assert '59 numbers, expected 4 frames of 15' in file_refused(good.rsplit(' ', 1)[0])
    assert 'could not convert' in file_refused(good.replace('20', 'twenty'))
    assert '45 numbers' in file_refused(good.rsplit('\n', 1)[0])
    assert 'Wposition' in file_refused(good.replace('Zposition', 'Wposition'))
    assert 'no joint LeftKnee: it has Hips' in file_refused(good.replace('LeftKnee', 'Knie'))
    path.unlink()
    assert 'No such file' in refused('bvh', path, '--mapping', mapping, '--out', out)
    assert 'no .bvh file' in refused('bvh', tmp_path, '--mapping', mapping, '--out', out)
    path.write_text(good)

    def mapping_refused(**changes: Any) -> str:
        write_mapping(mapping, **changes)
        return refused('bvh', path, '--mapping', mapping, '--out', out)

    assert 'up' in mapping_refused(up='x')
    assert 'scale_to_metres' in mapping_refused(scale_to_metres=-1)
    assert 'colour' in mapping_refused(colour='red')
    assert "no layout 'nobody'" in mapping_refused(layout='nobody')
    assert 'smpl22 has no joint tail' in mapping_refused(joints={'tail': 'Hips'})
    assert 'all of them left out' in mapping_refused(skip_frames=4)
    assert 'group' in mapping_refused(subject='ann')
    assert 'cannot read' in mapping_refused(subject='(')
    assert 'cmu, lafan1' in refused('bvh', path, '--mapping', 'mine', '--out', out)


# --- rosbag2 ---

MESSAGES = {
    'motion_predictor/msg/Skeleton': 'string id\nfloat32[] positions\nfloat32[] confidence\n',
    'motion_predictor/msg/SkeletonArray': 'std_msgs/Header header\nstring layout\n'
    'string[] joint_names\nmotion_predictor/Skeleton[] skeletons\n',
}
TYPES = get_typestore(Stores.ROS2_JAZZY)
for name, definition in MESSAGES.items():
    TYPES.register(get_types_from_msg(definition, name))


def header(stamp_s: float, frame: str) -> Any:
    stamp = round(stamp_s * 1e9)
    time = TYPES.types['builtin_interfaces/msg/Time'](sec=stamp // 10**9, nanosec=stamp % 10**9)
    return TYPES.types['std_msgs/msg/Header'](stamp=time, frame_id=frame)


def skeletons(
    stamp_s: float, people: dict[str, FloatArray], frame: str = 'map', **more: Any
) -> Any:
    confidence = more.pop('confidence', np.zeros(0, np.float32))
    fields = {'layout': 'smpl22', 'joint_names': list(SMPL22.joint_names)} | more
    return TYPES.types['motion_predictor/msg/SkeletonArray'](
        header=header(stamp_s, frame),
        skeletons=[
            TYPES.types['motion_predictor/msg/Skeleton'](
                id=person, positions=pose.astype(np.float32).ravel(), confidence=confidence
            )
            for person, pose in people.items()
        ],
        **fields,
    )


def markers(
    stamp_s: float, people: dict[int, FloatArray], frame: str = 'depth_camera_link'
) -> Any:
    point, quaternion = (TYPES.types[f'geometry_msgs/msg/{n}'] for n in ('Point', 'Quaternion'))
    vector, pose = (TYPES.types[f'geometry_msgs/msg/{name}'] for name in ('Vector3', 'Pose'))
    colour, marker = (
        TYPES.types[n] for n in ('std_msgs/msg/ColorRGBA', 'visualization_msgs/msg/Marker')
    )
    upright = quaternion(0, 0, 0, 1)
    time = TYPES.types['builtin_interfaces/msg/Duration'](sec=0, nanosec=0)
    image = TYPES.types['sensor_msgs/msg/CompressedImage']
    mesh = TYPES.types['visualization_msgs/msg/MeshFile']
    made = []
    for person, body in people.items():
        for joint, place in enumerate(body):
            if np.isnan(place).any():
                continue
            made.append(
                marker(
                    header=header(stamp_s, frame), ns='', id=100 * person + joint, type=2,
                    action=0, lifetime=time, frame_locked=False, points=[], colors=[], text='',
                    pose=pose(position=point(*map(float, place)), orientation=upright),
                    scale=vector(0.05, 0.05, 0.05), color=colour(0, 0, 0, 1),
                    texture_resource='', uv_coordinates=[], mesh_resource='',
                    texture=image(header=header(0, ''), format='', data=np.zeros(0, np.uint8)),
                    mesh_file=mesh(filename='', data=np.zeros(0, np.uint8)),
                    mesh_use_embedded_materials=False,
                )
            )  # fmt: skip
    return TYPES.types['visualization_msgs/msg/MarkerArray'](markers=made)


def write_bag(
    path: Path,
    messages: list[Any],
    storage: StoragePlugin = StoragePlugin.SQLITE3,
    topic: str = '/skeletons',
    types: Any = TYPES,
) -> Path:
    kind = messages[0].__msgtype__
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connection = writer.add_connection(topic, kind, typestore=types)
        for number, message in enumerate(messages):
            writer.write(connection, 10**9 + number, types.serialize_cdr(message, kind))
    return path


@pytest.mark.parametrize('storage', [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_skeletons_of_a_bag(
    tmp_path: Path, out: Path, standing: FloatArray, storage: StoragePlugin
) -> None:
    messages = []
    for stamp in [*np.arange(1, 2, 0.05), 1.5, *np.arange(3, 3.5, 0.05), 3.2]:
        people = {'ann': standing + np.float32([stamp, 0, 0])}
        if stamp < 1.4:
            people['bob'] = standing + np.float32([0, 2, stamp])
        messages.append(skeletons(stamp, people))
    messages.append(skeletons(3.46, {}))
    bag = write_bag(tmp_path / 'shift_1', messages, storage)
    summary = prepare('rosbag', bag, '--out', out, '--rate-hz', 50)
    assert '3 clips' in summary and '2 out-of-order frames dropped' in summary
    made = load_archive(out)
    assert made.rate_hz == 50 and made.layout.name == 'smpl22' and made.valid is None
    assert made.subjects == ('shift_1/ann', 'shift_1/ann', 'shift_1/bob')
    for clip, start, end in ((0, 1, 1.95), (1, 3, 3.45)):
        count = round((end - start) * 50 - 0.01) + 1
        assert len(made.clip(clip)) == count
        expected = standing + np.arange(count)[:, None, None] / 50 * [1, 0, 0] + [start, 0, 0]
        np.testing.assert_allclose(made.clip(clip), expected, atol=0.0002)
    np.testing.assert_allclose(made.clip(2)[0], standing + [0, 2, 1], atol=0.0002)


def test_a_bag_without_definitions_is_read_with_the_installed_ones(
    tmp_path: Path, out: Path, standing: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [skeletons(1 + n / 30, {'ann': standing}) for n in range(5)]
    bag = write_bag(tmp_path / 'bag', messages)
    with contextlib.closing(sqlite3.connect(bag / 'bag.db3')) as database, database:
        database.execute('DELETE FROM message_definitions')
    prepare('rosbag', bag, '--out', out)
    np.testing.assert_allclose(load_archive(out).clip(0)[0], standing, atol=0.00013)
    monkeypatch.delenv('AMENT_PREFIX_PATH')
    sentence = refused('rosbag', bag, '--out', out.with_name('other.npz'))
    assert str(bag) in sentence and 'SkeletonArray' in sentence


def test_messages_of_ros_itself(tmp_path: Path, out: Path, standing: FloatArray) -> None:
    serialization = pytest.importorskip('rclpy.serialization')
    messages = pytest.importorskip('motion_predictor.msg')
    kind = 'motion_predictor/msg/SkeletonArray'
    with Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/skeletons', kind, typestore=TYPES)
        for number in range(4):
            pose = standing + np.float32([number / 30, 0, 0])
            message = messages.SkeletonArray(layout='smpl22')
            message.header.frame_id = 'map'
            message.header.stamp.sec, message.header.stamp.nanosec = 5, number * 33_333_333
            message.skeletons.append(messages.Skeleton(id='ann', positions=pose.ravel().tolist()))
            writer.write(connection, number, serialization.serialize_message(message))
    prepare('rosbag', tmp_path / 'bag', '--rate-hz', 30, '--out', out)
    made = load_archive(out)
    assert made.layout.name == 'smpl22' and len(made.clip(0)) == 4
    np.testing.assert_allclose(column(made, 'pelvis')[:, 0], np.arange(4) / 30, atol=2e-4)


def test_joints_missing_in_a_bag_are_masked(
    tmp_path: Path, out: Path, standing: FloatArray
) -> None:
    wrist, knee = (SMPL22.joint_names.index(name) for name in ('l_wrist', 'r_knee'))
    messages = []
    for number in range(10):
        pose = standing.copy()
        if number in (4, 5):
            pose[wrist] = np.nan
        confidence = np.ones(22, np.float32)
        confidence[knee] = 0.2
        messages.append(skeletons(1 + number / 10, {'ann': pose}, confidence=confidence))
    bag = write_bag(tmp_path / 'bag', messages)
    prepare('rosbag', bag, '--out', out, '--rate-hz', 20, '--min-confidence', 0.5)
    made = load_archive(out)
    missing = np.isnan(made.clip(0)).any(axis=-1)
    assert missing[:, knee].all()
    # Frames 4 and 5 lack it, and so does what lies between them and their neighbours.
    np.testing.assert_array_equal(np.flatnonzero(missing[:, wrist]), [7, 8, 9, 10, 11])
    assert missing.sum() == len(missing) + 5
    assert made.valid is not None and (made.positions[~made.valid] == 0).all()


def test_joints_of_a_bag_are_mapped(tmp_path: Path, out: Path, standing: FloatArray) -> None:
    names = ['LeftHip', 'RightHip', 'LeftShoulder', 'RightShoulder', 'Head']
    own = ['l_hip', 'r_hip', 'l_shoulder', 'r_shoulder', 'head']
    pose = standing[[SMPL22.joint_names.index(name) for name in own]]
    messages = [skeletons(1 + n / 30, {'7': pose}, layout='', joint_names=names) for n in range(5)]
    bag = write_bag(tmp_path / 'bag', messages)
    prepare('rosbag', bag, '--out', out)
    made = load_archive(out)
    assert made.joint_names == tuple(names) and made.parents == (-1, 0, 0, 0, 0)
    mapped = out.with_name('mapped.npz')
    prepare('rosbag', bag, '--out', mapped, '--layout', 'smpl22')
    made = load_archive(mapped)
    np.testing.assert_allclose(column(made, 'r_hip')[0], pose[1], atol=0.0002)
    neck = 1.1 * pose[2:4].mean(0) - 0.1 * pose[:2].mean(0)
    np.testing.assert_allclose(column(made, 'neck')[0], neck, atol=0.0002)
    pelvis = 0.83 * pose[:2].mean(0) + 0.17 * neck
    np.testing.assert_allclose(column(made, 'pelvis')[0], pelvis, atol=0.0002)
    assert np.isnan(column(made, 'l_wrist')).all()


@pytest.fixture
def azure() -> FloatArray:
    """An upright person (32, 3) in front of a level camera, in its optical frame."""
    layout = known_layouts()['azure32']
    level = np.zeros((32, 3), np.float32)  # x forward, y left, z up
    for index, joint in enumerate(layout.joint_names):
        side = 0.2 if joint.endswith('_LEFT') else -0.2 if joint.endswith('_RIGHT') else 0
        low = any(part in joint for part in ('KNEE', 'ANKLE', 'FOOT'))
        # The person faces the camera: its left is on the camera's right.
        level[index] = (2.5, -side, -0.5 if low else 0.1 + 0.02 * index)
    level[layout.index('neck')] = (2.5, 0, 0.6)
    level[0] = (2.5, 0, 0)
    x, y, z = level.T
    return np.stack([-y, -z, x], -1)


@pytest.mark.parametrize('storage', [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_azure_kinect_markers(
    tmp_path: Path, out: Path, azure: FloatArray, storage: StoragePlugin
) -> None:
    messages = []
    for number in range(8):
        pose = azure.copy()
        if number == 3:
            pose[14] = np.nan
        messages.append(markers(1 + number / 15, {1: pose, 12: pose + np.float32([1, 0, 0])}))
    bag = write_bag(tmp_path / 'kinect', messages, storage, topic='/body_tracking_data')
    sentence = refused('rosbag', bag, '--out', out)
    assert 'depth_camera_link' in sentence and '--optical' in sentence
    prepare('rosbag', bag, '--out', out, '--optical', '--rate-hz', 15)
    made = load_archive(out)
    assert made.layout.name == 'azure32' and made.subjects == ('kinect/1', 'kinect/12')
    np.testing.assert_allclose(column(made, 'PELVIS')[0], [2.5, 0, 0], atol=2e-4)
    np.testing.assert_allclose(column(made, 'NECK')[0], [2.5, 0, 0.6], atol=2e-4)
    np.testing.assert_allclose(column(made, 'HIP_LEFT')[0, :2], [2.5, -0.2], atol=2e-4)
    np.testing.assert_allclose(column(made, 'PELVIS', 1)[0], [2.5, -1, 0], atol=2e-4)
    missing = np.isnan(column(made, 'WRIST_RIGHT')).any(-1)
    np.testing.assert_array_equal(np.flatnonzero(missing), [3])
    turned = out.with_name('turned.npz')
    rotation = ('--rotation', -0.5, 0.5, -0.5, 0.5)
    prepare('rosbag', bag, '--out', turned, '--layout', 'smpl22', *rotation)
    made = load_archive(turned)
    assert made.layout.name == 'smpl22' and not np.isnan(made.clip(0)[0]).any()
    np.testing.assert_allclose(column(made, 'l_hip')[0, :2], [2.5, -0.2], atol=2e-4)


def test_level_markers_need_no_turn(tmp_path: Path, out: Path, azure: FloatArray) -> None:
    x, y, z = azure.T
    level = np.stack([z, -x, -y], -1)
    messages = [markers(1 + n / 15, {1: level}, 'map') for n in range(3)]
    prepare('rosbag', write_bag(tmp_path / 'bag', messages), '--out', out)
    np.testing.assert_allclose(column(load_archive(out), 'NECK')[0], [2.5, 0, 0.6], atol=2e-4)


def test_bag_refusals(tmp_path: Path, out: Path, standing: FloatArray, azure: FloatArray) -> None:
    count = 0

    def sentence(messages: list[Any], *words: object) -> str:
        nonlocal count
        count += 1
        bag = write_bag(tmp_path / f'bag{count}', messages)
        text = refused('rosbag', bag, '--out', out, *words)
        assert str(bag) in text
        return text

    def two(**more: Any) -> list[Any]:
        return [skeletons(stamp, {'a': standing}, **more) for stamp in (1.0, 1.1)]

    assert 'camera_optical_frame' in (text := sentence(two(frame='camera_optical_frame')))
    assert '--optical' in text and '--rotation' in text
    assert "layout '' is unknown" in sentence(two(layout='', joint_names=[]))
    assert '2 x wrong number of positions' in sentence(two(joint_names=['a', 'b', 'c']))
    assert 'stamp is not set' in sentence([skeletons(0, {'a': standing})])
    assert 'nobody is seen twice' in sentence([skeletons(1, {'a': standing})])
    assert 'holds nobody' in sentence([skeletons(1, {})])
    assert "from 'map' to 'odom'" in sentence([*two(), skeletons(1.2, {'a': standing}, 'odom')])
    assert 'changes its joints' in sentence(
        [*two(), skeletons(1.2, {'a': standing[:2]}, joint_names=['x', 'y'])]
    )
    assert 'no subject cyd' in sentence(two(), '--subjects', 'cyd')
    assert 'none of the joints' in sentence(
        [
            skeletons(t, {'a': standing[:2]}, layout='', joint_names=['tail', 'fin'])
            for t in (1.0, 1.1)
        ],
        '--layout', 'smpl22',
    )  # fmt: skip
    other = markers(1.0, {1: azure})
    other.markers[0].id = 157
    assert '1 x joint number out of range' in sentence([other])
    text = sentence([header(1, 'map')])
    assert 'no topic of motion_predictor/msg/SkeletonArray' in text and 'std_msgs' in text
    bag = write_bag(tmp_path / 'fine', two())
    assert 'each named once' in refused(
        'rosbag',
        write_bag(tmp_path / 'twice', two(layout='', joint_names=['a'] * 22)),
        '--out',
        out,
    )
    assert 'not a quaternion' in refused('rosbag', bag, '--out', out, '--rotation', 0, 0, 0, 0)
    nowhere = [skeletons(t, {'a': standing * np.float32('nan')}) for t in (1.0, 1.1)]
    empty = write_bag(tmp_path / 'empty', nowhere)
    assert 'was measured' in refused('rosbag', empty, '--out', out)
    assert 'no /other of' in refused('rosbag', bag, '--out', out, '--topic', '/other')
    assert 'there is no bag' in refused('rosbag', tmp_path / 'none', '--out', out)
    (bag / 'fine.db3').write_bytes(b'no database')
    assert 'not a readable rosbag2' in refused('rosbag', bag, '--out', out)
    (bag / 'metadata.yaml').unlink()
    assert 'not a readable rosbag2' in refused('rosbag', bag, '--out', out)


def test_a_bag_with_several_topics(tmp_path: Path, out: Path, standing: FloatArray) -> None:
    with Writer(tmp_path / 'bag', version=9) as writer:
        for number, topic in enumerate(('/left', '/right')):
            kind = 'motion_predictor/msg/SkeletonArray'
            connection = writer.add_connection(topic, kind, typestore=TYPES)
            for stamp in (1.0, 1.1):
                message = skeletons(stamp, {topic: standing + np.float32([number, 0, 0])})
                writer.write(connection, int(stamp * 1e9), TYPES.serialize_cdr(message, kind))
    assert '/left' in refused('rosbag', tmp_path / 'bag', '--out', out)
    prepare('rosbag', tmp_path / 'bag', '--topic', '/right', '--out', out)
    assert load_archive(out).subjects == ('bag//right',)


@pytest.fixture
def make_poses(make_message: Any, make_header: Any) -> Any:
    """Builder of a PoseArray from seconds and places."""

    def make(stamp_s: float, places: FloatArray) -> Any:
        poses = [
            make_message('geometry_msgs/msg/Pose', position=make_point(place)) for place in places
        ]
        return make_message(
            'geometry_msgs/msg/PoseArray', header=make_header(stamp_s), poses=poses
        )

    def make_point(place: FloatArray) -> Any:
        x, y, z = map(float, place)
        return make_message('geometry_msgs/msg/Point', x=x, y=y, z=z)

    return make


storages = pytest.mark.parametrize('storage', [StoragePlugin.SQLITE3, StoragePlugin.MCAP])


@storages
def test_poses_of_a_bag(
    tmp_path: Path,
    out: Path,
    walk: FloatArray,
    storage: StoragePlugin,
    bag_types: Any,
    make_poses: Any,
) -> None:
    messages = [make_poses(1 + n / 30, pose) for n, pose in enumerate(walk)]
    bag = write_bag(tmp_path / 'bag', messages, storage, '/poses', bag_types)
    assert 'give --input-type' in refused('rosbag', bag, '--out', out)
    how = ('--input-type', 'pose_array')
    assert 'needs joint_names' in refused('rosbag', bag, *how, '--out', out)
    how = (*how, '--input-layout', 'smpl22', '--rate-hz', 30)
    prepare('rosbag', bag, *how, '--out', out)
    np.testing.assert_allclose(load_archive(out).clip(0), walk, atol=2e-4)


@storages
def test_points_of_a_bag(
    tmp_path: Path,
    out: Path,
    walk: FloatArray,
    storage: StoragePlugin,
    bag_types: Any,
    make_message: Any,
    make_header: Any,
) -> None:
    types = [('x', np.float32, 7), ('y', np.float32, 7), ('z', np.float32, 7)]
    types += [('joint', np.uint8, 2), ('person', np.uint8, 2)]
    layout = np.dtype([(name, kind) for name, kind, _ in types])
    fields = [
        make_message(
            'sensor_msgs/msg/PointField', name=name, offset=layout.fields[name][1], count=1,
            datatype=number,
        )
        for name, _, number in types
    ]  # fmt: skip
    messages = []
    for number, pose in enumerate(walk):
        points = np.zeros(44, layout)
        for person in (0, 1):
            rows = slice(22 * person, 22 * person + 22)
            points['x'][rows], points['y'][rows], points['z'][rows] = pose.T + person
            points['joint'][rows], points['person'][rows] = np.arange(22), person
        messages.append(
            make_message(
                'sensor_msgs/msg/PointCloud2', header=make_header(1 + number / 30), height=1,
                width=44, fields=fields, point_step=layout.itemsize, row_step=points.nbytes,
                data=np.frombuffer(points.tobytes(), np.uint8),
            )
        )  # fmt: skip
    bag = write_bag(tmp_path / 'bag', messages, storage, '/skeleton_points', bag_types)
    how = ('--input-type', 'point_cloud', '--joint-names', *SMPL22.joint_names, '--rate-hz', 30)
    prepare('rosbag', bag, *how, '--out', out)
    made = load_archive(out)
    assert made.subjects == ('bag/0', 'bag/1')
    np.testing.assert_allclose(made.clip(1), walk + 1, atol=2e-4)


def test_a_zed_in_a_bag(
    tmp_path: Path, out: Path, walk: FloatArray, bag_types: Any, make_zed: Any
) -> None:
    layout = known_layouts()['zed38']
    index = [SMPL22.index(layout.common_name(joint)) for joint in layout.joint_names]
    poses = walk[:, [0 if i is None else i for i in index]]
    poses[:, [i is None for i in index]] = np.nan
    messages = [make_zed(1 + n / 30, {4: pose}) for n, pose in enumerate(poses[:10])]
    messages += [make_zed(1.5, {4: poses[9]}, tracking_state=0)]
    bag = write_bag(tmp_path / 'bag', messages, topic='/zed/body_trk/skeletons', types=bag_types)
    summary = prepare('rosbag', bag, '--layout', 'smpl22', '--rate-hz', 30, '--out', out)
    assert '1 x person who is not tracked' in summary
    made = load_archive(out)
    assert made.subjects == ('bag/4',) and made.layout.name == 'smpl22'
    np.testing.assert_allclose(column(made, 'l_wrist'), walk[:10, 20], atol=2e-4)


def test_motion_capture_in_a_bag(
    tmp_path: Path, out: Path, walk: FloatArray, bag_types: Any, make_markers: Any
) -> None:
    path = tmp_path / 'gait.yaml'
    path.write_text(
        'name: gait\njoints: {L_IN: , L_OUT: L_IN}\n'
        'makes: {l_knee: {points: {L_IN: 0.5, L_OUT: 0.5}}}\n'
    )
    knee, aside = walk[:, 4], np.float32([0, 0.05, 0])
    messages = [
        make_markers(1 + n / 60, {'ann:L_IN': place - aside, 'ann:L_OUT': place + aside})
        for n, place in enumerate(knee)
    ]
    bag = write_bag(tmp_path / 'bag', messages, topic='/markers', types=bag_types)
    assert 'is a joint of smpl22' in refused('rosbag', bag, '--out', out)
    prepare('rosbag', bag, '--input-layout', path, '--layout', 'smpl22', '--out', out)
    made = load_archive(out)
    assert made.subjects == ('bag/ann',)
    np.testing.assert_allclose(column(made, 'l_knee'), knee, atol=2e-4)


def test_a_broken_message_costs_only_itself(
    tmp_path: Path, out: Path, standing: FloatArray
) -> None:
    messages = [skeletons(1 + n / 30, {'ann': standing}) for n in range(9)]
    messages[4].header.stamp.sec = 0
    messages[4].header.stamp.nanosec = 0
    summary = prepare('rosbag', write_bag(tmp_path / 'bag', messages), '--out', out)
    assert '1 x header.stamp is not set' in summary


def test_the_usual_topic_of_a_source_goes_before_others(
    tmp_path: Path, out: Path, azure: FloatArray
) -> None:
    kind = 'visualization_msgs/msg/MarkerArray'
    with Writer(tmp_path / 'bag', version=9) as writer:
        for number, topic in enumerate(('/rviz', '/body_tracking_data')):
            connection = writer.add_connection(topic, kind, typestore=TYPES)
            for stamp in (1.0, 1.1):
                message = markers(stamp, {number: azure})
                writer.write(connection, int(stamp * 1e9), TYPES.serialize_cdr(message, kind))
    prepare('rosbag', tmp_path / 'bag', '--optical', '--out', out)
    assert load_archive(out).subjects == ('bag/1',)


# --- Plain arrays ---


def test_plain_arrays(tmp_path: Path, out: Path, walk: FloatArray) -> None:
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


def test_plain_units_axes_and_names(tmp_path: Path, out: Path, standing: FloatArray) -> None:
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
    tmp_path: Path, out: Path, walk: FloatArray, capsys: pytest.CaptureFixture[str]
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
    assert 'each named once' in sentence('--joint-names', 'a', 'a', x=walk)
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
    assert 'is that the right unit?' in capsys.readouterr().err
    for wrong in ('0', '-5', 'nan', '1e9'):
        with pytest.raises(SystemExit):
            prepare('npz', path, '--rate-hz', wrong, '--out', out, *smpl)


def test_summary_is_one_line(tmp_path: Path, out: Path, walk: FloatArray) -> None:
    gappy = walk.copy()
    gappy[:, 0] = np.nan
    np.savez(tmp_path / 'a.npz', gappy)
    words = ('npz', tmp_path / 'a.npz', '--rate-hz', 10, '--layout', 'smpl22', '--out', out)
    assert prepare(*words) == (
        f'{out}: 1 clips, 0.1 min at 10 Hz, 22 joints (smpl22), 4.5% masked\n'
    )


def test_optional_packages_are_not_needed_to_start() -> None:
    code = 'import motion_predictor_training.prepare, sys; print(sorted(sys.modules))'
    loaded = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    for package in ('smplx', 'zarr', 'rosbags', 'torch'):
        assert f"'{package}'" not in loaded.stdout
