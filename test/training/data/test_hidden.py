"""Joints that a tracker does not see: which joints are hidden, and how they are filled in."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from motion_predictor.skeleton import known_layouts
from motion_predictor.tracking.body import Body
from motion_predictor.tracking.history import History
from motion_predictor_training.data.augment import (
    draw_hidden,
    hidden_groups,
)
from motion_predictor_training.data.completion import Completion
from motion_predictor_training.data.hidden import complete

SMPL = known_layouts()['smpl22']
JOINTS = len(SMPL.joints)
HISTORY = 6
CPU = torch.device('cpu')
FloatArray = NDArray[np.float32]
seeds = st.integers(0, 2**32 - 1)


def random_motion(seed: int, count: int = 3, frames: int = 9) -> torch.Tensor:
    """Return windows (count, frames, J, 3) with random positions."""
    return torch.randn((count, frames, JOINTS, 3), generator=torch.Generator().manual_seed(seed))


@given(seeds)
def test_joints_are_hidden_for_a_stretch_or_a_group_for_good(seed: int) -> None:
    groups = hidden_groups(SMPL)
    torch.manual_seed(seed)
    hidden = draw_hidden(20, HISTORY, groups, 0.8).numpy()
    assert not hidden[:, :, 0].any(), 'the root is always seen'
    changes = np.diff(hidden, axis=1, prepend=False).sum(axis=1)  # starts, ends of hiding
    assert changes.max() <= 2


def test_legs_an_arm_or_half_a_body_may_never_be_seen() -> None:
    groups = {frozenset(np.flatnonzero(group)) for group in hidden_groups(SMPL).numpy()}

    def joints(*names: str) -> frozenset[int]:
        return frozenset(i for name in names if (i := SMPL.index(name)) is not None)

    legs = [f'{side}_{part}' for side in 'lr' for part in ('knee', 'ankle', 'foot')]
    assert joints(*legs) in groups
    assert joints('r_shoulder', 'r_elbow', 'r_wrist') in groups
    left = [name for name in SMPL.joint_names if name.startswith('l_')]
    assert frozenset(map(SMPL.joint_names.index, left)) in groups


def test_a_body_of_which_little_is_known_hides_single_limbs() -> None:
    layout = SMPL.model_copy(
        update={'joints': {'a': None, 'b': 'a', 'c': 'b'}, 'common_names': {}}
    )
    assert hidden_groups(layout).tolist() == [[False, True, True], [False, False, True]]


@given(seed=seeds)
def test_hidden_joints_are_filled_as_the_node_fills_them(stride: FloatArray, seed: int) -> None:
    rate_hz, frames, count = 60.0, 12, 3
    steps = random_motion(seed, count=count, frames=frames)
    seen = torch.from_numpy(stride) + 0.01 * steps.cumsum(1)
    torch.manual_seed(seed)
    hidden = draw_hidden(count, frames, hidden_groups(SMPL), 1.0)
    filled = Completion(SMPL, CPU)(seen, ~hidden)
    # Compare with the code of the node, which takes the limb lengths from the same window.
    expected = complete(seen, hidden.numpy(), SMPL, rate_hz).frames
    torch.testing.assert_close(filled, expected, atol=1e-4, rtol=0)
    # Compare also with the node's history, frame by frame, for joints that need no limb lengths.
    for person in range(count):
        observed = torch.where(hidden[person, ..., None], torch.nan, seen[person]).numpy()
        history = History(Body(SMPL), rate_hz, frames, max_gap_s=0.3)
        for index, pose in enumerate(observed, 1 - frames):
            history.append(10**9 + round(index * 1e9 / rate_hz), pose)
        window = history.window()
        assert window is not None
        now_and_then = ~hidden[person].all(0).numpy()
        np.testing.assert_allclose(
            filled[person].numpy()[:, now_and_then],
            window.positions[:, now_and_then],
            atol=1e-4,
        )


@given(seed=seeds)
def test_what_was_not_measured_is_filled_like_what_is_hidden(
    stride: FloatArray, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    steps = 0.01 * random_motion(seed, count=2, frames=HISTORY).cumsum(1)
    seen = torch.from_numpy(stride) + steps
    hidden = generator.random((2, HISTORY, JOINTS)) < 0.4  # the root may be hidden too
    foot = SMPL.joint_names.index('l_foot')
    hidden[:, -1] = False
    hidden[:, :, foot] = True  # never seen
    nothing = np.zeros_like(hidden)
    lacking = torch.where(torch.from_numpy(hidden)[..., None], torch.nan, seen)
    filled = complete(lacking, nothing, SMPL, 60.0).frames
    assert filled.isfinite().all()
    torch.testing.assert_close(filled[~torch.from_numpy(hidden)], seen[~torch.from_numpy(hidden)])
    # In `both`, some of the hidden joints are NaN. The others keep their numbers and are only
    # marked as hidden. Only joints that are never seen may differ, since joints that are hidden
    # for a while still give the lengths of the limbs.
    part = hidden & (generator.random(hidden.shape) < 0.5)
    part[:, :, foot] = True
    both = complete(
        torch.where(torch.from_numpy(part)[..., None], torch.nan, seen), hidden, SMPL, 60.0
    ).frames
    ever = torch.arange(JOINTS) != foot
    torch.testing.assert_close(filled[:, :, ever], both[:, :, ever], atol=1e-4, rtol=0)


def test_what_is_left_of_a_person_is_not_hidden_too(stride: FloatArray) -> None:
    seen = torch.full((1, HISTORY, JOINTS, 3), torch.nan)
    arm = [SMPL.joint_names.index(f'l_{part}') for part in ('shoulder', 'elbow', 'wrist')]
    seen[:, :, arm] = torch.from_numpy(stride[arm])
    hidden = np.zeros((1, HISTORY, JOINTS), bool)
    hidden[:, :, arm] = True
    filled = complete(seen, hidden, SMPL, 60.0).frames
    assert filled.isfinite().all()
    torch.testing.assert_close(filled[:, :, arm], seen[:, :, arm])
    with pytest.raises(ValueError, match='no joint of the history was measured'):
        complete(torch.full_like(seen, torch.nan), hidden, SMPL, 60.0)


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
