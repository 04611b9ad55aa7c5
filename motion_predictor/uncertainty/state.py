"""The motion of people at their last observation. The errors of predictions depend on it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motion_predictor.model.statistics import speed_of

FloatArray = NDArray[np.float32]

SLOPE_S = 0.1
"""Speeds are least-squares slopes over this time, seconds."""
CURVE_S = 8 / 60
"""Accelerations and jitter are those of a parabola fitted over this time, seconds."""
MIN_CURVE = 4
"""Least number of frames for which a parabola leaves a residual."""


class State(NamedTuple):
    """The newest motion of P people."""

    speed: FloatArray
    """(P, J) m/s, of each joint."""
    own_speed: FloatArray
    """(P, J) m/s, of each joint after the horizontal velocity of the root is subtracted. For
    somebody who walks, this speed of the head is small. For somebody who bends down, it is not."""
    acceleration: FloatArray
    """(P, J) m/s2, of each joint."""
    body_acceleration: FloatArray
    """(P,) m/s2, root mean square over the joints."""
    root_speed: FloatArray
    """(P,) m/s, over the ground, on average over the history."""
    jitter: FloatArray
    """(P, J) metres, root mean square distance of the last positions from a fitted parabola. It is
    caused by noise of the tracker, or by a jerk."""


class StateReader:
    """Computes states from histories by constant matrices.

    Args:
        frames: H, number of frames of a history.
        rate_hz: frames per second.
    """

    def __init__(self, frames: int, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        count = min(frames, max(2, round(SLOPE_S * rate_hz) + 1))
        time = (np.arange(count) - (count - 1) / 2) / rate_hz
        self._slope = (time / (time**2).sum()).astype(np.float32)  # (n,) velocity of positions
        count = min(frames, max(MIN_CURVE, round(CURVE_S * rate_hz) + 1))
        if count < MIN_CURVE:
            count = 0
        time = (np.arange(count) - (count - 1) / 2) / rate_hz
        powers = np.vander(time, 3, increasing=True)  # (n, 3)
        fit = np.linalg.pinv(powers) if count else np.zeros((3, 0))
        rest = (np.eye(count) - powers @ fit) / np.sqrt(max(1, count - 3))
        self._curve = np.concatenate([2 * fit[2:], rest]).astype(np.float32)  # (1 + n, n)

    def __call__(self, history: FloatArray) -> State:
        """Return the state of the P people with these histories (P, H, J, 3), metres."""
        near = history - history[:, -1:]  # avoids rounding of large coordinates
        velocity = _along(self._slope[None], near)[:, 0]  # (P, J, 3)
        of_root = velocity[:, :1] * np.array([1, 1, 0], np.float32)
        curve = _along(self._curve, near)  # (P, 1 + n, J, 3)
        acceleration = _length(curve[:, 0])
        rest = curve[:, 1:]
        return State(
            _length(velocity),
            _length(velocity - of_root),
            acceleration,
            np.sqrt((acceleration**2).mean(1)),
            speed_of(history, self._rate_hz),
            np.sqrt((rest * rest).sum((1, 3))),
        )


def _along(rows: FloatArray, positions: FloatArray) -> FloatArray:
    """Apply rows (m, n) to the last n frames of positions (P, H, J, 3): (P, m, J, 3)."""
    newest = positions[:, positions.shape[1] - rows.shape[1] :]
    people, frames, joints, _ = newest.shape
    return (rows @ newest.reshape(people, frames, 3 * joints)).reshape(
        people, len(rows), joints, 3
    )


def _length(vectors: FloatArray) -> FloatArray:
    return np.sqrt((vectors * vectors).sum(-1))
