"""BVH: the positions of joints, and the mapping of a rig to a layout."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motion_predictor.archive import load_archive
from motion_predictor.skeleton import known_layouts
from motion_predictor_training.data.importers.bvh import read_bvh, read_mapping

SMPL22 = known_layouts()['smpl22']
FloatArray = NDArray[np.float32]

# A rig whose hips turn. The left arm is one unit away from the hips along x, and the end site of
# the arm one unit further. The knee has position channels. The joints have different orders of
# channels. In the channels of the root, the position comes last.
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
    # A quarter turn about z takes x to y.
    np.testing.assert_allclose(
        relative[1], [[0, 0, 0], [0, 1, 0], [0, 2, 0], [5, 0, 0], [6, 0, 0]], atol=1e-12
    )
    # The first turn is about z and moves the x axis to y. The second turn is about this moved x
    # axis. So the point on x ends at -z.
    np.testing.assert_allclose(
        relative[2], [[0, 0, 0], [0, 0, -1], [0, 0, -2], [6, 0, 0], [7, 0, 0]], atol=1e-12
    )
    # The arm turns about y, then about its turned z axis. So its x axis ends at y.
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


def test_bvh_to_a_layout(
    tmp_path: Path, out: Path, prepare: Callable[..., str], column: Callable[..., FloatArray]
) -> None:
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
    # y up became z up, one unit became 10 cm, and x stayed, so the axes are right-handed.
    np.testing.assert_allclose(column(made, 'pelvis'), [[1, -3, 2]] * 3, atol=1e-4)
    np.testing.assert_allclose(column(made, 'l_knee', 1), [[1, -3, 1.5]] * 3, atol=1e-4)
    np.testing.assert_allclose(column(made, 'l_elbow', 1), [[1.2, -3, 2]] * 3, atol=1e-4)
    measured = {SMPL22.joint_names[j] for j in np.flatnonzero(~np.isnan(made.clip(0)).any((0, 2)))}
    assert measured == {'pelvis', 'l_shoulder', 'l_elbow', 'l_knee'}
    one = out.with_name('one.npz')
    prepare('bvh', folder, '--mapping', mapping, '--out', one, '--subjects', 'bob')
    assert load_archive(one).subjects == ('bob',)


def test_bvh_joints_made_of_others(
    tmp_path: Path, out: Path, prepare: Callable[..., str], column: Callable[..., FloatArray]
) -> None:
    joints = {'l_hip': 'Hips', 'r_hip': 'Left Arm', 'l_ankle': 'LeftKnee', 'neck': 'LeftKnee'}
    mapping = write_mapping(tmp_path / 'rig.yaml', joints=joints, make_missing=True, up='z')
    prepare('bvh', write_bvh(tmp_path / 'a.bvh'), '--mapping', mapping, '--out', out)
    made = load_archive(out)
    pelvis = 0.83 * np.array([1.05, 2, 3]) + 0.17 * column(made, 'neck')[0]
    np.testing.assert_allclose(column(made, 'pelvis')[0], pelvis, atol=2e-4)
    assert not np.isnan(column(made, 'l_foot')).any() and np.isnan(column(made, 'r_foot')).all()


@pytest.mark.parametrize('name', ['cmu', 'lafan1'])
def test_shipped_mappings_cover_their_rigs(
    tmp_path: Path,
    out: Path,
    name: str,
    prepare: Callable[..., str],
    column: Callable[..., FloatArray],
) -> None:
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
    assert not np.isnan(made.clip(0)).any()  # all joints of smpl22 are there
    left = column(made, 'l_wrist')[0, 2] / mapping.scale_to_metres
    assert left == pytest.approx(names.index(mapping.joints['l_wrist']), abs=0.01)
    assert made.subjects == (('01',) if name == 'cmu' else ('',))


def test_bvh_refusals(tmp_path: Path, out: Path, refused: Callable[..., str]) -> None:
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
    assert 'the joint tail, which smpl22 does not have' in mapping_refused(joints={'tail': 'Hips'})
    assert 'the mapping skips that many' in mapping_refused(skip_frames=4)
    assert 'group' in mapping_refused(subject='ann')
    assert 'cannot read' in mapping_refused(subject='(')
    assert 'cmu, lafan1' in refused('bvh', path, '--mapping', 'mine', '--out', out)
