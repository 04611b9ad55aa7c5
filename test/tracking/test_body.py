"""Joints that are not seen are filled in from the shape of the body."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.skeleton import Layout, known_layouts
from motion_predictor.tracking.body import Body, Filled

FloatArray = NDArray[np.float32]
SMPL = known_layouts()['smpl22']
STAMPS = np.arange(-9, 1) * 50_000_000
LEGS = ('l_knee', 'r_knee', 'l_ankle', 'r_ankle', 'l_foot', 'r_foot')
UNKNOWN = np.full(22, np.nan)


def joints(*names: str) -> list[int]:
    return [SMPL.joint_names.index(name) for name in names]


def fill(motion: FloatArray, hidden: list[int], limbs_m: FloatArray = UNKNOWN) -> Filled:
    """Fill in a motion (10, 22, 3) whose joints `hidden` were never seen."""
    seen = np.ones(motion.shape[:2], bool)
    seen[:, hidden] = False
    filled = Body(SMPL).fill(np.where(seen[..., None], motion, np.nan), seen, STAMPS, limbs_m)
    assert filled is not None
    return filled


def turned(pose: FloatArray, angle: float) -> FloatArray:
    c, s = np.cos(angle), np.sin(angle)
    return (pose @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])).astype(np.float32)


@pytest.mark.parametrize('layout', known_layouts().values(), ids=lambda layout: layout.name)
def test_each_layout_has_a_body_with_left_on_the_left(layout: Layout) -> None:
    motion = np.full((1, len(layout.joints), 3), np.nan)
    motion[0, 0] = 0
    seen = np.isfinite(motion[..., 0])
    filled = Body(layout).fill(motion, seen, np.zeros(1, np.int64), motion[0, :, 0])
    assert filled is not None
    assert np.isfinite(filled.frames).all()
    assert np.ptp(filled.frames[0, :, 2]) > 1.2
    for side, sign in (('l', 1), ('r', -1)):
        for part in ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle'):
            joint = layout.index(f'{side}_{part}')
            assert joint is None or sign * filled.frames[0, joint, 1] > 0.05


@pytest.mark.parametrize('angle', [0, 1.5, 3.1, -2])
def test_legs_never_seen_stand_below_the_hips_of_whoever_faces_anywhere(
    stride: FloatArray, angle: float
) -> None:
    motion = turned(stride, angle)[None].repeat(10, 0)
    filled = fill(motion, joints(*LEGS))
    hips, ankles = (filled.frames[-1, joints(f'l_{j}', f'r_{j}')] for j in ('hip', 'ankle'))
    np.testing.assert_allclose(ankles[:, :2], hips[:, :2], atol=0.1)
    assert (hips[:, 2] - ankles[:, 2] > 0.7).all()
    assert (filled.doubt_m[joints(*LEGS)] > 0.2).all()
    assert filled.doubt_m.astype(bool).sum() == len(LEGS)


def test_a_limb_is_as_long_as_that_of_the_other_side(stride: FloatArray) -> None:
    limbs = UNKNOWN.copy()
    limbs[joints('r_elbow', 'r_wrist')] = 0.4, 0.35
    frames = fill(stride[None].repeat(10, 0), joints('l_elbow', 'l_wrist'), limbs).frames[-1]
    shoulder, elbow, wrist = frames[joints('l_shoulder', 'l_elbow', 'l_wrist')]
    assert np.linalg.norm(elbow - shoulder) == pytest.approx(0.4, abs=1e-5)
    assert np.linalg.norm(wrist - elbow) == pytest.approx(0.35, abs=1e-5)


def test_a_small_person_has_short_legs(stride: FloatArray) -> None:
    parents = list(SMPL.parents)
    limbs = np.linalg.norm(stride - stride[parents], axis=-1)
    legs = joints(*LEGS)
    limbs[legs] = np.nan
    tall, small = (
        fill((size * stride)[None].repeat(10, 0), legs, size * limbs).frames[-1, legs, 2].min()
        - size * stride[0, 2]
        for size in (1.0, 0.7)
    )
    assert small == pytest.approx(0.7 * tall, abs=0.01)


def test_a_root_never_seen_is_made_of_the_hips(stride: FloatArray) -> None:
    filled = fill(stride[None].repeat(10, 0), joints('pelvis'))
    np.testing.assert_allclose(filled.frames[-1, 0], stride[0], atol=0.03)
    assert 0 < filled.doubt_m[0] < 0.1


def test_a_root_lost_with_all_beside_it_goes_where_the_chest_goes(stride: FloatArray) -> None:
    motion = stride + np.linspace(0, 1, 10, dtype=np.float32)[:, None, None] * np.float32(
        [1, 0, 0]
    )
    seen = np.ones((10, 22), bool)
    seen[3:, joints('pelvis', 'l_hip', 'r_hip', 'spine1', *LEGS)] = False
    filled = Body(SMPL).fill(np.where(seen[..., None], motion, np.nan), seen, STAMPS, UNKNOWN)
    assert filled is not None
    np.testing.assert_allclose(filled.frames, motion, atol=1e-5)
    assert 0.05 < filled.doubt_m[0] < 0.1


def test_a_hidden_hand_moves_with_its_elbow(stride: FloatArray) -> None:
    motion = stride[None].repeat(10, 0)
    elbow, wrist = joints('r_elbow', 'r_wrist')
    motion[:, [elbow, wrist], 2] += np.linspace(0, 0.3, 10, dtype=np.float32)[:, None]
    seen = np.ones((10, 22), bool)
    seen[4:, wrist] = False
    filled = Body(SMPL).fill(np.where(seen[..., None], motion, np.nan), seen, STAMPS, UNKNOWN)
    assert filled is not None
    np.testing.assert_allclose(filled.frames, motion, atol=1e-5)


def test_doubt_holds_what_people_really_do(recorded: Path) -> None:
    """The doubt holds 90 % of the hidden legs of people who were not used to fit it."""
    archive = load_archive(recorded / 'test.npz')
    legs, within = joints(*LEGS), []
    for index in range(len(archive)):
        clip = archive.clip(index)
        for start in range(0, len(clip) - 10, 60):
            motion = clip[start : start + 10]
            filled = fill(motion, legs)
            error = np.linalg.norm(filled.frames[-1] - motion[-1], axis=-1)
            within.append(error[legs] <= filled.doubt_m[legs])
    assert 0.85 < np.mean(within) < 0.99
