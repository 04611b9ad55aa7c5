"""Detects errors of a camera that make a whole body jump or sway as no real body can."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motion_predictor.tracking.median import median

FloatArray = NDArray[np.float32]

BODY_M_PER_S, BODY_MARGIN_M = 2.0, 0.02
"""Greatest distance of a body from its extrapolated position: the change of velocity BODY_M_PER_S
times the elapsed time, plus BODY_MARGIN_M for the noise of a tracker. In 50 minutes of recorded
motion, much of it dance and football, nobody changed velocity by more than 1.9 m/s from frame to
frame, at 15, 30 and 60 Hz."""
HOLD_NS = 90_000_000
"""A jump of the body that lasts longer than HOLD_NS is no longer corrected."""
MOST_OF_IT = 0.5
"""Least share of the joints that must be seen for the check, since a single arm can really start
so fast."""

SWAY_LAG_S, SWAY_SPAN_S = 1 / 30, 0.25
CALM_M = 0.01
"""Root mean square deviation of a real body from constant velocity over SWAY_LAG_S. In recorded
motion, one person in a hundred deviates by more than CALM_M."""
SWAY_DOUBT = 2.2
"""A deviation beyond CALM_M is an error of the camera. A radius of SWAY_DOUBT times the excess
holds 90 % of the true positions, measured on motion whose depth sways by 3 cm within 0.15 s."""


def sway_m(window: FloatArray, rate_hz: float) -> float:
    """Return how far the window's last frame may be off because the body sways, in metres.

    A depth camera may shift the whole body by centimetres from frame to frame. A real body cannot
    move so abruptly.

    Args:
        window: positions without gaps, metres (H, J, 3).
        rate_hz: frame rate of the window.
    """
    lag = max(1, round(SWAY_LAG_S * rate_hz))
    frames = min(len(window), 2 * lag + max(1, round(SWAY_SPAN_S * rate_hz)))
    if frames <= 2 * lag:
        return 0.0
    middle = (window[-frames:] - window[-1:, :1]).mean(1)  # (N, 3)
    turns = middle[2 * lag :] - 2 * middle[lag:-lag] + middle[: -2 * lag]
    rest = float((turns * turns).sum(-1).mean()) - CALM_M**2
    return SWAY_DOUBT * max(0.0, rest) ** 0.5


class Steadied(NamedTuple):
    """A frame after the check by `Steadiness`, corrected if the body jumped."""

    positions: FloatArray
    """(J, 3) corrected positions, metres."""
    doubt_m: float = 0.0
    """Possible error of the position of the whole frame, metres."""
    moved: NDArray[np.floating] | None = None
    """(3,) metres by which to move all earlier frames; None if nothing is to be moved."""
    is_another: bool = False
    """Whether the frame contradicts all earlier frames."""


class Steadiness:
    """Compares each frame of one person with the extrapolation of the frames before.

    If a body jumps farther than anybody can move, the body is kept on its extrapolated path for a
    few frames, in the observed posture. If the observed body stays at the same distance from its
    extrapolated path, the origin of the camera has moved, and not the person. In this case the
    whole history is moved by this distance. Without that, the person would seem to start running.
    """

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._first_off: NDArray[np.floating] = np.zeros(3)

    def check(
        self, elapsed_ns: int, stamp_ns: int, frame: FloatArray, going: FloatArray
    ) -> Steadied:
        """Return the frame, corrected if the body jumped.

        Args:
            elapsed_ns: time since the frame before.
            stamp_ns: stamp of the frame.
            frame: observed positions, metres, NaN = missing (J, 3).
            going: positions extrapolated from earlier frames to the stamp, metres, NaN = unknown
                (J, 3).
        """
        ways = (frame - going).astype(np.float64)
        shared = np.isfinite(ways[:, 0])
        if shared.sum() < MOST_OF_IT * len(frame):
            return Steadied(frame)
        off = median(ways[shared])
        off_m = float(np.linalg.norm(off))
        if off_m <= _possible_m(elapsed_ns):
            self._since_ns = None
            return Steadied(frame)
        if self._since_ns is None:
            self._since_ns, self._first_off = stamp_ns, off
        if stamp_ns - self._since_ns < HOLD_NS:
            return Steadied((frame - off).astype(np.float32), doubt_m=off_m)
        lasted_ns, self._since_ns = stamp_ns - self._since_ns, None
        if float(np.linalg.norm(off - self._first_off)) <= _possible_m(lasted_ns):
            return Steadied(frame, moved=off)
        return Steadied(frame, is_another=True)


def _possible_m(elapsed_ns: int) -> float:
    return BODY_M_PER_S * elapsed_ns * 1e-9 + BODY_MARGIN_M
