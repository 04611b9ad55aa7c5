"""Computes poses and sizes of the cylinders and balls that represent bodies."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor.planning.capsules import Capsules
from motion_predictor.planning.flesh import FleshError, Limbs
from motion_predictor.planning.outlook import Outlook

Array = NDArray[np.float32]
SLIM = 0.6
"""Factor for the radii of limbs that are drawn. The radii are those of the 95th percentile of men,
and a scene is easier to read with slimmer people."""
HAND_M = 0.045
"""Radius of a hand as it is drawn. For distances, the radius of a hand is its full length."""
STICK_M = 0.03
"""Radius of limbs if the layout has no known limbs."""


@dataclass(frozen=True)
class Placed:
    """Positions, rotations and sizes of N copies of a mesh of size 1."""

    positions: Array
    """positions of the copies, (N, 3), metres"""
    wxyzs: Array
    """rotations of the copies as quaternions w, x, y, z, (N, 4)"""
    scales: Array
    """sizes of the copies along the axes of the mesh, (N, 3), metres"""


def balls(centres: Array, radii: Array) -> Placed:
    """Return the poses and sizes of N balls at centres (N, 3) with radii (N,)."""
    wxyzs = np.zeros((len(centres), 4), np.float32)
    wxyzs[:, 0] = 1
    scales = np.repeat(radii[:, None], 3, axis=1)
    return Placed(centres.astype(np.float32), wxyzs, scales.astype(np.float32))


def cylinders(starts: Array, ends: Array, radii: Array) -> Placed:
    """Return the poses and sizes of N cylinders from starts (N, 3) to ends (N, 3)."""
    along = ends - starts
    length = np.linalg.norm(along, axis=1)
    x, y, z = (along / np.maximum(length, 1e-9)[:, None]).T
    # The shortest rotation from the z axis to a direction (x, y, z) is the quaternion (1 + z, -y,
    # x, 0).
    wxyzs = np.stack([1 + z, -y, x, np.zeros_like(x)], axis=1)
    down = z < -1 + 1e-6
    wxyzs[down] = (0, 1, 0, 0)
    wxyzs /= np.linalg.norm(wxyzs, axis=1, keepdims=True).clip(1e-9)
    scales = np.stack([radii, radii, length], axis=1)
    middle = (starts + ends) / 2
    return Placed(*(a.astype(np.float32) for a in (middle, wxyzs, scales)))


@dataclass(frozen=True)
class Shape:
    """The drawn limbs of a skeleton layout: each limb connects two joints and has a radius."""

    ends: NDArray[np.int64]
    """joint indices of both ends of each limb, (C, 2)"""
    radii: Array
    """radii of the limbs, (C,), metres"""

    @classmethod
    def of(cls, outlook: Outlook, flesh: bool) -> 'Shape':
        """Return the limbs to draw for the people in `outlook`.

        Args:
            outlook: predictions of the people, with their skeleton layout. If a layout has no
                known limbs, thin sticks are drawn.
            flesh: True for limbs as thick as in the computation of distances, False for slim
                limbs.
        """
        try:
            limbs = Limbs.for_outlook(outlook)
        except FleshError:
            ends = [(p, j) for j, p in enumerate(outlook.parents) if p >= 0]
            return cls(np.array(ends, np.int64), np.full(len(ends), STICK_M, np.float32))
        radii = limbs.radii.astype(np.float32)
        if not flesh:
            hand = np.array(['hand' in name for name in limbs.names])
            ball = limbs.ends[:, 0] == limbs.ends[:, 1]
            radii = np.where(hand & ball, HAND_M, SLIM * radii).astype(np.float32)
        return cls(limbs.ends, radii)

    def solids(self, poses: Array) -> tuple[Placed, Placed]:
        """Return the cylinders and balls of people's poses (P, J, 3)."""
        starts, ends = (poses[:, self.ends[:, side]].reshape(-1, 3) for side in (0, 1))
        return capsules(starts, ends, np.tile(self.radii, len(poses)))


def capsules(starts: Array, ends: Array, radii: Array) -> tuple[Placed, Placed]:
    """Return the cylinders and balls of N capsules from starts (N, 3) to ends (N, 3).

    Capsules with an unknown (NaN) start or end are left out.
    """
    known = np.isfinite(starts).all(axis=1) & np.isfinite(ends).all(axis=1)
    starts, ends, radii = starts[known], ends[known], radii[known]
    tops = balls(np.concatenate([starts, ends]), np.tile(radii, 2))
    return cylinders(starts, ends, radii), tops


def of_robot(robot: Capsules) -> tuple[Placed, Placed]:
    """Return the cylinders and balls of a robot's capsules."""
    parts = (np.asarray(part, np.float32) for part in (robot.starts, robot.ends, robot.radii))
    return capsules(*parts)
