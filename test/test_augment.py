"""Random changes to windows: each does what it says and nothing else."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.body import Body
from motion_predictor.history import History
from motion_predictor.skeleton import known_layouts
from motion_predictor_training.config import Augmentation
from motion_predictor_training.data.augment import (
    body_factors,
    draw_hidden,
    draw_windows,
    fill_hidden,
    mirror,
    scale_limbs,
    thin_out,
    turn,
)
from motion_predictor_training.data.hidden import complete
from motion_predictor_training.data.windows import Windows, cut_windows, model_features

SMPL = known_layouts()['smpl22']
JOINTS = len(SMPL.joints)
HISTORY = 6
SEEN_ONLY = {'history_noise_m': 0.01, 'slower': 1.0, 'hidden': 1.0}
PERSON = {'mirror': 0.5, 'speed': 0.2, 'body_scale': 0.2, 'limb_scale': 0.2, 'yaw_deg': 90.0}
OFF = dict.fromkeys(SEEN_ONLY | PERSON, 0.0)

FloatArray = NDArray[np.float32]
seeds = st.integers(0, 2**32 - 1)


def random_motion(seed: int, count: int = 3, frames: int = 9) -> torch.Tensor:
    """Return windows (count, frames, J, 3) of joints that are anywhere."""
    return torch.randn((count, frames, JOINTS, 3), generator=torch.Generator().manual_seed(seed))


def draw(windows: Windows, **settings: Any) -> torch.Tensor:
    """Draw the same sixteen windows, changed as the settings say."""
    augmentation = Augmentation(**(OFF | settings))
    return draw_windows(windows, HISTORY, augmentation, 16, np.random.default_rng(0))


@pytest.fixture
def windows(write_archive: Callable[..., Path]) -> Windows:
    """Windows of ten frames of two clips of people who wander about."""
    steps = np.random.default_rng(0).normal(scale=0.02, size=(50, JOINTS, 3))
    archive = load_archive(write_archive(positions=steps.cumsum(0).astype(np.float32)))
    return cut_windows(archive, SMPL, 60, frames=10, stride=1)


def test_everything_off_changes_nothing(windows: Windows) -> None:
    indices = np.random.default_rng(0).integers(len(windows), size=16)
    torch.testing.assert_close(draw(windows), windows.batch(indices), rtol=0, atol=0)


@pytest.mark.parametrize('name', SEEN_ONLY)
def test_what_the_tracker_does_changes_the_history_only(windows: Windows, name: str) -> None:
    changed, recorded = draw(windows, **{name: SEEN_ONLY[name]}), draw(windows)
    assert not torch.equal(changed[:, :HISTORY], recorded[:, :HISTORY])
    torch.testing.assert_close(changed[:, HISTORY:], recorded[:, HISTORY:], rtol=0, atol=0)


@pytest.mark.parametrize('name', PERSON)
def test_what_the_person_is_changes_history_and_future(windows: Windows, name: str) -> None:
    changed, recorded = draw(windows, **{name: PERSON[name]}), draw(windows)
    for part in (slice(None, HISTORY), slice(HISTORY, None)):
        assert not torch.equal(changed[:, part], recorded[:, part])


@given(seeds)
def test_a_mirror_swaps_the_sides(seed: int) -> None:
    motion = random_motion(seed)
    mirrored = mirror(motion, torch.tensor([True, False, True]), SMPL)
    torch.testing.assert_close(mirrored[1], motion[1])
    left, right = SMPL.joint_names.index('l_wrist'), SMPL.joint_names.index('r_wrist')
    turned = motion[0, :, right] * torch.tensor([1.0, -1.0, 1.0])
    torch.testing.assert_close(mirrored[0, :, left], turned)
    torch.testing.assert_close(mirror(mirrored, torch.tensor([True] * 3), SMPL)[0], motion[0])


@given(seeds)
def test_bones_change_by_their_factors_and_keep_their_directions(seed: int) -> None:
    motion = random_motion(seed)
    settings = Augmentation(**(OFF | {'body_scale': 0.3, 'limb_scale': 0.3}))
    factors = body_factors(SMPL, settings, len(motion), np.random.default_rng(seed))
    scaled = scale_limbs(motion, factors, SMPL)
    torch.testing.assert_close(
        scaled[:, :, 0], motion[:, :, 0] * torch.from_numpy(factors)[:, None, :1]
    )
    for joint, parent in itertools.islice(enumerate(SMPL.parents), 1, None):
        before, after = (m[:, :, joint] - m[:, :, parent] for m in (motion, scaled))
        by = torch.from_numpy(factors)[:, joint, None, None]
        torch.testing.assert_close(after, before * by, rtol=1e-4, atol=1e-4)


@given(seeds)
def test_left_and_right_bones_change_alike_and_within_bounds(seed: int) -> None:
    settings = Augmentation(**(OFF | {'body_scale': 0.1, 'limb_scale': 0.05}))
    factors = body_factors(SMPL, settings, 8, np.random.default_rng(seed))
    np.testing.assert_array_equal(factors, factors[:, list(SMPL.mirrored)])
    assert (factors >= 0.9 * 0.95 - 1e-6).all()
    assert (factors <= 1.1 * 1.05 + 1e-6).all()
    sizes = factors / factors[:, :1]  # of limbs, in proportion to the body
    assert (np.abs(sizes - 1) <= 0.05 + 1e-6).all()


@given(seeds)
def test_a_turn_is_about_the_vertical(seed: int) -> None:
    motion = random_motion(seed, count=2)
    turned = turn(motion, np.array([np.pi / 2, 0.3]))
    x, y, z = motion[0].unbind(-1)
    torch.testing.assert_close(turned[0], torch.stack([-y, x, z], dim=-1), atol=1e-5, rtol=1e-5)
    # In the person's heading it cannot be seen.
    seen = (model_features(m, HISTORY, SMPL.hips, with_root=True) for m in (motion, turned))
    torch.testing.assert_close(*seen, atol=1e-4, rtol=1e-4)


@given(seeds, st.lists(st.sampled_from([1, 2, 3, 4, 20]), min_size=3, max_size=3))
def test_a_slower_source_is_linear_between_its_frames(seed: int, steps: list[int]) -> None:
    seen = random_motion(seed)
    thinned = thin_out(seen, np.array(steps)).numpy()
    frames = np.arange(seen.shape[1])
    for motion, thin, step in zip(seen.numpy(), thinned, steps, strict=True):
        kept = np.union1d(frames[::-1][::step], frames[:1])
        np.testing.assert_array_equal(thin[kept], motion[kept])
        for value, expected in zip(thin.reshape(9, -1).T, motion.reshape(9, -1).T, strict=True):
            between = np.interp(frames, kept, expected[kept])
            np.testing.assert_allclose(value, between, atol=1e-5)


@given(seeds)
def test_joints_are_hidden_for_a_stretch_or_with_their_limb_for_good(seed: int) -> None:
    hidden = draw_hidden(20, HISTORY, SMPL, 0.8, np.random.default_rng(seed))
    assert not hidden[:, :, 0].any(), 'the root is always seen'
    changes = np.diff(hidden, axis=1, prepend=False).sum(axis=1)  # a change begins or ends one
    assert changes.max() <= 2
    for window in hidden.all(axis=1):  # (J,) for good
        for joint, parent in enumerate(SMPL.parents):
            assert window[joint] or parent < 0 or not window[parent]


@given(seed=seeds)
def test_hidden_joints_are_filled_as_the_node_fills_them(stride: FloatArray, seed: int) -> None:
    rate_hz, frames = 60.0, 12
    seen = torch.from_numpy(stride) + 0.01 * random_motion(seed, count=1, frames=frames).cumsum(1)
    hidden = draw_hidden(1, frames, SMPL, 1.0, np.random.default_rng(seed))
    observed = np.where(hidden[0, ..., None], np.float32(np.nan), seen[0].numpy())
    history = History(Body(SMPL), rate_hz, frames, max_gap_s=0.3)
    for index, pose in enumerate(observed, 1 - frames):
        history.append(10**9 + round(index * 1e9 / rate_hz), pose)
    window = history.window()
    assert window is not None
    filled = fill_hidden(seen, hidden, SMPL)[0].numpy()
    now_and_then = ~hidden[0].all(axis=0)  # the length of a limb never seen is a guess
    np.testing.assert_allclose(
        filled[:, now_and_then], window.positions[:, now_and_then], atol=1e-4
    )


@given(seed=seeds)
def test_what_was_not_measured_is_filled_like_what_is_hidden(
    stride: FloatArray, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    steps = 0.01 * random_motion(seed, count=2, frames=HISTORY).cumsum(1)
    seen = torch.from_numpy(stride) + steps
    hidden = generator.random((2, HISTORY, JOINTS)) < 0.4  # the root among them
    foot = SMPL.joint_names.index('l_foot')
    hidden[:, -1] = False
    hidden[:, :, foot] = True  # for good
    nothing = np.zeros_like(hidden)
    lacking = torch.where(torch.from_numpy(hidden)[..., None], torch.nan, seen)
    filled = fill_hidden(lacking, nothing, SMPL)
    assert filled.isfinite().all()
    torch.testing.assert_close(filled[~torch.from_numpy(hidden)], seen[~torch.from_numpy(hidden)])
    # Some of it NaN and the rest hidden: the same but for the lengths, which are known better.
    part = hidden & (generator.random(hidden.shape) < 0.5)
    part[:, :, foot] = True
    both = fill_hidden(
        torch.where(torch.from_numpy(part)[..., None], torch.nan, seen), hidden, SMPL
    )
    ever = torch.arange(JOINTS) != foot
    torch.testing.assert_close(filled[:, :, ever], both[:, :, ever], atol=1e-4, rtol=0)


def test_what_is_left_of_a_person_is_not_hidden_too(stride: FloatArray) -> None:
    seen = torch.full((1, HISTORY, JOINTS, 3), torch.nan)
    arm = [SMPL.joint_names.index(f'l_{part}') for part in ('shoulder', 'elbow', 'wrist')]
    seen[:, :, arm] = torch.from_numpy(stride[arm])
    hidden = np.zeros((1, HISTORY, JOINTS), bool)
    hidden[:, :, arm] = True
    filled = fill_hidden(seen, hidden, SMPL)
    assert filled.isfinite().all()
    torch.testing.assert_close(filled[:, :, arm], seen[:, :, arm])
    with pytest.raises(ValueError, match='of which nothing was measured'):
        fill_hidden(torch.full_like(seen, torch.nan), hidden, SMPL)


def test_doubt_is_that_of_the_node(stride: FloatArray) -> None:
    frames, rate_hz, wrist = 30, 60.0, SMPL.joint_names.index('l_wrist')
    seen = torch.from_numpy(stride).expand(1, frames, JOINTS, 3).clone()
    seen[:, -9:, wrist] = torch.nan
    seen[:, :, SMPL.joint_names.index('l_knee')] = torch.nan
    history = History(Body(SMPL), rate_hz, frames, max_gap_s=0.3)
    for index, pose in enumerate(seen[0].numpy(), 1 - frames):
        history.append(10**9 + round(index * 1e9 / rate_hz), pose)
    lengths = np.linalg.norm(stride - stride[list(SMPL.parents)], axis=-1)
    lengths[SMPL.joint_names.index('l_knee')] = np.nan
    lengths[SMPL.joint_names.index('l_ankle')] = np.nan
    window = history.window(lengths)
    assert window is not None
    completed = complete(seen, np.zeros(seen.shape[:3], bool), SMPL, rate_hz)
    np.testing.assert_allclose(completed.frames[0].numpy(), window.positions, atol=1e-5)
    np.testing.assert_allclose(completed.doubt_m[0], window.doubt_m, atol=1e-5)
    assert completed.doubt_m[0, wrist] > 0.05
