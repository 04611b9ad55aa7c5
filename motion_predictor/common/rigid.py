"""Rigid transforms, which convert positions from one frame to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Rigid:
    """A rotation and a translation, which convert positions from one frame to another."""

    rotation: NDArray[np.float64]
    """Rotation matrix (3, 3)."""
    translation: NDArray[np.float64]
    """Translation (3,), metres."""

    @classmethod
    def identity(cls) -> 'Rigid':
        """Return the transform that changes nothing."""
        return cls(np.eye(3), np.zeros(3))

    @classmethod
    def of_pose(cls, numbers: Sequence[float]) -> 'Rigid':
        """Return the transform with translation x, y, z (metres) and quaternion x, y, z, w.

        Raises:
            ValueError: if `numbers` are not seven finite numbers, or if the length of the
                quaternion is not 1.
        """
        values = np.asarray(numbers, np.float64)
        if values.shape != (7,) or not np.isfinite(values).all():
            raise ValueError(f'a transform must be x, y, z, qx, qy, qz, qw, got {list(numbers)}')
        length = float(np.linalg.norm(values[3:]))
        if not abs(length - 1) <= UNIT_TOLERANCE:
            raise ValueError(
                f'a rotation needs a quaternion of length 1, got {list(numbers[3:])} of '
                f'length {length:.4g}'
            )
        x, y, z, w = values[3:] / length
        rotation = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )
        return cls(rotation, values[:3])

    @classmethod
    def of_message(cls, transform: Any) -> 'Rigid':
        """Return the transform that a geometry_msgs/Transform describes, for example from tf2."""
        p, q = transform.translation, transform.rotation
        return cls.of_pose([p.x, p.y, p.z, q.x, q.y, q.z, q.w])

    @classmethod
    def of_matrix(cls, matrix: ArrayLike) -> 'Rigid':
        """Return the transform that a homogeneous matrix (4, 4) describes.

        Raises:
            ValueError: if the matrix has another shape, or if its rotation is not orthonormal.
        """
        values = np.asarray(matrix, np.float64)
        if values.shape != (4, 4) or not np.allclose(
            values[:3, :3] @ values[:3, :3].T, np.eye(3), atol=UNIT_TOLERANCE
        ):
            raise ValueError(
                'a rigid transform must be a matrix (4, 4) whose rotation is orthonormal'
            )
        return cls(values[:3, :3], values[:3, 3])

    @property
    def inverse(self) -> 'Rigid':
        """The inverse of this transform."""
        return Rigid(self.rotation.T, -self.rotation.T @ self.translation)

    def __matmul__(self, first: 'Rigid') -> 'Rigid':
        """Return the transform that applies `first` and then this transform."""
        return Rigid(
            self.rotation @ first.rotation,
            self.rotation @ first.translation + self.translation,
        )

    def __call__(self, positions: ArrayLike) -> NDArray[np.floating]:
        """Return the transformed positions (..., 3). Positions in float32 stay float32."""
        given = np.asarray(positions)
        moved = given @ self.rotation.T.astype(given.dtype, copy=False)
        moved += self.translation.astype(given.dtype, copy=False)
        return moved
