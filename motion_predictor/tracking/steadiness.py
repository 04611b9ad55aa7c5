"""Detects whole bodies that jump or sway as only a camera's error can make them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

BODY_M_PER_S, BODY_MARGIN_M = 2.0, 0.02
"""How far a body may be from where its velocity leads: a change of speed, and a tracker's noise.
In 50 minutes of recorded motion, much of it dance and football, nobody changed speed by more than
1.9 m/s from frame to frame, at 15, 30 and 60 Hz."""
HOLD_NS = 90_000_000
"""A displacement that lasts longer is accepted as real."""
MOST_OF_IT = 0.5
"""Share of the joints that must be seen. A single arm can really start so fast."""

SWAY_LAG_S, SWAY_SPAN_S = 1 / 30, 0.25
CALM_M = 0.01
"""Departure of a real body from constant velocity over the lag (root mean square). In recorded
motion one person in a hundred exceeds it."""
SWAY_DOUBT = 2.2
"""The rest of the departure is a camera's error. So many times it holds 90 % of the true
positions, measured where depth sways by 3 cm within 0.15 s."""


def sway_m(window: FloatArray, rate_hz: float) -> float:
    """Return the error of the window's last frame that swaying may cause, in metres.

    A depth camera may move the whole body by centimetres from frame to frame. No muscle can.

    Args:
        window: (H, J, 3) metres, without gaps.
        rate_hz: of the frames.
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
    """A frame as it is believed."""

    positions: FloatArray
    """(J, 3) metres."""
    doubt_m: float = 0.0
    """How far off all of it may be."""
    moved: NDArray[np.floating] | None = None
    """(3,) displacement of everything known before, if the newest frames are right."""
    is_another: bool = False
    """Whether it contradicts everything known before."""


class Steadiness:
    """Compares where one person is with where they were going.

    A body that jumps farther than anybody can move, for a few frames, is held on its path, in the
    posture that is seen. If it stays off by the same distance, the frame of reference has moved
    and not the person. Then the whole history is moved, so that the person does not seem to start
    running.
    """

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._first_off: NDArray[np.floating] = np.zeros(3)

    def check(
        self, elapsed_ns: int, stamp_ns: int, frame: FloatArray, going: FloatArray
    ) -> Steadied:
        """Return the frame with joints that can be believed.

        Args:
            elapsed_ns: since the frame before.
            stamp_ns: of the frame.
            frame: (J, 3) as seen, NaN = missing.
            going: (J, 3) where the joints are by now if the person goes on, NaN = unknown.
        """
        ways = (frame - going).astype(np.float64)
        shared = np.isfinite(ways[:, 0])
        if shared.sum() < MOST_OF_IT * len(frame):
            return Steadied(frame)
        off = np.median(ways[shared], axis=0)
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
