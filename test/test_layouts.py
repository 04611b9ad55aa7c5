"""The layouts that ship: their order, left and right, and poses mapped between them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.skeleton import JointMap, Layout, common_names_of, known_layouts
from motion_predictor.uncertainty.calibration import PARTS, parts_of

FloatArray = NDArray[np.float32]
SMPL = known_layouts()['smpl22']

# Indices of joints in the documentation of each source (Azure Kinect DK, sl.BODY_*_PARTS, COCO).
NUMBERS = {
    'azure32': {'pelvis': 0, 'l_shoulder': 5, 'r_wrist': 14, 'l_hip': 18, 'r_ankle': 24,
                'head': 26, 'nose': 27, 'l_eye': 28, 'l_ear': 29, 'r_eye': 30, 'r_ear': 31},
    'coco17': {'nose': 0, 'l_eye': 1, 'r_eye': 2, 'l_ear': 3, 'l_shoulder': 5, 'r_elbow': 8,
               'l_wrist': 9, 'l_hip': 11, 'r_knee': 14, 'l_ankle': 15, 'r_ankle': 16},
    'zed18': {'nose': 0, 'neck': 1, 'r_shoulder': 2, 'r_wrist': 4, 'l_shoulder': 5, 'l_wrist': 7,
              'r_hip': 8, 'l_ankle': 13, 'r_eye': 14, 'l_eye': 15, 'r_ear': 16, 'l_ear': 17},
    'zed34': {'pelvis': 0, 'neck': 3, 'l_wrist': 7, 'r_shoulder': 12, 'l_foot': 21,
              'head': 26, 'l_eye': 28, 'l_ear': 29, 'r_eye': 30, 'l_heel': 32, 'r_heel': 33},
    'zed38': {'pelvis': 0, 'neck': 4, 'nose': 5, 'l_eye': 6, 'r_ear': 9, 'l_shoulder': 12,
              'r_elbow': 15, 'l_wrist': 16, 'l_hip': 18, 'r_knee': 21, 'l_ankle': 22,
              'l_big_toe': 24, 'r_small_toe': 27, 'l_heel': 28, 'r_pinky': 37},
    'rep155': {'mid_hips': 0, 'head': 3, 'l_shoulder': 4, 'r_wrist': 9, 'l_hip': 10,
               'r_ankle': 15},
}  # fmt: skip
SIZES = {'azure32': 32, 'coco17': 17, 'zed18': 18, 'zed34': 34, 'zed38': 38, 'rep155': 16}
SOURCES = [known_layouts()[name] for name in sorted(NUMBERS)]
sources = pytest.mark.parametrize('layout', SOURCES, ids=lambda layout: layout.name)

# Limits of the bone lengths of an adult between joints of smpl22, metres.
BONES = {
    ('pelvis', 'neck'): (0.35, 0.65), ('neck', 'head'): (0.05, 0.2),
    ('neck', 'l_shoulder'): (0.1, 0.25), ('l_shoulder', 'l_elbow'): (0.2, 0.36),
    ('l_elbow', 'l_wrist'): (0.18, 0.33), ('l_hip', 'l_knee'): (0.32, 0.52),
    ('l_knee', 'l_ankle'): (0.32, 0.52), ('l_ankle', 'l_foot'): (0.08, 0.2),
}  # fmt: skip
TOPS = {('Thorax', 'Nose'): (0.07, 0.25), ('Nose', 'Head'): (0.07, 0.3)}


def anatomy(poses: FloatArray) -> dict[str, FloatArray]:
    """Return the joints of people (B, 22, 3) by common name, also joints that smpl22 lacks."""

    def unit(vectors: FloatArray) -> FloatArray:
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

    at = {name: poses[:, index] for index, name in enumerate(SMPL.joint_names)}
    left = unit(at['l_shoulder'] - at['r_shoulder'])
    skull = at['head'] - at['neck']  # half of the way from the neck to the ears
    ahead = unit(np.cross(left, skull))
    trunk = at['neck'] - at['pelvis']
    at['mid_hips'] = (at['l_hip'] + at['r_hip']) / 2
    at['nose'] = at['neck'] + 1.6 * skull + 0.1 * ahead
    shares = {'navel': 0.4, 'chest': 0.7, 'lower': 0.25, 'middle': 0.5, 'upper': 0.75}
    at |= {f'spine_{name}': at['pelvis'] + share * trunk for name, share in shares.items()}
    at |= {'waist': at['spine_lower'], 'torso': at['spine_upper']}
    for side, sign in (('l', 1), ('r', -1)):
        ankle, foot = at[f'{side}_ankle'], at[f'{side}_foot']
        wrist, forearm = at[f'{side}_wrist'], at[f'{side}_wrist'] - at[f'{side}_elbow']
        outwards = sign * unit(at['l_hip'] - at['r_hip'])
        own = {
            'eye': at['neck'] + 1.9 * skull + 0.08 * ahead + 0.03 * sign * left,
            'ear': at['neck'] + 2.0 * skull + 0.07 * sign * left,
            'clavicle': at['neck'] + 0.15 * (at[f'{side}_shoulder'] - at['neck']),
            'big_toe': ankle + 1.45 * (foot - ankle) - 0.03 * outwards,
            'small_toe': ankle + 1.35 * (foot - ankle) + 0.04 * outwards,
            'heel': ankle - 0.4 * (foot - ankle) * [1, 1, 0] - [0, 0, 0.05],
            'hand': wrist + 0.3 * forearm,
            'handtip': wrist + 0.7 * forearm,
            'thumb': wrist + 0.3 * forearm,
            'index': wrist + 0.4 * forearm,
            'pinky': wrist + 0.35 * forearm,
        }
        at |= {f'{side}_{name}': place for name, place in own.items()}
    return at


def seen_as(layout: Layout, poses: FloatArray) -> FloatArray:
    """Return people (B, 22, 3) in the joints of a source with this layout (B, J, 3)."""
    at = anatomy(poses)
    places = [at[layout.common_name(joint)] for joint in layout.joint_names]
    return np.stack(places, axis=1).astype(np.float32)


def brought_to(target: str, layout: Layout, positions: FloatArray) -> dict[str, FloatArray]:
    """Return positions mapped by joint name to a layout of the models, by joint."""
    wanted = known_layouts()[target]
    names = common_names_of(layout.joint_names, layout)
    mapped = JointMap.between(names, wanted, layout.makes)(positions)
    return {name: mapped[:, index] for index, name in enumerate(wanted.joint_names)}


def check_lengths(
    joints: dict[str, FloatArray], bones: dict[tuple[str, str], tuple[float, float]]
) -> None:
    for (start, end), (least, most) in bones.items():
        for side in 'lr':
            ends = (f'{side}{name[1:]}' if name[:2] == 'l_' else name for name in (start, end))
            a, b = (joints[name] for name in ends)
            length = np.median(np.linalg.norm(a - b, axis=-1))
            assert least < length < most, (side, start, end, length)


@sources
def test_joints_have_the_numbers_that_their_makers_gave_them(layout: Layout) -> None:
    assert len(layout.joints) == SIZES[layout.name]
    found = {name: layout.index(name) for name in NUMBERS[layout.name]}
    assert found == NUMBERS[layout.name]


@sources
def test_every_joint_of_one_side_has_one_on_the_other(layout: Layout) -> None:
    for own, other in enumerate(layout.mirrored):
        sides = [layout.common_name(layout.joint_names[index])[:2] for index in (own, other)]
        assert sorted(sides) == ['l_', 'r_'] or (own == other and sides[0] not in ('l_', 'r_'))


@sources
def test_whoever_names_all_joints_need_not_name_the_layout(layout: Layout) -> None:
    expected = [layout.common_name(name) for name in layout.joint_names]
    assert common_names_of(layout.joint_names, None) == expected


@sources
@pytest.mark.parametrize('turn', [0.0, 2.5])
def test_a_person_keeps_left_and_right_and_size(
    layout: Layout, stride: FloatArray, turn: float
) -> None:
    c, s = np.cos(turn), np.sin(turn)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)
    seen = seen_as(layout, (stride @ rotation.T)[None])
    smpl, h36m = (brought_to(target, layout, seen) for target in ('smpl22', 'h36m17'))
    check_lengths(smpl, BONES)
    check_lengths(h36m, TOPS)
    for name, place in (smpl | h36m).items():
        upright = place[0] @ rotation  # the person faces +x again
        if name[:2] in ('l_', 'r_') or name[:2] in ('LH', 'LS', 'LK', 'RH', 'RS', 'RK'):
            assert (upright[1] > 0) == (name[0] in 'lL'), name
    assert ((h36m['Nose'] - h36m['Thorax'])[0] @ rotation)[0] > 0.05, 'the nose points forward'


@sources
def test_there_and_back(layout: Layout, recorded: Path) -> None:
    archive = load_archive(recorded / 'test.npz')
    poses = archive.positions[::200].astype(np.float32) * np.float32(archive.scale)
    back = brought_to('smpl22', layout, seen_as(layout, poses))
    check_lengths(back, BONES)
    check_lengths(brought_to('h36m17', layout, seen_as(layout, poses)), TOPS)
    given = {layout.common_name(joint) for joint in layout.joint_names}
    for index, name in enumerate(SMPL.joint_names):
        error = np.median(np.linalg.norm(back[name] - poses[:, index], axis=-1))
        assert error < (1e-5 if name in given else 0.06), (name, error)


def test_what_is_of_no_limb_is_of_the_trunk_or_the_head() -> None:
    words = 'spine', 'torso', 'waist', 'neck', 'head', 'nose', 'eye', 'ear', 'collar', 'clavicle'
    for layout in known_layouts().values():
        for joint, part in zip(layout.joints, parts_of(layout), strict=True):
            name = layout.common_name(joint)
            if PARTS[part] == 'others':
                assert name.endswith('shoulder') or any(word in name for word in words), joint
