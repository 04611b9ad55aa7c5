"""The state of people: their motion at the last observation, on which prediction errors depend."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motion_predictor.model.statistics import speed_of

FloatArray = NDArray[np.float32]

SLOPE_S = 0.1
"""Time over which the speed is the least-squares slope, seconds."""
CURVE_S = 8 / 60
"""Time over which a parabola is fitted to get acceleration and jitter, seconds."""
MIN_CURVE = 4
"""Least number of frames for which a parabola leaves a residual."""


class State(NamedTuple):
    """The motion of P people at the last observation."""

    speed: FloatArray
    """Speed of each joint, (P, J) m/s."""
    own_speed: FloatArray
    """Speed of each joint after the horizontal velocity of the root is subtracted, (P, J) m/s. The
    own speed of the head is small while a person walks, and large while a person bends down."""
    acceleration: FloatArray
    """Acceleration of each joint, (P, J) m/s2."""
    body_acceleration: FloatArray
    """Root mean square of the acceleration over the joints, (P,) m/s2."""
    root_speed: FloatArray
    """Horizontal speed of the root, averaged over the history, (P,) m/s."""
    jitter: FloatArray
    """Root mean square distance of the last positions from a fitted parabola, (P, J) metres. The
    cause of jitter is noise of the tracker, or a jerk."""


class StateReader:
    """Computes the state of people from their histories, with constant matrices.

    Args:
        frames: number of frames of a history, H.
        rate_hz: frames per second.
    """

    def __init__(self, frames: int, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        count = min(frames, max(2, round(SLOPE_S * rate_hz) + 1))
        time = (np.arange(count) - (count - 1) / 2) / rate_hz
        self._slope = (time / (time**2).sum()).astype(np.float32)  # (n,) weights for velocity
        count = min(frames, max(MIN_CURVE, round(CURVE_S * rate_hz) + 1))
        if count < MIN_CURVE:
            count = 0
        time = (np.arange(count) - (count - 1) / 2) / rate_hz
        powers = np.vander(time, 3, increasing=True)  # (n, 3)
        fit = np.linalg.pinv(powers) if count else np.zeros((3, 0))
        rest = (np.eye(count) - powers @ fit) / np.sqrt(max(1, count - 3))
        self._curve = np.concatenate([2 * fit[2:], rest]).astype(np.float32)  # (1 + n, n)

    def __call__(self, history: FloatArray) -> State:
        """Return the state of P people, given their histories (P, H, J, 3), metres."""
        # Relative coordinates avoid the rounding errors of large coordinates.
        near = history - history[:, -1:]
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
    """Return the products (P, m, J, 3) of rows (m, n) with the last n of H frames (P, H, J, 3)."""
    newest = positions[:, positions.shape[1] - rows.shape[1] :]
    people, frames, joints, _ = newest.shape
    return (rows @ newest.reshape(people, frames, 3 * joints)).reshape(
        people, len(rows), joints, 3
    )


def _length(vectors: FloatArray) -> FloatArray:
    return np.sqrt((vectors * vectors).sum(-1))
