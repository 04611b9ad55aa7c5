"""The shape of a body, and a guess of the positions of hidden joints."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motion_predictor.skeleton import Layout

Floats = NDArray[np.floating]
ALL = slice(None)

STANDING = {  # joint: x forward, y left, z up from the pelvis in metres; error (see below)
    'spine1': (0.005, 0, 0.092, 0.3),
    'spine2': (0.013, 0, 0.208, 0.3),
    'spine3': (0.007, 0, 0.340, 0.3),
    'neck': (0.001, 0, 0.428, 0.4),
    'head': (0.027, 0, 0.494, 0.5),
    'nose': (0.12, 0, 0.53, 0.5),
    'head_top': (0.03, 0, 0.64, 0.5),
    'l_collar': (-0.025, 0.027, 0.400, 0.5),
    'l_shoulder': (-0.013, 0.114, 0.380, 0.5),
    'l_elbow': (-0.013, 0.160, 0.123, 1.3),
    'l_wrist': (0.187, 0.128, 0.001, 1.5),
    'l_hip': (-0.014, 0.088, -0.086, 0.3),
    'l_knee': (0.086, 0.105, -0.440, 0.8),
    'l_ankle': (-0.064, 0.090, -0.868, 0.6),
    'l_foot': (0.043, 0.120, -0.913, 0.8),
}
"""Guessed positions of joints that were never seen: a person who stands with hanging arms. The
positions are medians over 28 minutes of recorded motion. The right side mirrors the left. The last
number is the error of the guess as a share of the limb's length. 90 % of the recorded poses had
smaller errors."""
SMALLEST = 0.4
"""Smallest accepted size of a person (a toddler), as a multiple of the size in `Body`."""
UNKNOWN_DOUBT_M = 0.3
"""Error of a joint that STANDING lacks, when the position of its parent is used instead."""
HELD_PER_S, HELD_AT_MOST = 3.3, 1.2
"""Error of the offset between a joint that is no longer seen and its parent: growth per second,
and limit. Both are shares of the limb's length. In the same recorded motion, 90 % of the offsets
changed less within 0.1, 0.2, 0.3 and 0.5 s."""
ROOT_M_PER_S = 1.1
"""Growth per second of the error of a root that is no longer seen. 90 % of the recorded roots were
slower."""


class Filled(NamedTuple):
    """The frames of a person after all gaps were filled."""

    frames: Floats
    """(T, J, 3) metres, without gaps."""
    doubt_m: Floats
    """(J,) possible error of each joint in the newest frame, metres; 0 for observed joints."""


class Body:
    """The limbs of a layout, and the proportions of a person who stands.

    Args:
        layout: layout (names and parents) of the joints.
    """

    parents: NDArray[np.int64]
    """(J,) index of the parent of each joint; -1 for the root."""
    mirrored: NDArray[np.int64]
    """(J,) index of the same joint on the other side."""
    lengths: Floats
    """(J,) metres from each joint to its parent in a person who stands; 0 for the root."""
    directions: Floats
    """(J, 3) unit vectors from the parent to the joint in a person who stands. x is forward, y
    left, z up."""
    levels: list[NDArray[np.int64]]
    """Joints, grouped by the number of limbs between them and the root, from 1 on."""
    sides: list[tuple[int, int]]
    """Pairs of a left and a right joint that give the heading, the best pair first."""
    neck: int | None
    """The neck, or the joint nearest to it; None if there is neither."""
    hips: tuple[int, int] | None
    """The left and the right hip."""
    feet: list[tuple[int, int]]
    """Ankle and foot of each side."""

    def __init__(self, layout: Layout) -> None:
        self.parents = np.array(layout.parents)
        self.mirrored = np.array(layout.mirrored)
        names = [layout.common_name(joint) for joint in layout.joints]
        table = np.array([_standing(name) for name in names])  # (J, 4)
        unknown = np.isnan(table[:, 0])
        for joint in np.flatnonzero(unknown):  # a layout lists parents before their children
            table[joint, :3] = table[self.parents[joint], :3] if joint else 0
        self._places = table[:, :3] - table[0, :3]
        offsets = table[:, :3] - table[self.parents, :3]
        offsets[0] = 0
        self.lengths = np.linalg.norm(offsets, axis=-1)  # (J,)
        self.directions = offsets / np.maximum(self.lengths, 1e-9)[:, None]
        self._strays = np.where(unknown, 0, table[:, 3])
        self._unknown_m = np.where(unknown, UNKNOWN_DOUBT_M, 0.0)
        self._depth = np.zeros(len(names), int)
        for joint in range(1, len(names)):
            self._depth[joint] = self._depth[self.parents[joint]] + 1
        self.levels = [np.flatnonzero(self._depth == d) for d in range(1, self._depth.max() + 1)]
        sides = [(layout.index(f'l_{part}'), layout.index(f'r_{part}')) for part in _HEADING]
        self.sides = [(a, b) for a, b in sides if a is not None and b is not None]
        self.neck = layout.neck
        self.hips = layout.hips
        feet = [(layout.index(f'{s}_ankle'), layout.index(f'{s}_foot')) for s in 'lr']
        self.feet = [(a, b) for a, b in feet if a is not None and b is not None]

    def reach_m(self, limbs_m: Floats) -> float:
        """Return the greatest distance of any joint from the root with straight limbs, metres.

        A limb shorter than a toddler's limb is a fault of the source, and counts as a toddler's.

        Args:
            limbs_m: length of the limb from each joint to its parent, NaN where unknown (J,).
        """
        way_m = np.maximum(self._own_lengths(limbs_m), SMALLEST * self.lengths)
        way_m[0] = 0
        for level in self.levels:
            way_m[level] += way_m[self.parents[level]]
        return float(way_m.max())

    def fill(
        self,
        frames: Floats,
        seen: NDArray[np.bool_],
        stamps_ns: NDArray[np.int64],
        limbs_m: Floats,
    ) -> Filled | None:
        """Guess the positions of joints that were not seen.

        If a joint was seen in some frames, its offset from its parent is interpolated between
        these frames. A joint that was never seen has the same direction from its parent as in a
        person who stands. The limb gets its measured length, or the length of the same limb on the
        other side, or the usual length for the person's size. A missing root is placed by means of
        the nearest seen joints, for instance the hips.

        Args:
            frames: positions of the joints, metres, z up (T, J, 3).
            seen: whether each joint was observed (T, J).
            stamps_ns: stamps of the frames, ascending (T,).
            limbs_m: length of the limb from each joint to its parent, NaN where unknown (J,).

        Returns:
            The filled frames, or None if no joint was seen in any frame.
        """
        ever = np.logical_or.reduce(seen)  # (J,)
        if not ever.any():
            return None
        lengths = self._own_lengths(limbs_m)
        filled = np.where(seen[..., None], frames, np.nan)
        forward = None if ever.all() else self._forward(frames, seen, stamps_ns)
        root_doubt_m = self._place_root(filled, seen, stamps_ns, lengths, forward)
        last_s = (stamps_ns[-1] - stamps_ns[_last_seen(seen)]) * 1e-9
        strays = np.where(ever, np.minimum(HELD_PER_S * last_s, HELD_AT_MOST), self._strays)
        own_m = np.where(ever, strays * lengths, np.maximum(strays * lengths, self._unknown_m))
        some_missing = ~np.logical_and.reduce(seen)
        doubt_m = np.zeros(len(ever))
        doubt_m[0] = root_doubt_m
        gaps = Gaps.of(seen, stamps_ns)
        for level in self.levels:
            joints = level[some_missing[level]]
            if not len(joints):
                continue
            parents = self.parents[joints]
            offsets = gaps.fill(filled[:, joints] - filled[:, parents], joints)  # (T, n, 3)
            if forward is not None:
                never = ~ever[joints]
                standing = self.directions[joints[never]] * lengths[joints[never], None]
                offsets[:, never] = _turn(standing, forward)
            place = filled[:, parents] + offsets
            filled[:, joints] = np.where(seen[:, joints, None], filled[:, joints], place)
            off_m = np.hypot(doubt_m[parents], own_m[joints])
            doubt_m[joints] = np.where(seen[-1, joints], 0, off_m)
        return Filled(filled, doubt_m)

    def _own_lengths(self, limbs_m: Floats) -> Floats:
        """Return limb lengths (J,): measured, else of the other side, else usual for the size."""
        known = np.isfinite(limbs_m) & (self.lengths > 0)
        scale = limbs_m[known].sum() / self.lengths[known].sum() if known.any() else 1.0
        other = limbs_m[self.mirrored]
        lengths = np.where(np.isfinite(other), other, scale * self.lengths)
        return np.where(np.isfinite(limbs_m), limbs_m, lengths)

    def _forward(
        self, frames: Floats, seen: NDArray[np.bool_], stamps_ns: NDArray[np.int64]
    ) -> Floats:
        """Return horizontal unit vectors (T, 2) of the heading; +x if the heading is unknown."""
        for left, right in self.sides:
            both = seen[:, [left]] & seen[:, [right]]
            if both.any():
                across = frames[:, [left]] - frames[:, [right]]  # (T, 1, 3)
                x, y, _ = Gaps.of(both, stamps_ns).fill(across)[:, 0].T
                forward = np.stack([y, -x], axis=-1)
                length = np.linalg.norm(forward, axis=-1, keepdims=True)
                return forward / np.maximum(length, 1e-6)
        return np.broadcast_to([1.0, 0.0], (len(frames), 2))

    def _place_root(
        self,
        filled: Floats,
        seen: NDArray[np.bool_],
        stamps_ns: NDArray[np.int64],
        lengths: Floats,
        forward: Floats | None,
    ) -> float:
        """Fill the root in `filled`. Return how far off it may be in the newest frame, metres."""
        if seen[:, 0].all():
            return 0.0
        ever = np.logical_or.reduce(seen)  # (J,)
        known = seen[:, 0].copy()  # (T,)
        reach_m = 0.0
        for level in self.levels:  # joints nearest to the root are most exact
            if known.all():
                break
            others = level[ever[level]]
            if ever[0]:  # only joints seen together with the root have a known offset from it
                both = seen[:, others] & seen[:, :1]
                others, both = others[both.any(0)], both[:, both.any(0)]
                beside = Gaps.of(both, stamps_ns).fill(filled[:, others] - filled[:, :1])
            else:
                scale = lengths.sum() / max(self.lengths.sum(), 1e-9)
                assert forward is not None  # the caller gives it if a joint was never seen
                beside = _turn(scale * self._places[others], forward)
            told = seen[:, others] & ~known[:, None]  # (T, n)
            count = told.sum(1)
            places = np.where(told[..., None], filled[:, others] - beside, 0).sum(1)  # (T, 3)
            filled[count > 0, 0] = places[count > 0] / count[count > 0, None]
            if count[-1]:
                reach_m = float(np.linalg.norm(beside[-1, told[-1]], axis=-1).mean())
            known |= count > 0
        filled[:, :1] = Gaps.of(known[:, None], stamps_ns).fill(filled[:, :1])
        lost_ns = stamps_ns[-1] - stamps_ns[_last_seen(known[:, None])[0]]
        return reach_m * STANDING['l_hip'][3] + ROOT_M_PER_S * float(lost_ns) * 1e-9


_HEADING = ('hip', 'shoulder', 'collar', 'ear', 'eye')


def _standing(name: str) -> tuple[float, float, float, float]:
    """Return the row of STANDING for a joint; NaN if STANDING lacks the name of the joint."""
    if name == 'pelvis':
        return 0, 0, 0, 0
    x, y, z, stray = STANDING.get(name.replace('r_', 'l_', 1), (np.nan,) * 4)
    return x, -y if name.startswith('r_') else y, z, stray


def _turn(offsets: Floats, forward: Floats) -> Floats:
    """Turn offsets (n, 3), whose x is forward, to each of the headings (T, 2): (T, n, 3)."""
    cosine, sine = forward[:, None, 0], forward[:, None, 1]  # (T, 1)
    x, y, z = offsets.T
    return np.stack(
        [cosine * x - sine * y, sine * x + cosine * y, np.broadcast_to(z, (len(forward), len(z)))],
        -1,
    )


def _last_seen(seen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the index (J,) of the newest frame in which each joint was seen, from seen (T, J).

    For a joint that was never seen, the index is that of the last frame.
    """
    return len(seen) - 1 - np.argmax(seen[::-1], axis=0)


