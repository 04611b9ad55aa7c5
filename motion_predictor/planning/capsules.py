"""Capsules, and the exact distance between segments."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion_predictor.common.rigid import Rigid

Array = NDArray[np.float64]
Some = TypeVar('Some', np.float32, np.float64)
TINY = 1e-30
"""Smallest divisor (squared length or area), against division by zero; representable in
float32."""


@dataclass(frozen=True)
class Capsules:
    """R capsules of a robot, in one pose or in T poses.

    A ball is a capsule whose start and end are the same point.
    """

    starts: Array
    """(R, 3) or (T, R, 3) starts of the axes, metres"""
    ends: Array
    """(R, 3) or (T, R, 3) ends of the axes, metres, the same shape as `starts`"""
    radii: Array
    """(R,) radii of the capsules, metres"""

    @classmethod
    def of(cls, starts: ArrayLike, ends: ArrayLike, radii: ArrayLike) -> 'Capsules':
        """Check the numbers and return them as capsules.

        Raises:
            ValueError: if the shapes do not fit, a number is not finite, or a radius is negative.
        """
        a, b = np.asarray(starts, np.float64), np.asarray(ends, np.float64)
        r = np.asarray(radii, np.float64)
        if a.shape != b.shape or a.ndim not in (2, 3) or a.shape[-2:] != (*r.shape, 3):
            raise ValueError(
                'capsules need ends (R, 3) or (T, R, 3) and radii (R,), got '
                f'{a.shape}, {b.shape} and {r.shape}'
            )
        if not (np.isfinite(a).all() and np.isfinite(b).all() and (r >= 0).all()):
            raise ValueError('capsules need finite ends and radii of 0 or more')
        return cls(a, b, r)

    def moved(self, transform: Rigid) -> 'Capsules':
        """Return the capsules in another coordinate frame."""
        return Capsules.of(transform(self.starts), transform(self.ends), self.radii)

    def over(self, times: int) -> tuple[Array, Array]:
        """Return the starts and the ends of the capsules at T times (T, R, 3).

        Args:
            times: T, the number of times.

        Raises:
            ValueError: if the capsules are given in several poses, but not in T poses.
        """
        shape = (times, *self.starts.shape[-2:])
        if self.starts.ndim == 3 and len(self.starts) != times:
            raise ValueError(
                f'the robot is given at {len(self.starts)} times, but the people at {times}'
            )
        return np.broadcast_to(self.starts, shape), np.broadcast_to(self.ends, shape)


def point_to_segment(
    points: NDArray[Some], starts: NDArray[Some], ends: NDArray[Some]
) -> NDArray[Some]:
    """Return the squared distance of point k from segment k, for each of K pairs (K,).

    Points, starts and ends of the segments have shape (K, 3).
    """
    along, away = ends - starts, points - starts
    length = np.einsum('kx,kx->k', along, along)
    share = np.einsum('kx,kx->k', away, along) / np.maximum(length, TINY)
    away -= share.clip(0, 1)[:, None] * along
    return np.einsum('kx,kx->k', away, away)


def segment_to_segment(
    a: NDArray[Some], b: NDArray[Some], c: NDArray[Some], d: NDArray[Some]
) -> NDArray[Some]:
    """Return the distances in metres of segments a-b from segments c-d (K,).

    The ends a, b, c and d have shape (K, 3). For each pair of segments, five distances are
    computed, and the result is the least of them. Four are the distances of the four ends from the
    other segment. For the fifth, the points are found at which the two straight lines are nearest;
    points outside the segments are moved to the ends. Each of these five distances is a distance
    between points of the segments. So the computed distance is never too small, even if rounding
    affects nearly parallel segments.
    """
    u, v, w = b - a, d - c, a - c
    uu, uv, vv = (np.einsum('kx,kx->k', x, y) for x, y in ((u, u), (u, v), (v, v)))
    uw, vw = np.einsum('kx,kx->k', u, w), np.einsum('kx,kx->k', v, w)
    area = np.maximum(uu * vv - uv * uv, TINY)
    s = ((uv * vw - vv * uw) / area).clip(0, 1)
    t = ((uu * vw - uv * uw) / area).clip(0, 1)
    between = w + s[:, None] * u - t[:, None] * v
    nearest = np.einsum('kx,kx->k', between, between)
    for point, start, end in ((a, c, d), (b, c, d), (c, a, b), (d, a, b)):
        np.minimum(nearest, point_to_segment(point, start, end), out=nearest)
    return np.sqrt(nearest)
