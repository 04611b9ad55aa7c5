"""Which limbs may come near a robot: exact bounds on many distances at once.

Fifty samples, 120 frames, 22 limbs and 8 capsules make a million pairs of segments. Most pairs are
excluded by bounds, in float32, with an allowance for rounding:

- a pose lies in a ball around one of its joints, the hub; most poses are too far away as a whole;
- if some limb overlaps a capsule deeply, thin limbs cannot overlap more: an overlap is at most the
  sum of both radii;
- for the rest, the distance of every joint from the axis of every capsule is computed. A limb is
  at most as far away as its joints. It is at least as far away as the mean of its ends minus half
  its length.

Only limbs that these bounds leave in question are measured, in float64.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from motion_predictor.planning.capsules import Capsules, segment_to_segment
from motion_predictor.planning.flesh import Bodies

ROUNDING = 1e-6
"""Allowance for rounding of squares in float32, as a share of the largest; several times the
true error."""
AT_ONCE, BLOCK = 4096, 256
"""Number of poses that are processed together, so that they stay in the cache."""
Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """K pairs of a limb and a capsule: in sample n at time t, limb c and capsule r."""

    n: Indices
    t: Indices
    c: Indices
    r: Indices
    least: NDArray[np.floating]
    """(K,) metres, lower bound of their distance"""

    def __getitem__(self, chosen: NDArray[np.generic] | slice) -> 'Pairs':
        """Return some of them."""
        n, t, c, r = (x[chosen] for x in (self.n, self.t, self.c, self.r))
        return Pairs(n, t, c, r, self.least[chosen])

    @classmethod
    def all_of(cls, parts: Sequence['Pairs']) -> 'Pairs':
        """Return all that are in any of them."""
        nothing = np.empty(0, np.int64)
        none = cls(nothing, nothing, nothing, nothing, np.empty(0, np.float32))
        parts = [none, *parts]
        n, t, c, r = (np.concatenate([getattr(p, name) for p in parts]) for name in 'ntcr')
        return cls(n, t, c, r, np.concatenate([p.least for p in parts]))

    def __len__(self) -> int:
        """Return how many they are."""
        return len(self.n)


class Sweep:
    """Bounds of the distances between bodies and a robot.

    Args:
        bodies: N versions of a person at T times.
        robot: still, or at the same times.
    """

    def __init__(self, bodies: Bodies, robot: Capsules) -> None:
        self.bodies, self.robot = bodies, robot
        self.starts, self.ends = robot.over(bodies.joints.shape[1])  # (T, R, 3)
        self.near = self.starts.reshape(-1, 3).mean(0)
        # From there, about which float32 is precise.
        self._joints = np.asarray(bodies.joints - self.near, np.float32)
        self._used: Indices = np.arange(self._joints.shape[2])
        starts = self.starts - self.near
        along = self.ends - self.starts
        length = np.linalg.norm(along, axis=-1)  # (T, R)
        unit = along / np.maximum(length, 1e-12)[..., None]
        # In (p, |p|^2, 1), with a the start: the way along the axis, and |p - a|^2.
        rows = np.zeros((*length.shape, 2, 5))
        rows[..., 0, :3], rows[..., 0, 4] = unit, -(starts * unit).sum(-1)
        rows[..., 1, :3], rows[..., 1, 3], rows[..., 1, 4] = -2 * starts, 1, (starts**2).sum(-1)
        self._rows = np.moveaxis(rows, 2, 1).astype(np.float32)  # (T, 2, R, 5)
        self._length = length.astype(np.float32)
        self.capsule_m = robot.radii.astype(np.float32)
        self._look_at(np.arange(len(bodies.limbs.names)))
        robot_m = max(np.abs(x - self.near).max(initial=0) for x in (self.starts, self.ends))
        joints_m = max(self._joints.max(initial=0), -self._joints.min(initial=0))
        largest = 3 * max(float(joints_m), float(robot_m)) ** 2
        self.slack_m = np.float32(np.sqrt(ROUNDING * largest) + 1e-5)

    def _look_at(self, limbs: Indices) -> None:
        """Use only some of the limbs, and the joints at their ends."""
        used, ends = np.unique(self.bodies.limbs.ends[limbs], return_inverse=True)
        if len(used) < self._joints.shape[2]:
            self._joints = self._joints[:, :, np.searchsorted(self._used, used)]
        self._used = used
        self.limbs, self.ends_of_limbs = limbs, ends.reshape(-1, 2)
        self.radii = self.bodies.radii[:, limbs].astype(np.float32)  # (T, C)
        self.thickest = np.full((len(self.radii), len(used)), -np.inf, np.float32)
        for c, joints in enumerate(self.ends_of_limbs):
            for j in joints:
                self.thickest[:, j] = np.maximum(self.thickest[:, j], self.radii[:, c])

    def narrow(self, limit: float) -> None:
        """Drop the limbs whose distance cannot be below a limit at any time."""
        deepest = self.radii.max(0) + self.capsule_m.max() + self.slack_m
        keep = self.limbs[-deepest <= limit]
        if 0 < len(keep) < len(self.limbs):
            self._look_at(keep)

    def _hub(self) -> tuple[int, Floats]:
        """Return the joint that is most central, and its distances (T, R, N)."""
        first = self._joints[0, 0]
        hub = int(np.linalg.norm(first[:, None] - first, axis=-1).max(0).argmin())
        p = self._joints[:, :, hub].transpose(1, 2, 0)  # (T, 3, N)
        columns = np.ones((len(p), 5, p.shape[2]), np.float32)
        columns[:, :3] = p
        np.einsum('txn,txn->tn', p, p, out=columns[:, 3])
        along, square = np.moveaxis(self._rows @ columns[:, None], 1, 0)  # (T, R, N)
        axes = distance_along(along, square, self._length[..., None])
        return hub, axes - self.capsule_m[:, None]

    def promising(self) -> Indices:
        """Return the sample (T,) at each time that looks nearest to the robot."""
        return self._hub()[1].min(1).argmin(1)

    def poses_at_least(self) -> Floats:
        """Return a lower bound of the distance of poses (T, N) from the robot.

        It is that of the ball around the hub that holds all joints with their flesh.
        """
        hub, apart_m = self._hub()
        away = self._joints - self._joints[:, :, hub : hub + 1]
        np.multiply(away, away, out=away)
        distance = np.sqrt(away.reshape(-1, 3) @ np.ones(3, away.dtype)).reshape(away.shape[:3])
        distance += self.thickest
        return np.asarray(apart_m.min(1) - distance.max(-1).T - self.slack_m, np.float32)

    def looks(self, wanted: NDArray[np.bool_]) -> Iterator['Look']:
        """Compute closer bounds of poses (T, N), some at a time."""
        t, n = np.nonzero(wanted)
        for start in range(0, len(t), AT_ONCE):
            yield self.look(t[start : start + AT_ONCE], n[start : start + AT_ONCE])

    def look(self, t: Indices, n: Indices) -> 'Look':
        """Compute closer bounds of K poses, each a sample n at a time t, ordered by time."""
        joints = self._joints[n, t]  # (K, J, 3)
        return Look(self, t, n, np.ascontiguousarray(joints.transpose(2, 1, 0)))

    def axes(self, p: Floats, t: Indices) -> Floats:
        """Return the distance (R, J, K) of joints p (3, J, K) from the axes of the capsules."""
        _, joints, count = p.shape
        found = np.empty((self._length.shape[1], joints, count), np.float32)
        for block in self._blocks(t):
            part = p[:, :, block].reshape(3, -1)
            columns = np.ones((5, part.shape[1]), np.float32)
            columns[:3] = part
            np.einsum('xk,xk->k', part, part, out=columns[3])
            when = t[block.start]
            along, square = np.split(self._rows[when].reshape(-1, 5) @ columns, 2)
            distance = distance_along(along, square, self._length[when][:, None])
            found[:, :, block] = distance.reshape(len(found), joints, -1)
        return found

    def _blocks(self, t: Indices) -> list[slice]:
        """Divide poses into runs for which the robot is in one place."""
        if self.robot.starts.ndim == 2:
            starts: NDArray[np.signedinteger] = np.arange(0, len(t), BLOCK)
        else:
            starts = np.flatnonzero(np.diff(t, prepend=-1))
        edges = [*starts.tolist(), len(t)]
        return [slice(start, end) for start, end in pairwise(edges)]

    def measure(self, pairs: Pairs) -> NDArray[np.float64]:
        """Return the distance (K,) of the surfaces of pairs; negative where they overlap."""
        joints = self.bodies.joints
        first, second = self.bodies.limbs.ends[pairs.c].T
        a = joints[pairs.n, pairs.t, first].astype(np.float64)
        b = joints[pairs.n, pairs.t, second].astype(np.float64)
        axes = segment_to_segment(a, b, self.starts[pairs.t, pairs.r], self.ends[pairs.t, pairs.r])
        return axes - self.bodies.radii[pairs.t, pairs.c] - self.robot.radii[pairs.r]


def distance_along(along: Floats, square: Floats, length: Floats) -> Floats:
    """Return distances from segments. The arrays that are given are overwritten.

    Args:
        along: s, how far along the axis from its start.
        square: |p - a|^2 from the start; with t, s within the segment, t (2 s - t) is too much.
        length: of the segments.
    """
    inside = np.minimum(np.maximum(along, 0), length)
    along += along
    along -= inside
    along *= inside
    square -= along
    np.maximum(square, 0, out=square)
    return np.sqrt(square, out=square)


class Look:
    """K poses, and the distance of their joints from the axes of the robot's capsules.

    Args:
        sweep: of which they are a part.
        t: (K,) their times, ascending.
        n: (K,) their samples.
        p: (3, J, K) their joints.
    """

    def __init__(self, sweep: Sweep, t: Indices, n: Indices, p: Floats) -> None:
        self.t, self.n = t, n
        self._sweep = sweep
        self._axis_m = sweep.axes(p, t)  # (R, J, K)
        self._limbs = sweep.ends_of_limbs
        limb = p[:, self._limbs[:, 0]] - p[:, self._limbs[:, 1]]
        limb *= limb
        half = np.sqrt(limb.sum(0)) * np.float32(0.5)
        self._reach = half + sweep.radii[t].T  # (C, K)

    def at_most(self) -> Floats:
        """Return an upper bound of the distance of poses from capsules (R, K)."""
        thickest = np.ascontiguousarray(self._sweep.thickest[self.t].T)  # (J, K)
        most = np.empty((len(self._axis_m), len(self.t)), np.float32)
        for r, axis in enumerate(self._axis_m):
            np.min(axis - thickest, axis=0, out=most[r])
        return most - (self._sweep.capsule_m - self._sweep.slack_m)[:, None]

    def in_question(self, limit: NDArray[np.floating]) -> Pairs:
        """Return the pairs whose distance may be below a limit, which broadcasts to (R, K)."""
        robot = (self._sweep.capsule_m + self._sweep.slack_m)[:, None]
        ceiling = (limit + robot).astype(np.float32)  # (R, K)
        found = []
        for j in range(self._axis_m.shape[1]):
            at = np.flatnonzero((self._limbs == j).any(1))
            if not at.size:
                continue
            farthest = self._reach[at].max(0)
            r, k = np.nonzero(self._axis_m[:, j] - farthest <= ceiling)
            if not k.size:
                continue
            here = self._axis_m[r, j, k]
            for c in at:
                first, second = self._limbs[c]
                other = self._axis_m[r, second if j == first else first, k]
                # Each limb is found from its nearer end; of two equal ends, from the first.
                mine = (here < other) | ((here == other) & (j == first))
                least = (here + other) * np.float32(0.5) - self._reach[c, k]
                keep = np.flatnonzero(mine & (least <= ceiling[r, k]))
                at_k, at_r = k[keep], r[keep]
                limbs = np.full(len(keep), self._sweep.limbs[c])
                least = least[keep] - robot[at_r, 0]
                found.append(Pairs(self.n[at_k], self.t[at_k], limbs, at_r, least))
        return Pairs.all_of(found)
