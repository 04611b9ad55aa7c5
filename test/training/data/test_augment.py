"""Augmentation of windows: each random change has its effect and no other."""

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
from motion_predictor.model.frames import person_frame, to_model
from motion_predictor.skeleton import Layout, known_layouts
from motion_predictor_training.config import Augmentation
from motion_predictor_training.data.augment import (
    JUMP_FRAMES,
    Drawer,
    Drawn,
    body_factors,
    draw_jumps,
    draw_sway,
    scale_limbs,
    thin_out,
    turn,
)
from motion_predictor_training.data.exchange import Exchange, exchanged_parts
from motion_predictor_training.data.pool import Pool, pool_of
from motion_predictor_training.data.windows import cut_windows, model_features

SMPL = known_layouts()['smpl22']
JOINTS = len(SMPL.joints)
MIRRORED = torch.tensor(SMPL.mirrored)
HISTORY = 6
CPU = torch.device('cpu')
SEEN_ONLY = {
    'history_noise_m': {'history_noise_m': 0.01, 'noisy': 1.0},
    'sway_m': {'sway_m': 0.03, 'swaying': 1.0},
    'jump_m': {'jump_m': 0.1, 'jumping': 1.0},
    'slower': {'slower': 1.0},
    'hidden': {'hidden': 1.0},
}
PERSON = {
    'mirror': 0.5,
    'speed': 0.2,
    'slow_motion': 0.5,
    'body_scale': 0.2,
    'limb_scale': 0.2,
    'exchanged': 1.0,
    'yaw_deg': 90.0,
}
EXCHANGED = [
    {
        joint
        for joint in SMPL.joints
        if not any(n in joint for n in ('pelvis', 'hip', 'knee', 'ankle', 'foot'))
    },
    {joint for joint in SMPL.joints if 'elbow' in joint or 'wrist' in joint},
    {'l_elbow', 'l_wrist'},
    {'r_elbow', 'r_wrist'},
]
"""Parts of a body that may come from another window."""
OFF = dict.fromkeys(Augmentation.model_fields, 0.0)

FloatArray = NDArray[np.float32]
seeds = st.integers(0, 2**32 - 1)


def random_motion(seed: int, count: int = 3, frames: int = 9) -> torch.Tensor:
    """Return windows (count, frames, J, 3) with random positions."""
    return torch.randn((count, frames, JOINTS, 3), generator=torch.Generator().manual_seed(seed))


def draw(pool: Pool, seed: int = 0, **settings: Any) -> Drawn:
    """Draw sixteen windows with the given augmentation; everything else is off."""
    drawer = Drawer(pool, HISTORY, Augmentation(**(OFF | settings)))
    torch.manual_seed(seed)
    return drawer(16)


def pool_from(path: Path, balance: float = 0.0, frames: int = 10) -> Pool:
    """Return the pool of an archive's windows."""
    archive = load_archive(path)
    windows = cut_windows(archive, SMPL, 60, frames=frames, stride=1, partial=True)
    return pool_of(windows, archive, 60, balance, CPU)


@pytest.fixture
def pool(write_archive: Callable[..., Path]) -> Pool:
    """Windows of ten frames from two clips, whose joints wander about."""
    steps = np.random.default_rng(0).normal(scale=0.02, size=(50, JOINTS, 3))
    return pool_from(write_archive(positions=steps.cumsum(0).astype(np.float32)))


def test_everything_off_changes_nothing(pool: Pool) -> None:
    drawn = draw(pool)
    recorded = pool.motion[pool.starts[:, None] + torch.arange(10)]  # (W, 10, J, 3)
    for motion in drawn.motion:
        assert (motion == recorded).flatten(1).all(1).any()
    assert drawn.measured.all()


