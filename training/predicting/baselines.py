"""Baselines without learning, which every predictor must beat.

The published protocol has two baselines: zero velocity, and the velocity of the last two frames.
The baselines in `BASELINES` are used in world coordinates. The velocity in these baselines is the
slope of a straight line fitted to the last 0.1 s, since a velocity of two frames is mostly noise.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from motion_predictor.model.parametrisation import velocity_weights

FITTED_S = 0.1
"""Length of the last part of the history to which velocities are fitted."""
JOINTS_S, ROOT_S = 0.2, 2.0
"""Time constants of the damped velocity: for joints relative to the root, and for the root. The
time constants were chosen in advance, and not fitted to the test data."""


def zero_velocity(history: Tensor, future_frames: int) -> Tensor:
    """Predict that people stand still: futures (B, F, J, 3) from histories (B, H, J, 3)."""
    return history[:, -1:].expand(-1, future_frames, -1, -1)


def constant_velocity(history: Tensor, future_frames: int) -> Tensor:
    """Predict that people keep the velocity of the last two frames.

    Returns futures (B, F, J, 3) from histories (B, H, J, 3).
    """
    steps = torch.arange(1, future_frames + 1, dtype=history.dtype)[:, None, None]
    return history[:, -1:] + steps * (history[:, -1:] - history[:, -2:-1])


def recent_velocity(history: Tensor, rate_hz: float) -> Tensor:
    """Return the least-squares velocity over the last FITTED_S of histories, m/s (B, J, 3)."""
    weights = velocity_weights(history.shape[1], rate_hz, FITTED_S).to(history.dtype)
    return torch.einsum('h,bhjc->bjc', weights, history)


def _still(pose: Tensor, velocity: Tensor, time_s: Tensor) -> Tensor:
    return pose.expand(-1, len(time_s), -1, -1)


def _constant(pose: Tensor, velocity: Tensor, time_s: Tensor) -> Tensor:
    return pose + velocity * time_s


def _damped(pose: Tensor, velocity: Tensor, time_s: Tensor) -> Tensor:
    root = velocity[:, :, :1]
    own = (velocity - root) * JOINTS_S * (1 - torch.exp(-time_s / JOINTS_S))
    return pose + root * ROOT_S * (1 - torch.exp(-time_s / ROOT_S)) + own


def _root_goes_on(pose: Tensor, velocity: Tensor, time_s: Tensor) -> Tensor:
    return pose + velocity[:, :, :1] * time_s


BASELINES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    'zero_velocity': _still,
    'constant_velocity': _constant,
    'damped_velocity': _damped,
    'root_goes_on': _root_goes_on,
}
"""Baselines by name. Each is a function of the last pose (B, 1, J, 3), the velocity (B, 1, J, 3)
and times (F, 1, 1), and returns futures (B, F, J, 3)."""
ABOUT = {
    'zero_velocity': 'stands still',
    'constant_velocity': f'every joint goes on with its slope of the last {FITTED_S:g} s',
    'damped_velocity': f'the same slope dies away: with {ROOT_S:g} s for the root, '
    f'{JOINTS_S:g} s for joints relative to it',
    'root_goes_on': 'the root goes on with its slope, the pose is frozen',
}


def baselines(history: Tensor, future_frames: int, rate_hz: float) -> dict[str, Tensor]:
    """Return the futures (B, F, J, 3) that each of BASELINES predicts, by name of the baseline.

    Args:
        history: B histories of H frames, metres (B, H, J, 3).
        future_frames: F, number of frames to predict.
        rate_hz: frames per second.
    """
    velocity = recent_velocity(history, rate_hz)[:, None]
    time_s = torch.arange(1, future_frames + 1, dtype=history.dtype) / rate_hz
    return {
        name: baseline(history[:, -1:], velocity, time_s[:, None, None])
        for name, baseline in BASELINES.items()
    }
