"""A whole body that is suddenly elsewhere: no person can do that, cameras can."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

BODY_M_PER_S, BODY_MARGIN_M = 2.0, 0.02
"""How far a body may be from where it was going: a change of speed, and a tracker's noise. Of 50
minutes of recorded motion, much of it dance and football, nobody was farther off than 1.9 m/s make
of the time from frame to frame, at 15, 30 and 60 Hz."""
HOLD_NS = 90_000_000
"""What lasts longer is believed."""
MOST_OF_IT = 0.5
"""Share of the joints that must be seen: an arm alone may well start like that."""

SWAY_LAG_S, SWAY_SPAN_S = 1 / 30, 0.25
CALM_M = 0.01
"""What the body of one person in a hundred really departs by (root mean square, recorded motion)
from going straight on over the lag, from frame to frame."""
SWAY_DOUBT = 2.2
"""What else it departs by is a camera's, and so many times that holds 90 % of where it then is:
measured where depth sways by 3 cm within 0.15 s."""


def sway_m(window: FloatArray, rate_hz: float) -> float:
    """Return how far off all of a window's last frame may be, as far as the body sways.

    A depth camera moves the whole body by centimetres from frame to frame, which no muscle can.

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
    """(3,) how far all that was known is off: what was seen of late is right."""
    is_another: bool = False
    """Whether it does not go together with what was known."""


class Steadiness:
    """Compares where one person is with where they were going.

    A body that is farther off than anybody can be, for one frame or a few, is held where it was
    going, in the posture in which it is seen. If it stays off by as much, the world has moved and
    not the person: then everything known moves with it, so that nobody starts to run.
    """

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._first_off: NDArray[np.floating] = np.zeros(3)

    def check(
        self, elapsed_ns: int, stamp_ns: int, frame: FloatArray, going: FloatArray
    ) -> Steadied:
        """Return what to believe of a frame.

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