def test_the_same_seed_draws_the_same_windows(pool: Pool) -> None:
    everything = Augmentation(hidden=0.5).model_dump()
    first, same, other = (draw(pool, seed, **everything).motion for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize('name', SEEN_ONLY)
def test_what_the_tracker_does_changes_the_history_only(pool: Pool, name: str) -> None:
    changed, recorded = draw(pool, **SEEN_ONLY[name]).motion, draw(pool).motion
    assert not torch.equal(changed[:, :HISTORY], recorded[:, :HISTORY])
    torch.testing.assert_close(changed[:, HISTORY:], recorded[:, HISTORY:], rtol=0, atol=0)


def test_a_sway_is_as_large_as_said_and_forgotten_within_a_while() -> None:
    torch.manual_seed(0)
    sway = draw_sway(400, torch.full((200,), 0.03))  # (B, H, 3)
    assert sway.norm(dim=-1).square().mean().sqrt().item() == pytest.approx(0.03, rel=0.05)
    for lag, least, most in ((1, 0.7, 1.0), (100, -0.1, 0.1)):
        together = (sway[:, lag:] * sway[:, :-lag]).mean() / sway.square().mean()
        assert least < together < most


def test_a_jump_is_one_run_of_frames_by_as_much_as_said() -> None:
    torch.manual_seed(0)
    off_m = draw_jumps(30, torch.full((100,), 0.1)).norm(dim=-1)  # (B, H)
    thrown = off_m > 0
    torch.testing.assert_close(off_m[thrown], torch.full_like(off_m[thrown], 0.1))
    assert (thrown.sum(1) >= 1).all() and (thrown.sum(1) <= JUMP_FRAMES).all()
    assert (thrown.int().diff(dim=1).abs().sum(1) <= 2).all()
    assert thrown[:, -1].any(), 'the last frame too'


@pytest.mark.parametrize('name', PERSON)
def test_what_the_person_is_changes_history_and_future(pool: Pool, name: str) -> None:
    changed, recorded = draw(pool, **{name: PERSON[name]}).motion, draw(pool).motion
    for part in (slice(None, HISTORY), slice(HISTORY, None)):
        assert not torch.equal(changed[:, part], recorded[:, part])


@pytest.mark.parametrize('seed', range(6))
def test_an_exchanged_part_moves_as_in_another_window_and_hangs_where_it_belongs(
    seed: int,
) -> None:
    motion = random_motion(seed, count=8)
    measured = torch.rand(motion.shape[:3], generator=torch.Generator().manual_seed(seed)) < 0.5
    chosen = torch.arange(8) < 4
    torch.manual_seed(seed)
    mixed, seen = Exchange(SMPL, HISTORY, CPU)(motion, measured, chosen)
    bones = [bones_seen_from_the_hips(windows, motion) for windows in (motion, mixed)]
    torch.testing.assert_close(mixed[4:], motion[4:], msg='what is not chosen stays')
    assert torch.equal(seen[4:], measured[4:])
    for own in range(4):
        same = (bones[0] - bones[1][own]).abs().amax((1, 3)) < 1e-4  # (B, J)
        givers = [g for g in range(8) if g != own and same[g, 1:].any()]
        assert same[own, 0], 'the root goes its way'
        if givers:  # if the window got its own part again, there is no giver
            (giver,) = givers
            moved = same[giver]
            names = {joint for joint, m in zip(SMPL.joints, moved, strict=True) if m}
            assert names in EXCHANGED
            assert same[own][~moved].all()
            assert torch.equal(seen[own], torch.where(moved, measured[giver], measured[own]))


def bones_seen_from_the_hips(motion: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Return the joints relative to their parents (B, N, J, 3), and the root as it is.

    The joints are in the person-centred frames before the exchange (`own`), since an exchanged
    trunk may turn such a frame.
    """
    local = to_model(motion, person_frame(own[:, HISTORY - 1], SMPL.facing))
    parents = torch.tensor(SMPL.parents).clamp(min=0)
    bones = local - local[:, :, parents]
    return torch.cat([local[:, :, :1], bones[:, :, 1:]], 2)


def test_a_body_without_arms_exchanges_single_limbs() -> None:
    arms = Layout(name='arm', joints={'a': None, 'b': 'a', 'c': 'b'})
    assert torch.equal(exchanged_parts(arms), torch.tensor([[0, 1, 1], [0, 0, 1]]).bool())


def test_slow_motion_goes_less_far(pool: Pool) -> None:
    way = [
        draw(pool, slow_motion=share).motion.diff(dim=1).norm(dim=-1).mean().item()
        for share in (0.0, 1.0)
    ]
    assert way[1] < 0.6 * way[0]


@pytest.mark.parametrize('speed', [0.5, 1.0, 1.3, 5.0])
def test_another_speed_keeps_the_first_frame_and_stays_in_the_clip(
    write_archive: Callable[..., Path], speed: float
) -> None:
    pool = pool_from(write_archive())  # clips of 30 and 20 frames, 2 cm per frame along x
    torch.manual_seed(0)
    motion, _ = pool.draw(64, torch.full((64,), speed))
    steps_m = motion[:, :, 0, 0].diff(dim=1)
    first = (motion[:, 0, 0, 0] / 0.02).round().long()
    length = torch.where(first < 30, 30 - first, 50 - first)
    fastest = ((length - 1) / 9).clamp(max=speed)[:, None]
    torch.testing.assert_close(steps_m, (0.02 * fastest).expand_as(steps_m), atol=1e-5, rtol=0)


def test_a_window_beside_a_gap_of_the_root_is_not_sped_up_into_it(
    write_archive: Callable[..., Path],
) -> None:
    valid = np.ones((50, JOINTS), np.bool_)
    valid[10, 0] = False
    pool = pool_from(write_archive(valid=valid))
    torch.manual_seed(0)
    motion, measured = pool.draw(200, torch.full((200,), 1.5))
    first = motion[:, 0, 0, 0] < 0.01  # windows that end before the gap
    assert first.any()
    torch.testing.assert_close(motion[first][0, :, 0, 0], torch.arange(10) * 0.02)
    assert measured.all()


def test_rare_motion_is_drawn_as_often_as_common_motion(
    write_archive: Callable[..., Path],
) -> None:
    still = np.zeros((50, JOINTS, 3), np.float32)
    still[30:, :, 0] = 1.0  # x is 0 in the first clip, 1 in the second
    path = write_archive(positions=still, category=np.array(['common', 'rare']))
    shares = []
    for balance in (0.0, 1.0):
        pool = pool_from(path, balance)
        torch.manual_seed(0)
        motion, _ = pool.draw(4000, torch.ones(4000))
        shares.append((motion[:, 0, 0, 0] > 0.5).float().mean().item())
    windows = 21 + 11
    assert shares[0] == pytest.approx(11 / windows, abs=0.03)
    assert shares[1] == pytest.approx(0.5, abs=0.03)


def test_people_without_legs_are_drawn_with_legs_that_do_not_count(
    write_archive: Callable[..., Path], stride: FloatArray
) -> None:
    legs = [SMPL.index(f'{side}_{part}') for side in 'lr' for part in ('knee', 'ankle', 'foot')]
    valid = np.ones((50, JOINTS), np.bool_)
    valid[:, legs] = False
    positions = np.where(valid[..., None], stride, 0).astype(np.float32)
    drawn = draw(pool_from(write_archive(positions=positions, valid=valid)), mirror=0.5)
    assert not drawn.measured[:, :, legs].any()
    assert drawn.measured.sum() == drawn.measured[:, :, 0].sum() * (JOINTS - len(legs))
    knee, hip = SMPL.joint_names.index('l_knee'), SMPL.joint_names.index('l_hip')
    below = drawn.motion[:, :, hip, 2] - drawn.motion[:, :, knee, 2]
    assert (below > 0.2).all(), 'they stand'


def test_windows_without_a_root_are_not_drawn(write_archive: Callable[..., Path]) -> None:
    valid = np.ones((50, JOINTS), np.bool_)
    valid[12, 0] = False
    pool = pool_from(write_archive(valid=valid))
    covered = pool.starts[:, None] + torch.arange(10)
    assert not (covered == 12).any()
    assert len(pool.starts) == (30 - 9) - 10 + (20 - 9)


def test_a_mirror_swaps_the_sides(pool: Pool) -> None:
    mirrored, recorded = draw(pool, mirror=1.0).motion, draw(pool).motion
    left, right = SMPL.joint_names.index('l_wrist'), SMPL.joint_names.index('r_wrist')
    turned = recorded[:, :, right] * torch.tensor([1.0, -1.0, 1.0])
    torch.testing.assert_close(mirrored[:, :, left], turned)


@given(seeds)
def test_bones_change_by_their_factors_and_keep_their_directions(seed: int) -> None:
    motion = random_motion(seed)
    settings = Augmentation(**(OFF | {'body_scale': 0.3, 'limb_scale': 0.3}))
    torch.manual_seed(seed)
    factors = body_factors(SMPL, MIRRORED, settings, len(motion))
    scaled = scale_limbs(motion, factors, SMPL)
    torch.testing.assert_close(scaled[:, :, 0], motion[:, :, 0] * factors[:, None, :1])
    for joint, parent in itertools.islice(enumerate(SMPL.parents), 1, None):
        before, after = (m[:, :, joint] - m[:, :, parent] for m in (motion, scaled))
        by = factors[:, joint, None, None]
        torch.testing.assert_close(after, before * by, rtol=1e-4, atol=1e-4)


@given(seeds)
def test_left_and_right_bones_change_alike_and_within_bounds(seed: int) -> None:
    settings = Augmentation(**(OFF | {'body_scale': 0.1, 'limb_scale': 0.05}))
    torch.manual_seed(seed)
    factors = body_factors(SMPL, MIRRORED, settings, 8).numpy()
    np.testing.assert_array_equal(factors, factors[:, list(SMPL.mirrored)])
    assert (factors >= 0.9 * 0.95 - 1e-6).all()
    assert (factors <= 1.1 * 1.05 + 1e-6).all()
    sizes = factors / factors[:, :1]  # sizes of limbs relative to the body
    assert (np.abs(sizes - 1) <= 0.05 + 1e-6).all()


@given(seeds)
def test_a_turn_is_about_the_vertical(seed: int) -> None:
    motion = random_motion(seed, count=2)
    turned = turn(motion, torch.tensor([np.pi / 2, 0.3]))
    x, y, z = motion[0].unbind(-1)
    torch.testing.assert_close(turned[0], torch.stack([-y, x, z], dim=-1), atol=1e-5, rtol=1e-5)
    # In the heading frame, the turn has no effect.
    seen = (model_features(m, HISTORY, SMPL.facing, with_root=True) for m in (motion, turned))
    torch.testing.assert_close(*seen, atol=1e-4, rtol=1e-4)


@given(seeds, st.lists(st.sampled_from([1, 2, 3, 4, 20]), min_size=3, max_size=3))
def test_a_slower_source_is_linear_between_its_frames(seed: int, steps: list[int]) -> None:
    seen = random_motion(seed)
    thinned = thin_out(seen, torch.tensor(steps)).numpy()
    frames = np.arange(seen.shape[1])
    for motion, thin, step in zip(seen.numpy(), thinned, steps, strict=True):
        kept = np.union1d(frames[::-1][::step], frames[:1])
        np.testing.assert_array_equal(thin[kept], motion[kept])
        for value, expected in zip(thin.reshape(9, -1).T, motion.reshape(9, -1).T, strict=True):
            between = np.interp(frames, kept, expected[kept])
            np.testing.assert_allclose(value, between, atol=1e-5)
