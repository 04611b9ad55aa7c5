"""Layouts, and the mapping of positions between them by joint name."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.skeleton import (
    JointMap,
    Layout,
    LayoutError,
    common_names_of,
    known_layouts,
    read_layout,
)

FloatArray = NDArray[np.float32]
SMPL = known_layouts()['smpl22']
H36M = known_layouts()['h36m17']

# Limits of the bone lengths of an adult between joints of h36m17, metres.
BONES = {
    ('Hip', 'LHip'): (0.05, 0.18),
    ('LHip', 'LKnee'): (0.32, 0.52),
    ('LKnee', 'LAnkle'): (0.32, 0.52),
    ('Hip', 'Spine'): (0.15, 0.35),
    ('Spine', 'Thorax'): (0.15, 0.38),
    ('Thorax', 'Nose'): (0.07, 0.25),
    ('Nose', 'Head'): (0.07, 0.28),
    ('LShoulder', 'LElbow'): (0.2, 0.36),
    ('LElbow', 'LWrist'): (0.18, 0.33),
}


def mapping(source: Layout, target: Layout) -> JointMap:
    return JointMap.between(common_names_of(source.joint_names, source), target)


def lengths(poses: FloatArray, side: str) -> dict[tuple[str, str], FloatArray]:
    """Return the bone lengths (B,) of poses (B, 17, 3); limbs are those of one side."""
    place = {name: poses[:, index] for index, name in enumerate(H36M.joint_names)}
    found = {}
    for ends in BONES:
        a, b = (f'{side}{e[1:]}' if e[0] == 'L' else e for e in ends)
        found[ends] = np.linalg.norm(place[a] - place[b], axis=-1)
    return found


def test_smpl22_has_its_joints_parents_and_hips() -> None:
    assert len(SMPL.joint_names) == 22
    assert SMPL.parents == (
        *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19),
    )
    assert SMPL.hips == (1, 2)


def test_h36m17_has_its_joints_parents_and_hips() -> None:
    assert len(H36M.joint_names) == 17
    assert H36M.parents == (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
    assert H36M.hips == (4, 1)


@pytest.mark.parametrize('layout', [SMPL, H36M], ids=lambda layout: layout.name)
def test_a_mirror_swaps_left_and_right_and_undoes_itself(layout: Layout) -> None:
    common = [layout.common_name(joint) for joint in layout.joint_names]
    for own, other in enumerate(layout.mirrored):
        assert layout.mirrored[other] == own
        assert {common[own][:2], common[other][:2]} == {'l_', 'r_'} or own == other
        assert common[own][2:] == common[other][2:]
    assert sum(own != other for own, other in enumerate(layout.mirrored)) >= 12


def test_a_layout_without_a_hip_has_no_heading() -> None:
    assert Layout(name='arm', joints={'a': None, 'l_hip': 'a'}).hips is None


@given(st.permutations(SMPL.joint_names), st.data())
def test_joints_in_any_order_and_among_others_are_found_by_name(
    names: list[str], data: st.DataObject
) -> None:
    others = data.draw(st.integers(0, 3))
    source = [*names, *(f'other{i}' for i in range(others))]
    positions = np.arange(len(source) * 6, dtype=np.float32).reshape(2, -1, 3)
    missing = data.draw(st.lists(st.integers(0, positions.size - 1), max_size=5))
    positions.flat[missing] = np.nan
    mapped = JointMap.between(common_names_of(source, None), SMPL)(positions)
    order = [source.index(joint) for joint in SMPL.joint_names]
    expected = positions[:, order]
    expected[np.isnan(expected).any(-1)] = np.nan  # one coordinate is missing
    np.testing.assert_array_equal(mapped, expected)


@pytest.mark.parametrize('spelling', ['LeftKnee', 'left_knee', 'LKnee', 'l_knee', 'Left Knee'])
def test_spellings_of_a_joint_are_the_same_joint(spelling: str) -> None:
    assert common_names_of([spelling], None) == ['l_knee']


def test_a_name_that_nobody_knows_stands_for_itself() -> None:
    assert common_names_of(['Tail'], None) == ['Tail']


@given(st.permutations(H36M.joint_names))
def test_whoever_names_the_joints_of_a_layout_need_not_name_the_layout(names: list[str]) -> None:
    # In h36m17, Head is the top of the head. In smpl22, head is another joint.
    assert common_names_of(names, None) == [H36M.common_name(name) for name in names]


@pytest.mark.parametrize('turn', [0.0, 1.0, 2.5, -2.0])
def test_a_pose_of_smpl22_becomes_a_human_of_h36m17(stride: FloatArray, turn: float) -> None:
    c, s = np.cos(turn), np.sin(turn)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)
    mapped = mapping(SMPL, H36M)((stride @ rotation.T)[None])
    for side, (bone, limits) in itertools.product('LR', BONES.items()):
        assert limits[0] < lengths(mapped, side)[bone][0] < limits[1], (side, bone)
    upright = mapped[0] @ rotation  # the person faces +x again
    for name, place in zip(H36M.joint_names, upright, strict=True):
        if name[1:] in ('Hip', 'Knee', 'Ankle', 'Shoulder', 'Elbow', 'Wrist') and name != 'Hip':
            assert (place[1] > 0) == (name[0] == 'L'), name
    nose, head, thorax = (upright[H36M.joint_names.index(n)] for n in ('Nose', 'Head', 'Thorax'))
    assert nose[0] > thorax[0] + 0.05, 'the nose points forward'
    assert head[2] > nose[2] > thorax[2]


def test_there_and_back_shared_joints_stay_and_made_joints_come_near(stride: FloatArray) -> None:
    back = mapping(H36M, SMPL)(mapping(SMPL, H36M)(stride[None]))[0]
    error = dict(zip(SMPL.joint_names, np.linalg.norm(back - stride, axis=-1), strict=True))
    made = {'spine1', 'spine3', 'l_collar', 'r_collar', 'l_foot', 'r_foot', 'head'}
    assert max(e for joint, e in error.items() if joint not in made) < 1e-5
    assert max(error[joint] for joint in made) < 0.12  # toes: one heel is off the floor
    left, right = SMPL.joint_names.index('l_foot'), SMPL.joint_names.index('r_foot')
    assert back[left, 1] > 0 > back[right, 1]


def test_recorded_poses_of_smpl22_become_humans_of_h36m17(recorded: Path) -> None:
    archive = load_archive(recorded / 'test.npz')
    poses = mapping(SMPL, H36M)(
        archive.positions[::50].astype(np.float32) * np.float32(archive.scale)
    )
    for side in 'LR':
        for bone, length in lengths(poses, side).items():
            assert BONES[bone][0] < np.median(length) < BONES[bone][1], (side, bone)


def test_every_missing_joint_is_named() -> None:
    legs = [joint for joint in SMPL.joint_names if joint not in ('l_wrist', 'r_knee')]
    with pytest.raises(LayoutError, match=r'of smpl22 cannot be made: r_knee, l_wrist missing'):
        JointMap.between(legs, SMPL)


def test_joints_that_are_named_twice_are_refused() -> None:
    with pytest.raises(LayoutError, match='more than once: l_knee, neck$'):
        JointMap.between([*SMPL.joint_names, 'neck', 'l_knee'], SMPL)


@given(st.sampled_from(SMPL.joint_names))
def test_exactly_the_joints_built_from_a_missing_one_are_missing(joint: str) -> None:
    source = np.random.default_rng(0).normal(size=(2, 22, 3)).astype(np.float32)
    whole = mapping(SMPL, H36M)(source)
    index = SMPL.joint_names.index(joint)
    source[1, index, 1] = np.nan
    mapped = mapping(SMPL, H36M)(source)
    made = {'neck': {'Thorax', 'Nose', 'Head'}, 'head': {'Nose', 'Head'}}
    own = {o for o, common in H36M.common_names.items() if common == joint}
    expected = np.array([name in made.get(joint, own) for name in H36M.joint_names])
    np.testing.assert_array_equal(np.isnan(mapped[1]).all(-1), expected)
    hips = joint in ('l_hip', 'r_hip')  # without hips, forward is unknown, so the nose may differ
    kept = ~expected & (np.array(H36M.joint_names) != 'Nose') if hips else ~expected
    np.testing.assert_array_equal(mapped[1, kept], whole[1, kept])
    np.testing.assert_array_equal(mapped[0], whole[0])


def test_without_hips_forward_is_unknown_and_so_is_the_nose(stride: FloatArray) -> None:
    pose = stride.copy()
    pose[list(SMPL.hips or ())] = np.nan
    nose = mapping(SMPL, H36M)(pose[None])[0, H36M.joint_names.index('Nose')]
    assert np.isnan(nose[:2]).all()


GOOD = 'name: arm\njoints: {shoulder: , elbow: shoulder, wrist: elbow}\n'


def test_a_layout_is_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / 'arm.yaml'
    path.write_text(GOOD + 'made_from: {elbow: {points: {shoulder: 0.5, wrist: 0.5}}}')
    layout = read_layout(path)
    assert (layout.joint_names, layout.parents) == (('shoulder', 'elbow', 'wrist'), (-1, 0, 1))
    mapped = JointMap.between(['wrist', 'shoulder'], layout)(
        np.array([[[0, 0, 2], [0, 4, 0]]], np.float32)
    )
    np.testing.assert_array_equal(mapped[0], [[0, 4, 0], [0, 2, 1], [0, 0, 2]])


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('name: arm\njoints: {shoulder: , elbow: hand}', "'elbow' has the parent 'hand'"),
        ('name: arm\njoints: {shoulder: , elbow: }', "'elbow' has the parent None"),
        ('name: arm\njoints: {elbow: shoulder, shoulder: }', "'elbow' has the parent 'shoulder'"),
        ('name: arm\njoints: {shoulder: }', 'joints: .*2'),
        ('joints: {shoulder: , elbow: shoulder}', 'name: '),
        (GOOD + 'made_from: {elbow: {points: {wrist: 0.6}}}', 'must sum to 1, got 0.6'),
        (GOOD + 'made_from: {elbow: {points: {wrist: .nan}}}', 'points.wrist: .*finite'),
        (GOOD + 'made_from: {elbow: {points: {}}}', 'made_from.elbow.points: '),
        (GOOD + 'made_from: {hand: {points: {wrist: 1}}}', "'hand' is not a joint of arm"),
        (GOOD + 'common_names: {hand: l_hand}', "'hand' is not a joint of arm"),
        (GOOD + 'bones: 2', 'bones: Extra'),
        (GOOD + 'joints: [', 'cannot read'),
        ('- a list', 'valid dictionary'),
        ('', 'got None'),
        ('\x00', 'cannot read'),
    ],
)
def test_what_is_no_layout_is_refused_with_file_and_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / 'arm.yaml'
    path.write_text(text)
    with pytest.raises(LayoutError, match=reason) as refusal:
        read_layout(path)
    assert str(path) in str(refusal.value)


def test_a_layout_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match='no_such.yaml'):
        read_layout(tmp_path / 'no_such.yaml')
