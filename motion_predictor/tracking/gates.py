"""Rejects joint positions that are physically impossible; rejected joints count as missing."""

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motion_predictor.tracking.body import Body

FloatArray = NDArray[np.float32]

JOINT_M_PER_S, JOINT_MARGIN_M = 12.0, 0.15
"""Greatest speed of a joint, and a margin for the noise of a tracker. In 28 minutes of recorded
motion, most of it dance, no joint was faster than 12 m/s over 0.07 s, and none was faster than
13.3 m/s over one frame of 1/60 s."""
STRAY_M_PER_S, STRAY_M = 10.5, 0.06
"""Greatest distance of a joint from its extrapolated position: STRAY_M_PER_S times the time since
the joint was last seen, plus STRAY_M. The extrapolation uses the velocity of the joint over the
last 0.1 s. In 37 minutes of recorded motion, the greatest distance was 0.755, 0.328 and 0.156 m at
15, 30 and 60 Hz."""
LIMB_SHARE, LIMB_MARGIN_M = 0.3, 0.1
"""Greatest deviation of a limb from its usual length: this share of the length or this margin,
whichever is larger. Limbs measured by cameras vary by several centimetres."""
LIMB_EVERY_NS, LIMBS_KEPT, LIMBS_NEEDED = 50_000_000, 40, 5
"""The length of a limb is measured once per LIMB_EVERY_NS. The usual length is the median of the
last LIMBS_KEPT measurements, which take two seconds. With fewer than LIMBS_NEEDED measurements the
usual length is unknown."""
SWAP_SHARE, SWAP_M = 0.5, 0.1
"""Left and right count as swapped if an exchange of the sides brings the joints much nearer to
their last positions: the sum of the distances falls below SWAP_SHARE of the sum before, and the
average distance falls by more than SWAP_M."""
SWAP_RECENT_NS = 300_000_000
"""Positions older than this are not compared to find swapped sides. If a tracker keeps the sides
swapped for longer than this, the tracker is believed."""


class Checked(NamedTuple):
    """A frame after the check by `Gates`, without impossible positions."""

    positions: FloatArray
    """(J, 3) metres, NaN = missing or rejected."""
    rejected: Counter[str]
    """Number of joints that were rejected, and number of frames whose sides were swapped back, by
    reason."""
    contradicts: bool = False
    """Whether the tracker has swapped left and right for longer than SWAP_RECENT_NS."""


