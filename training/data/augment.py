"""Random changes to windows: more people, and worse trackers, than were recorded."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.skeleton import Layout
from motion_predictor_training.config import Augmentation
from motion_predictor_training.data.hidden import complete
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
    hidden = draw_hidden(count, history_frames, windows.layout, settings.hidden, generator)
    motion[:, :history_frames] = fill_hidden(seen, hidden, windows.layout)
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
    count: int, frames: int, layout: Layout, share: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw which positions (count, H, J) a tracker misses; the root is always seen.

    In a share of the windows: some joints for one stretch of time each and, in half of these
    windows, a joint and all that hangs from it for good, as legs behind a bench.
    """
    joints = len(layout.joints)
    chosen = generator.random((count, 1)) < share
    missing = generator.random((count, joints)) < generator.uniform(0, HIDDEN_SHARE, (count, 1))
    missing = missing & chosen
    length = generator.integers(1, frames, (count, joints))
    first = generator.integers(1 - length, frames)
    time = np.arange(frames)[None, :, None]
    hidden = (time >= first[:, None]) & (time < (first + length)[:, None]) & missing[:, None]
    for_good = chosen[:, 0] & (generator.random(count) < 0.5)
    limb = limbs(layout)[generator.integers(1, joints, count)]  # (count, J)
    hidden |= (limb & for_good[:, None])[:, None]
    hidden[:, :, 0] = False
    return hidden


def limbs(layout: Layout) -> NDArray[np.bool_]:
    """Return (J, J): whether a joint, the column, is another, the row, or hangs from it."""
    hangs = np.eye(len(layout.joints), dtype=bool)
    for joint, parent in enumerate(layout.parents):
        if parent >= 0:
            hangs[:, joint] |= hangs[:, parent]
    return hangs


def fill_hidden(seen: Tensor, hidden: NDArray[np.bool_], layout: Layout) -> Tensor:
    """Fill hidden or NaN positions of (B, H, J, 3) by what fills them in the node.

    Args:
        seen: (B, H, J, 3) metres; NaN = not measured, the root too.
        hidden: (B, H, J) what else is not seen.
        layout: of the joints.
    """
    return complete(seen, hidden, layout, rate_hz=1.0).frames  # which do not depend on it
