"""Changes windows at random, to imitate more people and worse trackers than were recorded.

All changes are computed on the device of the motion, with the random numbers of torch. The same
seed gives the same windows.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from motion_predictor.skeleton import Layout
from motion_predictor_training.config import Augmentation
from motion_predictor_training.data.completion import Completion
from motion_predictor_training.data.exchange import Exchange, subtrees
from motion_predictor_training.data.pool import Pool

SLOWER = (2, 4)
"""A slower tracker is imitated by keeping every second or fourth frame: 30 or 15 Hz for a model of
60 Hz."""
HIDDEN_SHARE = 0.3
"""Largest probability with which a joint is hidden for a while in a window."""
SLOW_MOTION = (0.1, 0.6)
"""Range of playback speeds in slow motion, which imitates people who hardly move."""
SWAY_FRAMES = (3.0, 30.0)
"""Range of the correlation time of a sway, in frames: 0.05 to 0.5 s for a model of 60 Hz. A sway
is a slowly varying error of the position of the whole body."""
JUMP_FRAMES = 6
"""Longest duration of a jump, in frames: 0.1 s for a model of 60 Hz. A jump is an error of the
position of the whole body in a few frames."""


class Drawn(NamedTuple):
    """Randomly changed windows to learn from."""

    motion: Tensor
    """(B, H + F, J, 3) metres, world frame, without gaps."""
    measured: Tensor
    """(B, F, J) which positions of the future were measured. Losses count only these."""


class Drawer:
    """Draws windows from a pool and changes them at random.

    Changes of the person apply to the whole window: the person is mirrored or turned, moves faster
    or slower, gets another size or other limb lengths, or gets the arms of somebody else. Imitated
    errors of a tracker apply only to the history: noise, sway and jumps of the body, a lower rate,
    and hidden joints.

    Args:
        pool: pool of recorded windows to draw from.
        history_frames: number of frames H in a history.
        settings: sizes and probabilities of the changes.
    """

    def __init__(self, pool: Pool, history_frames: int, settings: Augmentation) -> None:
        device = pool.motion.device
        self.pool = pool
        self.history_frames = history_frames
        self.settings = settings
        self.mirrored = torch.tensor(pool.layout.mirrored, device=device)
        self.reflection = torch.tensor([1.0, -1.0, 1.0], device=device)
        self.slower = torch.tensor(SLOWER, device=device)
        self.groups = hidden_groups(pool.layout).to(device)
        self.exchange = Exchange(pool.layout, history_frames, device)
        self.complete = Completion(pool.layout, device)

    def __call__(self, count: int) -> Drawn:
        """Draw `count` windows and change them at random."""
        settings, device = self.settings, self.pool.motion.device
        motion, measured = self.pool.draw(count, self._speeds(count))
        mirror = self._chosen(count, settings.mirror)[:, None, None]
        other = motion[:, :, self.mirrored] * self.reflection
        motion = torch.where(mirror[..., None], other, motion)
        measured = torch.where(mirror, measured[:, :, self.mirrored], measured)
        if settings.body_scale or settings.limb_scale:
            factors = body_factors(self.pool.layout, self.mirrored, settings, count)
            motion = scale_limbs(motion, factors, self.pool.layout)
        if settings.exchanged:
            exchanged = self._chosen(count, settings.exchanged)
            motion, measured = self.exchange(motion, measured, exchanged)
        if settings.yaw_deg:
            motion = turn(motion, math.radians(settings.yaw_deg) * _symmetric(count, device))
        seen, future = motion.tensor_split([self.history_frames], dim=1)
        seen_measured, future_measured = measured.tensor_split([self.history_frames], dim=1)
        deviation = settings.history_noise_m * torch.rand(count, device=device)
        deviation = torch.where(self._chosen(count, settings.noisy), deviation, 0)
        seen = seen + torch.randn_like(seen) * deviation[:, None, None, None]
        sway_m = settings.sway_m * torch.rand(count, device=device)
        sway_m = torch.where(self._chosen(count, settings.swaying), sway_m, 0)
        seen = seen + draw_sway(self.history_frames, sway_m)[:, :, None]
        jump_m = settings.jump_m * torch.rand(count, device=device)
        jump_m = torch.where(self._chosen(count, settings.jumping), jump_m, 0)
        seen = seen + draw_jumps(self.history_frames, jump_m)[:, :, None]
        step = self.slower[torch.randint(len(SLOWER), (count,), device=device)]
        seen = thin_out(seen, torch.where(self._chosen(count, settings.slower), step, 1))
        hidden = draw_hidden(count, self.history_frames, self.groups, settings.hidden)
        seen = self.complete(seen, seen_measured & ~hidden)
        return Drawn(torch.cat([seen, future], 1), future_measured)

    def _chosen(self, count: int, share: float) -> Tensor:
        """Choose each of `count` windows with the probability `share` (B,)."""
        return torch.rand(count, device=self.pool.motion.device) < share

    def _speeds(self, count: int) -> Tensor:
        """Draw a playback speed for each window, where 1 is the recorded speed (B,)."""
        device = self.pool.motion.device
        speed = torch.exp(math.log1p(self.settings.speed) * _symmetric(count, device))
        slow = torch.empty(count, device=device).uniform_(*SLOW_MOTION)
        return torch.where(self._chosen(count, self.settings.slow_motion), slow, speed)


def _symmetric(count: int, device: torch.device) -> Tensor:
    """Draw `count` random numbers between -1 and 1, uniformly (B,)."""
    return torch.rand(count, device=device) * 2 - 1


def body_factors(layout: Layout, mirrored: Tensor, settings: Augmentation, count: int) -> Tensor:
    """Draw random factors for the lengths of bones (B, J).

    A left bone and its right counterpart have the same factor. The factor of joint 0 scales the
    path of the root.
    """
    joints, device = len(layout.joints), mirrored.device
    body = 1 + settings.body_scale * _symmetric(count, device)
    limbs = 1 + settings.limb_scale * (torch.rand(count, joints, device=device) * 2 - 1)
    limbs[:, 0] = 1
    alike = torch.minimum(torch.arange(joints, device=device), mirrored)
    return body[:, None] * limbs[:, alike]


def scale_limbs(motion: Tensor, factors: Tensor, layout: Layout) -> Tensor:
    """Multiply every bone of windows (B, N, J, 3) by its factor (B, J)."""
    scale = factors[:, None, :, None]  # (B, 1, J, 1)
    scaled = torch.empty_like(motion)
    for joint, parent in enumerate(layout.parents):
        bone = motion[:, :, joint] - (motion[:, :, parent] if parent >= 0 else 0)
        scaled[:, :, joint] = bone * scale[:, :, joint] + (
            scaled[:, :, parent] if parent >= 0 else 0
        )
    return scaled


def turn(motion: Tensor, angle: Tensor) -> Tensor:
    """Rotate windows (B, N, J, 3) about the vertical axis by angles (B,) in radians."""
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    x, y, z = motion.unbind(-1)
    return torch.stack([cosine * x - sine * y, sine * x + cosine * y, z], -1)


def thin_out(seen: Tensor, step: Tensor) -> Tensor:
    """Keep every `step`-th frame, counted back from the last, and interpolate the others.

    Args:
        seen: observed positions (B, H, J, 3).
        step: number of frames from one kept frame to the next (B,).
    """
    last = seen.shape[1] - 1
    age = last - torch.arange(last + 1, device=seen.device)  # (H,) frames before the newest
    newer = age // step[:, None] * step[:, None]  # (B, H)
    older = (newer + step[:, None]).clamp(max=last)
    share = ((age - newer) / (older - newer).clamp(min=1))[..., None, None]
    rows = torch.arange(len(seen), device=seen.device)[:, None]
    return seen[rows, last - newer] * (1 - share) + seen[rows, last - older] * share


def draw_sway(frames: int, deviation_m: Tensor) -> Tensor:
    """Draw slowly varying errors of the position of the whole body (B, H, 3), metres.

    The errors of neighbouring frames are correlated, as with a depth camera.

    Args:
        frames: number of frames H in a history.
        deviation_m: root mean square of the errors (B,), metres.
    """
    count, device = len(deviation_m), deviation_m.device
    low, high = (math.log(many) for many in SWAY_FRAMES)
    within = torch.exp(torch.empty(count, 1, device=device).uniform_(low, high))
    kept = torch.exp(-1 / within)
    fresh = torch.randn(frames, count, 3, device=device) / 3**0.5
    way = [fresh[0]]
    for step in fresh[1:]:
        way.append(kept * way[-1] + (1 - kept**2).sqrt() * step)
    return torch.stack(way, 1) * deviation_m[:, None, None]


def draw_jumps(frames: int, metres: Tensor) -> Tensor:
    """Draw one jump per window: an offset of the whole body in a few frames (B, H, 3), metres.

    Args:
        frames: number of frames H in a history.
        metres: length of the offset in each window (B,).
    """
    count, device = len(metres), metres.device
    way = torch.nn.functional.normalize(torch.randn(count, 3, device=device), dim=-1)
    first = torch.randint(frames, (count, 1), device=device)
    length = torch.randint(1, JUMP_FRAMES + 1, (count, 1), device=device)
    time = torch.arange(frames, device=device)
    thrown = (time >= first) & (time < first + length)  # (B, H)
    return thrown[..., None] * (metres[:, None] * way)[:, None]


def draw_hidden(count: int, frames: int, groups: Tensor, share: float) -> Tensor:
    """Draw which positions the tracker does not see (B, H, J). The root is always seen.

    In a share of the windows some joints are hidden for a random time. In half of the windows with
    hidden joints, all joints of one group are also hidden in every frame of the history.

    Args:
        count: number of windows B to draw.
        frames: number of frames H in a history.
        groups: groups of joints that can be hidden together, from `hidden_groups` (G, J).
        share: share of the windows that get hidden joints.
    """
    device, joints = groups.device, groups.shape[1]
    chosen = torch.rand(count, 1, device=device) < share
    most = HIDDEN_SHARE * torch.rand(count, 1, device=device)
    missing = (torch.rand(count, joints, device=device) < most) & chosen
    length = 1 + (torch.rand(count, joints, device=device) * (frames - 1)).long()
    first = 1 - length + (torch.rand(count, joints, device=device) * (frames + length - 1)).long()
    time = torch.arange(frames, device=device)[None, :, None]
    hidden = (time >= first[:, None]) & (time < (first + length)[:, None]) & missing[:, None]
    for_good = chosen[:, 0] & (torch.rand(count, device=device) < 0.5)
    group = groups[torch.randint(len(groups), (count,), device=device)]  # (count, J)
    hidden = hidden | (group & for_good[:, None])[:, None]
    return hidden & (torch.arange(joints, device=device) > 0)


def hidden_groups(layout: Layout) -> Tensor:
    """Return groups of joints that may be hidden together for a whole window (G, J).

    About half of the groups consist of a joint and all its descendants. Each of the remaining
    groups imitates legs behind a bench, an arm outside of the image, or a half hidden body.
    """
    names = [layout.common_name(joint) for joint in layout.joints]
    limbs = subtrees(layout)
    parts = [
        *(('knee', 'ankle', 'foot'), ('hip', 'knee', 'ankle', 'foot')),
        *(('l_shoulder', 'l_elbow', 'l_wrist'), ('r_shoulder', 'r_elbow', 'r_wrist')),
        *(('l_',), ('r_',)),
    ]
    groups = torch.tensor([[any(p in name for p in part) for name in names] for part in parts])
    groups = groups[groups.any(1)]
    if not len(groups):
        return limbs[1:]
    return torch.cat([limbs[1:], groups.repeat(len(limbs) // len(groups) + 1, 1)])
