"""The model's frame: back and forth, along the heading, and independent of a person's place."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.checkpoint import Checkpoint
from motion_predictor.model.frames import (
    PersonFrame,
    from_features,
    person_frame,
    to_features,
    to_model,
    to_world,
)
from motion_predictor.predictor import MotionPredictor
from motion_predictor.skeleton import Facing, known_layouts

FloatArray = NDArray[np.float32]
FACING = known_layouts()['smpl22'].facing
assert FACING is not None
angles = st.floats(-np.pi, np.pi)
places = st.floats(-100, 100)


def turned(positions: FloatArray, angle: float, place: tuple[float, ...]) -> FloatArray:
    """Turn positions (..., 3) about z, then move them."""
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return (positions @ rotation.T + np.array(place)).astype(np.float32)


def person_frame_of(pose: FloatArray) -> PersonFrame:
    return person_frame(torch.from_numpy(pose)[None], FACING)


def random_motion(seed: int, people: int = 2, frames: int = 4, joints: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(people, frames, joints, 3, generator=generator)


@given(st.integers(0, 999), st.sampled_from([None, Facing(1, 2, None), Facing(1, 2, 4)]))
def test_what_goes_to_the_model_comes_back(seed: int, facing: Facing | None) -> None:
    motion = random_motion(seed)
    frame = person_frame(motion[:, -1], facing)
    local = to_model(motion, frame)
    torch.testing.assert_close(local[:, -1, 0], torch.zeros(2, 3))
    torch.testing.assert_close(local[..., 2], motion[..., 2] - motion[:, -1:, :1, 2])
    back = to_world(local[:, None], frame)[:, 0]
    torch.testing.assert_close(back, motion, atol=1e-5, rtol=0)


@given(angles, places, places)
def test_a_person_faces_along_x_wherever_they_face(
    stride: FloatArray, angle: float, x: float, y: float
) -> None:
    pose = torch.from_numpy(turned(stride, angle, (x, y, 0)))[None]
    local = to_model(pose[:, None], person_frame(pose, FACING))[0, 0]
    left = local[1] - local[2]
    assert left[0] == pytest.approx(0, abs=1e-4)
    assert left[1] > 0.1
    toes_ahead_of_ankles = local[[10, 11], 0] - local[[7, 8], 0]
    assert (toes_ahead_of_ankles > 0.05).all()


def test_without_hips_the_axes_stay_the_worlds(stride: FloatArray) -> None:
    pose = torch.from_numpy(turned(stride, 1.0, (3, 4, 0)))[None]
    local = to_model(pose[:, None], person_frame(pose, None))
    torch.testing.assert_close(local[:, 0], pose - pose[:, :1])


@pytest.mark.parametrize('height', [0.0, 0.3])
def test_whoever_has_no_heading_keeps_the_worlds_axes(stride: FloatArray, height: float) -> None:
    pose = torch.from_numpy(stride)[None].clone()
    pose[0, 1] = pose[0, 2] + torch.tensor([0, 0, height])
    pose[0, FACING.neck] = pose[0, 0] + torch.tensor([0, 0, 0.5])
    frame = person_frame(pose, FACING)
    torch.testing.assert_close(frame.heading, torch.tensor([[1.0, 0.0]]))


@pytest.mark.parametrize('tilt_deg', [0, 40, 60, 75, 90])
@pytest.mark.parametrize('side', [-1, 1])
def test_the_heading_is_calm_whoever_lies_on_a_side(
    stride: FloatArray, tilt_deg: float, side: int
) -> None:
    """The hips lie nearly above each other, and the tracker has a noise of 10 mm."""
    upright = to_model(torch.from_numpy(stride)[None, None], person_frame_of(stride))[0, 0]
    tilt = np.radians(side * tilt_deg)
    c, s = np.cos(tilt), np.sin(tilt)
    tilted = upright.numpy() @ np.float32([[1, 0, 0], [0, c, s], [0, -s, c]])  # about +x
    noise = np.random.default_rng(0).normal(scale=0.01, size=(200, *tilted.shape))
    poses = torch.from_numpy((tilted + noise).astype(np.float32))
    forward = person_frame(poses, FACING).heading  # in world axes
    angle_deg = torch.rad2deg(torch.atan2(forward[:, 1], forward[:, 0]))
    assert angle_deg.abs().max() < 45, 'it is the same side of the body'
    assert angle_deg.std() < 12, 'the hips alone are 7 degrees off when they are level'


@given(st.integers(0, 999), st.booleans())
def test_features_there_and_back(seed: int, with_root: bool) -> None:
    motion = random_motion(seed)
    features = to_features(motion, with_root)
    assert features.shape == (2, 4, 15 if with_root else 12)
    back = from_features(features, None if with_root else motion[:, :, 0])
    torch.testing.assert_close(back, motion, atol=1e-5, rtol=0)


def test_the_root_comes_first_and_the_others_are_relative_to_it() -> None:
    pose = torch.tensor([[1.0, 2, 3], [1, 2, 4]])
    assert to_features(pose, with_root=True).tolist() == [1, 2, 3, 0, 0, 1]
    assert to_features(pose, with_root=False).tolist() == [0, 0, 1]


@given(angles, places, places, st.integers(0, 99))
def test_predictions_turn_and_move_with_the_person(
    tiny: Checkpoint, stride: FloatArray, angle: float, x: float, y: float, seed: int
) -> None:
    walk = np.random.default_rng(seed).normal(scale=0.05, size=(5, 1, 3)).cumsum(0)
    history = (stride + walk).astype(np.float32)
    predictor = MotionPredictor(tiny, tiny.build(), device='cpu', samples=3)
    here = predictor.predict(history)
    there = predictor.predict(turned(history, angle, (x, y, 0.5)))
    expected = turned(here.samples, angle, (x, y, 0.5))
    np.testing.assert_allclose(there.samples, expected, atol=2e-3)
    np.testing.assert_allclose(there.mean, turned(here.mean, angle, (x, y, 0.5)), atol=2e-3)
    assert np.ptp(here.samples, axis=1).max() > 0.01, 'and the samples differ'
