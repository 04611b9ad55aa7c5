"""Which limbs may come near a robot: exact bounds on many distances at once.

Fifty samples, 120 frames, 22 limbs and 8 capsules make a million pairs of a limb and a capsule. A
body moves little from one frame to the next. So the frames are divided into short spans of time,
and one fat body stands for all poses of a sample in a span. In a fat body each joint is a ball
that contains all positions of this joint within the span, and the limbs are thicker by the radius
of these balls. The capsules of a moving robot are made fatter in the same way. The distance
between a fat body and a fat capsule is a lower bound of the true distance at every time of the
span.

For fat bodies, the distance of every joint from the axis of every capsule is computed in float32,
with an allowance for rounding. The distance of a limb from an axis is at least the mean distance
of the limb's two joints, minus half the length of the limb. No distance is below minus the sum of
the two radii, since a limb and a capsule cannot overlap by more. Exact distances, in float64, are
computed only for those pairs of limb and capsule that the lower bounds do not exclude.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor.planning.capsules import Capsules, segment_to_segment
from motion_predictor.planning.flesh import Bodies

SPANS = 16
"""Greatest number of spans into which the times are divided."""
ROUNDING = 1e-6
"""Allowance for rounding of squares in float32, relative to the largest square. The allowance is
several times the true error."""
Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """K pairs of a limb c and a capsule r, each in sample n at time t (or in span t)."""

    n: Indices
    t: Indices
    c: Indices
    r: Indices

    def __getitem__(self, chosen: NDArray[np.generic]) -> 'Pairs':
        """Return the pairs that `chosen` selects."""
        return Pairs(self.n[chosen], self.t[chosen], self.c[chosen], self.r[chosen])

    def __len__(self) -> int:
        """Return K, the number of pairs."""
        return len(self.n)


class Sweep:
    """Lower and upper bounds of the distances between bodies and a robot.

    The shapes of arrays use these letters: T times, B spans of time, N bodies, C limbs, J joints,
    and R capsules of the robot.

    Args:
        bodies: N futures of one person at T times.
        robot: capsules, either in one pose or in T poses, one for each time.
    """

    def __init__(self, bodies: Bodies, robot: Capsules) -> None:
        self.bodies, self.robot = bodies, robot
        times = bodies.joints.shape[1]
        self._starts, self._ends = robot.over(times)  # (T, R, 3)
        self._together = max(1, -(-times // SPANS))
        self._first: Indices = np.arange(0, times, self._together)  # (B,) first time of a span
        near = self._starts.reshape(-1, 3).mean(0)  # new origin: float32 is precise near 0
        self._thicken_robot(near)
        self._thicken_bodies(near)
        largest = max(float(np.abs(x).max(initial=0)) for x in (self._joints, self._axis))
        self.slack_m = np.float32(np.sqrt(ROUNDING * 3 * largest**2) + 1e-5)
        self._joints_m = self._from_axes()

    def _thicken_robot(self, near: NDArray[np.float64]) -> None:
        ends = np.stack([self._starts, self._ends], 2)  # (T, R, 2, 3)
        low, high = self._extremes(ends)
        self._axis = (low + high) / 2 - near  # (B, R, 2, 3)
        self._strayed = np.linalg.norm(high - low, axis=-1).max(-1) / 2  # (B, R)

    def _thicken_bodies(self, near: NDArray[np.float64]) -> None:
        low, high = self._extremes(self.bodies.joints.swapaxes(0, 1))  # (B, N, J, 3)
        self._joints = np.asarray((low + high) / 2 - near, np.float32)
        high -= low
        high *= high
        self._spread = (np.sqrt(high @ np.ones(3)) / 2).astype(np.float32)  # (B, N, J)
        self._thin, self._flesh = self._extremes(self.bodies.radii)  # (B, C)

    def _extremes(
        self, values: NDArray[np.floating]
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Return the least value and the largest value in each of B spans (B, ...)."""
        low, high = values[self._first], values[self._first]
        for after in range(1, self._together):  # this loop is far faster than np.ufunc.reduceat
            part = values[after :: self._together]
            for extreme, found in ((np.minimum, low), (np.maximum, high)):
                here = found[: len(part)]
                extreme(here, part, out=here)
        return low, high

    def _from_axes(self) -> Floats:
        """Return distances of the fat bodies' joints from the axes of capsules (B, R, N, J)."""
        spans, samples, joints, _ = self._joints.shape
        start, end = self._axis[:, :, 0], self._axis[:, :, 1]  # (B, R, 3)
        along = end - start
        length = np.linalg.norm(along, axis=-1)  # (B, R)
        unit = along / np.maximum(length, 1e-12)[..., None]
        # A joint p is a column (p, |p|^2, 1). The axis of a capsule, which starts at a, is two
        # rows. The first row times the column is the distance from a to p along the axis; the
        # second row times the column is |p - a|^2.
        rows = np.zeros((2, *length.shape, 5))
        rows[0, ..., :3], rows[0, ..., 4] = unit, -(start * unit).sum(-1)
        rows[1, ..., :3], rows[1, ..., 3], rows[1, ..., 4] = -2 * start, 1, (start**2).sum(-1)
        columns = np.ones((spans, 5, samples * joints), np.float32)
        columns[:, :3] = self._joints.reshape(spans, -1, 3).swapaxes(1, 2)
        np.einsum('bxk,bxk->bk', columns[:, :3], columns[:, :3], out=columns[:, 3])
        way, square = rows.astype(np.float32) @ columns  # (B, R, N * J)
        inside = np.minimum(np.maximum(way, 0), length.astype(np.float32)[..., None])
        way += way  # the squared distance is |p - a|^2 - s (2 way - s), where s is `inside`
        way -= inside
        way *= inside
        square -= way
        np.maximum(square, 0, out=square)
        np.sqrt(square, out=square)
        return square.reshape(spans, -1, samples, joints)

    def at_least(self) -> Floats:
        """Return, for every span, lower bounds of the distances of limbs from capsules.

        Shape: (B, R, N, C).
        """
        first, second = self.bodies.limbs.ends.T
        limb = self._joints[:, :, first] - self._joints[:, :, second]  # (B, N, C, 3)
        limb *= limb
        cover = np.sqrt(limb @ np.ones(3, np.float32)) / 2  # (B, N, C)
        cover += np.maximum(self._spread[..., first], self._spread[..., second])
        cover += (self._flesh + self.slack_m).astype(np.float32)[:, None]
        robot = (self.robot.radii + self._strayed).astype(np.float32)  # (B, R)
        least = self._joints_m[..., first]
        least += self._joints_m[..., second]
        least *= np.float32(0.5)
        least -= cover[:, None]
        least -= robot[:, :, None, None]
        thickest = self._flesh[:, None] + self.robot.radii[:, None]  # (B, R, C)
        np.maximum(least, -(thickest + self.slack_m).astype(np.float32)[:, :, None], out=least)
        return least

    def at_most(self) -> Floats:
        """Return upper bounds of the distance of each body from each capsule (B, R, N).

        Each upper bound is valid at all times of its span. The distance of a body from a capsule
        is the distance of the body's nearest limb.
        """
        thick = np.full((len(self._first), self._joints.shape[2]), -np.inf, np.float32)
        for c, joints in enumerate(self.bodies.limbs.ends):
            for j in joints:
                thick[:, j] = np.maximum(thick[:, j], self._thin[:, c])
        most = self._joints_m + (self._spread - thick[:, None])[:, None]  # (B, R, N, J)
        robot = (self._strayed - self.robot.radii + self.slack_m).astype(np.float32)
        return np.asarray(most.min(-1) + robot[:, :, None], np.float32)

    def pairs(self, flat: Indices) -> Pairs:
        """Return the pairs at indices of the flattened `at_least`; t is the number of a span."""
        shape = (*self._joints_m.shape[:3], len(self.bodies.limbs.names))
        t, r, n, c = np.unravel_index(flat, shape)
        return Pairs(n, t, c, r)

    def closer(self, pairs: Pairs) -> Floats:
        """Return lower bounds of distances (K,), tighter than `at_least`, for pairs of a span."""
        first, second = self.bodies.limbs.ends[pairs.c].T
        a, b = (self._joints[pairs.t, pairs.n, j] for j in (first, second))
        axis = self._axis[pairs.t, pairs.r].astype(np.float32)
        stray = np.maximum(*(self._spread[pairs.t, pairs.n, j] for j in (first, second)))
        thick = self._flesh[pairs.t, pairs.c] + self.robot.radii[pairs.r] + self.slack_m
        thick += stray + self._strayed[pairs.t, pairs.r]
        apart = segment_to_segment(a, b, axis[:, 0], axis[:, 1])
        return np.asarray(apart - thick, np.float32)

    def over_times(self, spans: Pairs) -> Pairs:
        """Turn pairs whose t is the number of a span into pairs whose t is the number of a time.

        Each given pair becomes one pair for every time of its span.
        If the last span is shorter than the others, the last time is repeated.
        """
        times = self._first[spans.t][:, None] + np.arange(self._together)
        n, c, r = (np.repeat(x, self._together) for x in (spans.n, spans.c, spans.r))
        return Pairs(n, np.minimum(times, self.bodies.joints.shape[1] - 1).ravel(), c, r)

    def measure(self, pairs: Pairs) -> NDArray[np.float64]:
        """Return the distance (K,) between limb and capsule of each pair, surface to surface.

        A negative distance means that limb and capsule overlap.
        """
        joints = self.bodies.joints
        first, second = self.bodies.limbs.ends[pairs.c].T
        a = joints[pairs.n, pairs.t, first].astype(np.float64)
        b = joints[pairs.n, pairs.t, second].astype(np.float64)
        start, end = self._starts[pairs.t, pairs.r], self._ends[pairs.t, pairs.r]
        axes = segment_to_segment(a, b, start, end)
        return axes - self.bodies.radii[pairs.t, pairs.c] - self.robot.radii[pairs.r]

    def of_spans(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Expand one value per span (B,) to one value per time (T,)."""
        spans = np.arange(self.bodies.joints.shape[1]) // self._together
        return np.asarray(values[spans], np.float64)

    def most_in_spans(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the largest value in each span (B,), given one value per time (T,)."""
        return np.asarray(np.maximum.reduceat(values, self._first), np.float64)
