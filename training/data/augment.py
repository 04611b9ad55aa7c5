"""Random changes to windows: more people, and worse trackers, than were recorded."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.skeleton import Layout
from motion_predictor_training.config import Augmentation
from motion_predictor_training.data.windows import Windows

SLOWER = (2, 4)
"""A slower source has every second or every fourth frame: 30 and 15 Hz for a model of 60 Hz."""
HIDDEN_SHARE = 0.3
"""Largest share of the joints that is hidden in a window where some are."""


def draw_windows(
    windows: Windows,
    history_frames: int,
    settings: Augmentation,
    count: int,
    generator: np.random.Generator,
) -> Tensor:
    """Draw random windows (B, H + F, J, 3), with replacement, and change them at random.

    The person is changed over the whole window: mirrored, faster or slower, of other size and
    limbs, turned. What the tracker sees of them is changed in the observed part only: noise,
    fewer frames a second, hidden joints.
    """
    indices = generator.integers(len(windows), size=count)
    speed = 1 + settings.speed * generator.uniform(-1, 1, count)
    motion = windows.batch(indices, speed if settings.speed else None)
    chosen = torch.from_numpy(generator.random(count) < settings.mirror)
    motion = mirror(motion, chosen, windows.layout)
    if settings.body_scale or settings.limb_scale:
        factors = body_factors(windows.layout, settings, count, generator)
        motion = scale_limbs(motion, factors, windows.layout)
    if settings.yaw_deg:
        motion = turn(motion, math.radians(settings.yaw_deg) * generator.uniform(-1, 1, count))
    seen = motion[:, :history_frames]
    deviation = generator.uniform(0, settings.history_noise_m, (count, 1, 1, 1))
    noise = generator.standard_normal(tuple(seen.shape), np.float32) * deviation
    seen = seen + torch.from_numpy(noise.astype(np.float32))
    step = np.where(generator.random(count) < settings.slower, generator.choice(SLOWER, count), 1)
    seen = thin_out(seen, step)
    hidden = draw_hidden(tuple(seen.shape[:3]), settings.hidden, generator)
    motion[:, :history_frames] = hold_hidden(seen, hidden)
    return motion


def mirror(motion: Tensor, chosen: Tensor, layout: Layout) -> Tensor:
    """Mirror the chosen (B,) windows of (B, N, J, 3): y turned, left and right joints swapped."""
    mirrored = motion[:, :, list(layout.mirrored)] * motion.new_tensor([1.0, -1.0, 1.0])
    return torch.where(chosen[:, None, None, None], mirrored, motion)


def body_factors(
    layout: Layout, settings: Augmentation, count: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Draw (B, J): by what each bone's length is multiplied; joint 0's scales the root's path.

    Left and right bones change alike.
    """
    body = 1 + settings.body_scale * generator.uniform(-1, 1, (count, 1))
    limbs = 1 + settings.limb_scale * generator.uniform(-1, 1, (count, len(layout.joints)))
    limbs[:, 0] = 1
    alike = np.minimum(np.arange(len(layout.joints)), layout.mirrored)
    return (body * limbs[:, alike]).astype(np.float32)


def scale_limbs(motion: Tensor, factors: NDArray[np.float32], layout: Layout) -> Tensor:
    """Multiply every bone of windows (B, N, J, 3) by its factor (B, J)."""
    scale = torch.from_numpy(factors)[:, None, :, None]  # (B, 1, J, 1)
    scaled = torch.empty_like(motion)
    for joint, parent in enumerate(layout.parents):
        bone = motion[:, :, joint] - (motion[:, :, parent] if parent >= 0 else 0)
        scaled[:, :, joint] = bone * scale[:, :, joint] + (
            scaled[:, :, parent] if parent >= 0 else 0
        )
    return scaled


def turn(motion: Tensor, angle: NDArray[np.float64]) -> Tensor:
    """Turn windows (B, N, J, 3) about the vertical by angles (B,) in radians."""
    cos, sin, zero = np.cos(angle), np.sin(angle), np.zeros_like(angle)
    rows = [[cos, -sin, zero], [sin, cos, zero], [zero, zero, zero + 1]]
    rotation = torch.from_numpy(np.array(rows, np.float32))  # (3, 3, B)
    return torch.einsum('ijb,bnkj->bnki', rotation, motion)


def thin_out(seen: Tensor, step: NDArray[np.int64]) -> Tensor:
    """Keep every step-th (B,) frame of (B, H, J, 3), the last among them; linear in between."""
    last = seen.shape[1] - 1
    age = last - np.arange(last + 1)  # (H,) frames before the newest
    newer = age // step[:, None] * step[:, None]  # (B, H)
    older = np.minimum(newer + step[:, None], last)
    share = (age - newer) / np.maximum(older - newer, 1)
    rows = np.arange(len(seen))[:, None]
    weight = torch.from_numpy(share.astype(np.float32))[..., None, None]
    return seen[rows, last - newer] * (1 - weight) + seen[rows, last - older] * weight


def draw_hidden(
    shape: tuple[int, ...], share: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw which positions (B, H, J) a tracker misses: some joints, for one stretch of time.

    At least one frame of every joint is seen, and the root always is.
    """
    count, frames, joints = shape
    missing = generator.random((count, joints)) < generator.uniform(0, HIDDEN_SHARE, (count, 1))
    missing &= (generator.random(count) < share)[:, None]
    missing[:, 0] = False
    length = generator.integers(1, frames, (count, joints))
    first = generator.integers(1 - length, frames)
    time = np.arange(frames)[None, :, None]
    stretch = (time >= first[:, None]) & (time < (first + length)[:, None])
    return stretch & missing[:, None]


def hold_hidden(seen: Tensor, hidden: NDArray[np.bool_]) -> Tensor:
    """Fill hidden positions (B, H, J) of (B, H, J, 3) as the node does.

    Relative to the root, linear between the frames that have the joint, held before and after.
    """
    if not hidden.any():
        return seen
    frames = seen.shape[1]
    index = np.arange(frames)[None, :, None]
    before = np.maximum.accumulate(np.where(hidden, -1, index), axis=1)
    after = np.minimum.accumulate(np.where(hidden, frames, index)[:, ::-1], axis=1)[:, ::-1]
    first = np.where(before < 0, after, before)
    last = np.where(after >= frames, before, after)
    share = (index - first) / np.maximum(last - first, 1)
    weight = torch.from_numpy(share.astype(np.float32).clip(0, 1))[..., None]
    relative = seen - seen[:, :, :1]
    rows, joints = np.arange(len(seen))[:, None, None], np.arange(seen.shape[2])
    filled = relative[rows, first, joints] * (1 - weight) + relative[rows, last, joints] * weight
    return filled + seen[:, :, :1]