class Gaps(NamedTuple):
    """For each frame and joint, the two frames to interpolate between (T, n).

    At a share of 0 the position in frame `first` is used, at a share of 1 that in frame `last`.
    Before a joint's first frame, both are that frame. After its last frame, both are the last.
    If a joint was never seen, `first` and `last` have no meaning for this joint.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    share: NDArray[np.float64]

    @classmethod
    def of(cls, seen: NDArray[np.bool_], stamps_ns: NDArray[np.int64]) -> 'Gaps':
        """Find the nearest frames that have a joint, before and after each frame.

        Args:
            seen: whether each joint was seen (T, n).
            stamps_ns: stamps of the frames, ascending (T,).
        """
        count = len(stamps_ns)
        index = np.arange(count)[:, None]
        first = np.maximum.accumulate(np.where(seen, index, -1), axis=0)
        last = np.minimum.accumulate(np.where(seen, index, count)[::-1], axis=0)[::-1]
        first, last = np.where(first < 0, last, first), np.where(last >= count, first, last)
        first, last = first.clip(0, count - 1), last.clip(0, count - 1)
        span = np.maximum(stamps_ns[last] - stamps_ns[first], 1)
        return cls(first, last, ((stamps_ns[:, None] - stamps_ns[first]) / span).clip(0, 1))

    def fill(self, values: Floats, joints: NDArray[np.int64] | slice = ALL) -> Floats:
        """Return values of joints (T, n, 3), interpolated in time where a joint was not seen."""
        column = np.arange(values.shape[1])
        share = self.share[:, joints, None]
        first, last = self.first[:, joints], self.last[:, joints]
        return values[first, column] * (1 - share) + values[last, column] * share