class Gates:
    """Compares each frame of one person with the frames before, and rejects impossible joints.

    No joint is rejected for ever. The longer a joint has not been seen, the farther it may have
    moved. If a limb has a new length for long enough, the new length becomes its usual length.

    Args:
        body: shape of a body in the layout of the frames.
    """

    def __init__(self, body: Body) -> None:
        joints = len(body.parents)
        self._parents = body.parents
        self._mirrored = body.mirrored
        self._paired = body.mirrored != np.arange(joints)
        self._seen_ns = np.zeros(joints, np.int64)
        self._lengths = np.full((LIMBS_KEPT, joints), np.nan, np.float32)
        self._lengths_taken = 0
        self._lengths_ns: int | None = None
        self._swapped_ns: int | None = None
        self.last: FloatArray = np.full((joints, 3), np.nan, np.float32)
        """(J, 3) last observed position of each joint, NaN = never observed."""
        self.limbs_m: FloatArray = np.full(joints, np.nan, np.float32)
        """(J,) usual length of the limb from each joint to its parent, NaN = unknown."""
        self.newest: FloatArray = self.last
        """(J, 3) positions in the newest frame with any joint; NaN for joints that this frame
        lacks."""

    def check(
        self,
        stamp_ns: int,
        positions: FloatArray,
        velocities: NDArray[np.floating] | None = None,
    ) -> Checked:
        """Return a frame (J, 3) in which joints with impossible positions are missing (NaN).

        Args:
            stamp_ns: stamp of the frame, newer than the stamp of any frame before.
            positions: positions of the joints, metres, NaN = missing (J, 3).
            velocities: recent velocities of the joints, m/s, NaN = unknown (J, 3).
        """
        rejected: Counter[str] = Counter()
        seen = np.logical_and.reduce(np.isfinite(positions), axis=-1)  # (J,)
        frame = np.where(seen[:, None], positions, np.float32(np.nan))
        way = np.linalg.norm(frame - self.last, axis=-1)  # (J,), NaN where there is none
        if self._is_swapped(stamp_ns, frame, way):
            if self._swapped_ns is None:
                self._swapped_ns = stamp_ns
            if stamp_ns - self._swapped_ns > SWAP_RECENT_NS:
                return Checked(frame, rejected, contradicts=True)
            rejected['left and right swapped'] += 1
            frame = frame[self._mirrored]
            way = np.linalg.norm(frame - self.last, axis=-1)
        else:
            self._swapped_ns = None
        elapsed_s = (stamp_ns - self._seen_ns) * 1e-9
        jumped = way > JOINT_M_PER_S * elapsed_s + JOINT_MARGIN_M
        if velocities is not None:
            going = self.last + velocities * elapsed_s[:, None]
            off = np.linalg.norm(frame - going, axis=-1)  # (J,), NaN where unknown
            jumped |= off > STRAY_M_PER_S * elapsed_s + STRAY_M
        if jumped.any():
            rejected['joint jumped'] += int(jumped.sum())
            frame[jumped] = np.nan
        lengths = np.linalg.norm(frame - frame[self._parents], axis=-1)
        wrong = self._wrong_ends(lengths)
        if wrong.any():
            rejected['limb of another length'] += int(wrong.sum())
            frame[wrong] = np.nan
        self._learn(stamp_ns, lengths)
        seen = ~np.isnan(frame[:, 0])
        if seen.any():
            self.newest = frame
            self.last = np.where(seen[:, None], frame, self.last)
            self._seen_ns[seen] = stamp_ns
        return Checked(frame, rejected)

    def move(self, way: NDArray[np.floating]) -> None:
        """Move all remembered positions by a vector (3,) in metres."""
        self.last = (self.last + way).astype(np.float32)
        self.newest = (self.newest + way).astype(np.float32)

    def _is_swapped(self, stamp_ns: int, frame: FloatArray, way: FloatArray) -> bool:
        """Whether a frame fits the earlier frames far better if left and right are exchanged.

        Args:
            stamp_ns: stamp of the frame.
            frame: positions of the joints, metres (J, 3).
            way: distance of each joint from its last position, metres, NaN = missing (J,).
        """
        if not (way > SWAP_M).any():
            return False
        fresh = self._paired & (stamp_ns - self._seen_ns <= SWAP_RECENT_NS)
        fresh &= ~np.isnan(frame[:, 0])
        fresh &= fresh[self._mirrored]
        count = int(fresh.sum())
        if count < 4:  # a single pair of a left and a right joint is not enough evidence
            return False
        straight = way[fresh].sum()
        crossed = np.linalg.norm(frame[self._mirrored[fresh]] - self.last[fresh], axis=-1).sum()
        return crossed < SWAP_SHARE * straight and straight - crossed > SWAP_M * count

    def _wrong_ends(self, lengths: FloatArray) -> NDArray[np.bool_]:
        """Return which joints to leave out so that all limbs have their usual lengths (J,).

        The joint at which the most limbs have unusual lengths is left out first. If two joints
        have the same number of such limbs, the joint farther from the root is left out first.
        """
        off = np.abs(lengths - self.limbs_m)
        bad = off > np.maximum(LIMB_SHARE * self.limbs_m, LIMB_MARGIN_M)  # (J,), False if unknown
        wrong = np.zeros(len(bad), np.bool_)
        while bad.any():
            votes = bad.astype(int) + np.bincount(self._parents[bad], minlength=len(bad))
            joint = len(votes) - 1 - int(np.argmax(votes[::-1]))
            wrong[joint] = True
            bad[joint] = False
            bad[self._parents == joint] = False
        return wrong

    def _learn(self, stamp_ns: int, lengths: FloatArray) -> None:
        """Update the usual limb lengths with the limb lengths of a frame (J,)."""
        if self._lengths_ns is not None and stamp_ns - self._lengths_ns < LIMB_EVERY_NS:
            return
        self._lengths_ns = stamp_ns
        self._lengths[self._lengths_taken % LIMBS_KEPT] = lengths
        self._lengths_taken += 1
        ordered = np.sort(self._lengths, axis=0)  # NaN last
        known = np.isfinite(ordered).sum(0)
        middle = ordered[np.maximum(known - 1, 0) // 2, np.arange(len(lengths))]
        self.limbs_m = np.where(known >= LIMBS_NEEDED, middle, np.float32(np.nan))
        self.limbs_m[0] = np.nan
