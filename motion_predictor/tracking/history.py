"""The recent frames of one person, resampled to a window at the model's rate."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor.tracking.body import Body
from motion_predictor.tracking.median import median

FloatArray = NDArray[np.float32]


RECENT_NS = 100_000_000
"""A joint seen within this time before the newest frame counts as seen recently."""


MEASURED_NS = 35_000_000
"""A resampled position counts as measured if the joint was seen at most this time before or after
that position. So all positions from a source with 15 Hz count as measured."""


@dataclass(frozen=True)
class ObservedWindow:
    """The recent motion of one person at the model's frame rate, as input for the network."""

    positions: FloatArray
    """(H, J, 3) metres, without gaps; the last frame is the newest observation."""
    observed_fraction: float
    """Share of the H * J positions for which the joint was seen within 35 ms, 0 to 1."""
    seen_fraction: float
    """Share of the H * J positions that are interpolated between two frames in which the joint was
    observed."""
    recent_fraction: float
    """Share of the J joints that were observed in the last 0.1 s."""
    doubt_m: FloatArray
    """(J,) possible error of each joint in the last frame, metres; 0 for observed joints."""


class History:
    """The recent frames of one person. Frames may come at any rate, and with jitter.

    Args:
        body: shape of a body in the layout of the frames.
        rate_hz: frame rate of the model.
        frames: H, number of frames of the window.
        max_gap_s: longest gap between two frames; a longer gap restarts the history.
    """

    def __init__(self, body: Body, rate_hz: float, frames: int, max_gap_s: float) -> None:
        self._body = body
        self._offsets_ns = np.round(np.arange(1 - frames, 1) * 1e9 / rate_hz).astype(np.int64)
        self._max_gap_ns = round(max_gap_s * 1e9)
        self._stamps_ns: deque[int] = deque()
        self._frames: deque[FloatArray] = deque()
        # Several checks of each message use these velocities.
        self._velocity: NDArray[np.floating] | None = None
        self._joint_velocities: NDArray[np.float64] | None = None

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest frame."""
        return self._stamps_ns[-1] if self._stamps_ns else None

    def append(self, stamp_ns: int, positions: FloatArray) -> bool:
        """Add a frame of positions (J, 3), NaN = missing.

        Returns:
            False if the frame was rejected because its stamp is not newer than all stamps before.
        """
        newest = self.newest_ns
        if newest is not None:
            if stamp_ns <= newest:
                return False
            if stamp_ns - newest > self._max_gap_ns:
                self._stamps_ns.clear()
                self._frames.clear()
        self._velocity = self._joint_velocities = None
        self._stamps_ns.append(stamp_ns)
        self._frames.append(positions)
        start_ns = stamp_ns + int(self._offsets_ns[0])
        while len(self._stamps_ns) > 1 and self._stamps_ns[1] <= start_ns:
            self._stamps_ns.popleft()
            self._frames.popleft()
        return True

    def is_full(self) -> bool:
        """Whether the frames reach back far enough to fill the window of the model."""
        if not self._stamps_ns:
            return False
        return self._stamps_ns[0] <= self._stamps_ns[-1] + self._offsets_ns[0]

    def knows_velocity(self) -> bool:
        """Whether the frames reach back far enough to compute velocities."""
        return len(self._stamps_ns) > 1 and self._stamps_ns[-1] - self._stamps_ns[0] >= RECENT_NS

    def move(self, way: NDArray[np.floating]) -> None:
        """Move all frames by a vector (3,) in metres."""
        self._frames = deque((frame + way).astype(np.float32) for frame in self._frames)

    def velocity(self) -> NDArray[np.floating]:
        """Return the velocity of the whole person over the last 0.1 s, metres per second (3,).

        The velocity is the median over the joints that were seen both in the newest frame and
        0.1 s before. If no joint was seen in both frames, the velocity is zero.
        """
        if self._velocity is None:
            joints = self.joint_velocities()
            known = joints[np.isfinite(joints).all(-1)]
            self._velocity = median(known) if len(known) else np.zeros(3)
        return self._velocity

    def joint_velocities(self) -> NDArray[np.float64]:
        """Return the velocity of each joint over the last 0.1 s, m/s, NaN = unknown (J, 3)."""
        if self._joint_velocities is None:
            self._joint_velocities = self._find_joint_velocities()
        return self._joint_velocities

    def _find_joint_velocities(self) -> NDArray[np.float64]:
        for stamp_ns, frame in zip(reversed(self._stamps_ns), reversed(self._frames), strict=True):
            elapsed_ns = self._stamps_ns[-1] - stamp_ns
            if elapsed_ns >= RECENT_NS:
                moved: NDArray[np.float64] = self._frames[-1].astype(np.float64) - frame
                return moved / (elapsed_ns * 1e-9)
        return np.full((1, 3), np.nan)

    def window(self, limbs_m: NDArray[np.floating] | None = None) -> ObservedWindow | None:
        """Return the model's input, the window of frames that ends at the newest frame.

        Positions are interpolated linearly in time between frames. `Body.fill` guesses the
        positions of joints that were not observed.

        Args:
            limbs_m: lengths of this person's limbs, metres, NaN = unknown (J,).

        Returns:
            The window, or None if the history is not full or no joint was seen at all.
        """
        if not self.is_full():
            return None
        frames = np.array(self._frames)  # (T, J, 3)
        # Stamps relative to the newest stamp are small, so floats represent them well enough.
        stamps = np.array(self._stamps_ns, np.int64) - self._stamps_ns[-1]
        seen = np.logical_and.reduce(np.isfinite(frames), axis=-1)  # (T, J)
        doubt_m = np.zeros(seen.shape[1], np.float32)
        complete = seen.all()
        if not complete:
            limbs_m = np.full(seen.shape[1], np.nan) if limbs_m is None else limbs_m
            filled = self._body.fill(frames, seen, stamps, limbs_m)
            if filled is None:
                return None
            frames, doubt_m = filled
        right = stamps.searchsorted(self._offsets_ns)
        left = right - (stamps[right] != self._offsets_ns)
        span = np.maximum(stamps[right] - stamps[left], 1)
        share = ((self._offsets_ns - stamps[left]) / span).astype(np.float32)[:, None, None]
        positions = frames[left] + (frames[right] - frames[left]) * share
        to_left = self._offsets_ns - stamps[left] <= MEASURED_NS
        to_right = stamps[right] - self._offsets_ns <= MEASURED_NS
        if complete:
            measured = (to_left | to_right)[:, None]
        else:
            measured = (to_left[:, None] & seen[left]) | (to_right[:, None] & seen[right])
        return ObservedWindow(
            positions.astype(np.float32, copy=False),
            float(measured.mean()),
            1.0 if complete else float((seen[left] & seen[right]).mean()),
            1.0 if complete else float(seen[stamps >= -RECENT_NS].any(0).mean()),
            doubt_m.astype(np.float32, copy=False),
        )
