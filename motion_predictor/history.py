"""One person's time-stamped frames, read as a window at the model's rate."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


RECENT_NS = 100_000_000
"""The root, and half of the joints, must have been seen so shortly before the newest frame."""


@dataclass(frozen=True)
class ObservedWindow:
    """What a network is given of one person."""

    positions: FloatArray
    """(H, J, 3) metres, without gaps; the last frame is the newest observation."""
    observed_fraction: float
    """Share of the H * J positions that were observed rather than filled, 0 to 1."""


class History:
    """The recent frames of one person, at whatever rate and jitter they come.

    Args:
        rate_hz: the model's frame rate.
        frames: H, the window's frames.
        max_gap_s: a longer gap between frames restarts the history.
    """

    def __init__(self, rate_hz: float, frames: int, max_gap_s: float) -> None:
        self._offsets_ns = np.round(np.arange(1 - frames, 1) * 1e9 / rate_hz).astype(np.int64)
        self._max_gap_ns = round(max_gap_s * 1e9)
        self._stamps_ns: deque[int] = deque()
        self._frames: deque[FloatArray] = deque()

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest frame."""
        return self._stamps_ns[-1] if self._stamps_ns else None

    def append(self, stamp_ns: int, positions: FloatArray) -> bool:
        """Add a frame (J, 3), NaN = missing.

        Returns:
            False if the frame was rejected because it is not newer than the newest.
        """
        newest = self.newest_ns
        if newest is not None:
            if stamp_ns <= newest:
                return False
            if stamp_ns - newest > self._max_gap_ns:
                self._stamps_ns.clear()
                self._frames.clear()
        self._stamps_ns.append(stamp_ns)
        self._frames.append(positions)
        start_ns = stamp_ns + int(self._offsets_ns[0])
        while len(self._stamps_ns) > 1 and self._stamps_ns[1] <= start_ns:
            self._stamps_ns.popleft()
            self._frames.popleft()
        return True

    def is_full(self) -> bool:
        """Whether the frames reach back over the whole window."""
        if not self._stamps_ns:
            return False
        return self._stamps_ns[0] <= self._stamps_ns[-1] + self._offsets_ns[0]

    def window(self) -> ObservedWindow | None:
        """Return the window that ends at the newest frame.

        Positions are linear between frames in time. Joints that were not observed keep their
        place relative to the root, interpolated between the frames that have them.

        Returns:
            None while the history is not full, if a joint was not observed at all, or if the root
            or half of the joints have not been seen for 0.1 s: nobody is predicted from a pose
            that is mostly memory.
        """
        if not self.is_full():
            return None
        frames = np.stack(self._frames)  # (T, J, 3)
        # Relative to the newest stamp, seconds are exact enough as floats.
        stamps = np.array(self._stamps_ns, np.int64) - self._stamps_ns[-1]
        seen = np.logical_and.reduce(np.isfinite(frames), axis=-1)  # (T, J)
        if not seen.any(0).all():
            return None
        lately = seen[stamps >= -RECENT_NS].any(0)  # (J,)
        if not lately[0] or 2 * lately.sum() < len(lately):
            return None
        root = _interpolate(frames[:, :1], seen[:, :1], stamps, stamps)  # (T, 1, 3)
        relative = frames[:, 1:] - root
        at_root = _interpolate(frames[:, :1], seen[:, :1], stamps, self._offsets_ns)
        joints = _interpolate(relative, seen[:, 1:], stamps, self._offsets_ns)
        right = np.searchsorted(stamps, self._offsets_ns)  # first frame not before
        left = right - (stamps[right] != self._offsets_ns)
        observed = seen[left] & seen[right]  # (H, J)
        return ObservedWindow(
            np.concatenate([at_root, joints + at_root], axis=1).astype(np.float32),
            float(observed.mean()),
        )


def _interpolate(
    frames: NDArray[np.floating],
    seen: NDArray[np.bool_],
    stamps: NDArray[np.int64],
    times: NDArray[np.int64],
) -> NDArray[np.floating]:
    """Read frames (T, J, 3) at times (H,), each joint between the frames that have it: (H, J, 3).

    Before a joint's first and after its last sight it keeps that place.
    """
    count = len(stamps)
    index = np.arange(count)[:, None]
    before = np.maximum.accumulate(np.where(seen, index, -1), axis=0)  # newest sight so far
    after = np.minimum.accumulate(np.where(seen, index, count)[::-1], axis=0)[::-1]
    right = np.searchsorted(stamps, times).clip(max=count - 1)
    left = np.where(stamps[right] == times, right, right - 1).clip(min=0)
    first, last = before[left], after[right]  # (H, J)
    first, last = np.where(first < 0, last, first), np.where(last >= count, first, last)
    span = np.maximum(stamps[last] - stamps[first], 1)
    share = ((times[:, None] - stamps[first]) / span).clip(0, 1)[..., None]
    joint = np.arange(seen.shape[1])
    return frames[first, joint] * (1 - share) + frames[last, joint] * share
