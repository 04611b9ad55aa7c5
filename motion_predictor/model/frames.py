"""Converts positions from the world frame to the frame of the model, and back.

World frame: metres, right-handed, z up (REP-103). Model frame: z up, with its origin at the last
observed root. If the checkpoint asks for it, +x is the last observed heading. Joint 0 is the root.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from motion_predictor.skeleton import Facing

LEVEL, UPRIGHT = 0.6, 0.3
"""Sines of the angle between the vertical and the axis of the hips. Above the first one the
hips alone give the heading. Below the second one the trunk has its full weight."""


class PersonFrame(NamedTuple):
    """The origin and the heading of a person's model frame, in the world."""

    origin: Tensor  # (B, 3) metres
    heading: Tensor  # (B, 2) horizontal unit vector, the model's x axis


def person_frame(last_pose: Tensor, facing: Facing | None) -> PersonFrame:
    """Return the frame of the last observed pose.

    Args:
        last_pose: (B, J, 3) metres, world frame.
        facing: joints that give the heading; None keeps the axes of the world.
    """
    if facing is None:
        return PersonFrame(last_pose[:, 0], _towards_x(last_pose[:, 0, :1]))
    return PersonFrame(last_pose[:, 0], _forward(last_pose, facing))


def _towards_x(like: Tensor) -> Tensor:
    """Return the unit vector (B, 2) along +x for each row of a tensor (B, 1)."""
    # Made from a tensor, since a CUDA graph cannot capture a copy of numbers from the host.
    return torch.cat([torch.ones_like(like), torch.zeros_like(like)], -1)


def _forward(last_pose: Tensor, facing: Facing) -> Tensor:
    """Return the horizontal unit vector (B, 2) of the heading; +x if it is unknown.

    Seen from above, it is the direction from the right to the left hip, turned right by 90
    degrees. If one hip is nearly above the other, this direction is mostly noise. Then the heading
    is the normal of the axis of the hips and the trunk.
    """
    across = last_pose[:, facing.left_hip] - last_pose[:, facing.right_hip]  # (B, 3) to the left
    x, y, z = across.split(1, -1)
    forward = torch.cat([y, -x], -1)
    if facing.neck is not None:
        trunk = last_pose[:, facing.neck] - last_pose[:, 0]
        right, left, up = torch.nn.functional.normalize(trunk, dim=-1).split(1, -1)
        square = torch.cat([y * up - z * left, z * right - x * up], -1)
        level = _length(forward) / _length(across).clamp(min=1e-3)
        forward = forward + ((LEVEL - level) / (LEVEL - UPRIGHT)).clamp(0, 1) * square
    length = _length(forward)
    return torch.where(length > 1e-3, forward / length.clamp(min=1e-3), _towards_x(length))


def _length(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)


def to_model(positions: Tensor, frame: PersonFrame) -> Tensor:
    """Bring positions (B, N, J, 3) from the world into the model frame."""
    centred = positions - frame.origin[:, None, None]
    cosine, sine = frame.heading.unbind(-1)
    return _turned(centred, cosine, -sine)


def to_world(positions: Tensor, frame: PersonFrame) -> Tensor:
    """Bring positions (B, S, F, J, 3) from the model frame back into the world."""
    return turn_to_world(positions, frame) + frame.origin[:, None, None, None]


def turn_to_world(vectors: Tensor, frame: PersonFrame) -> Tensor:
    """Turn vectors (B, S, F, J, 3) from the model frame's axes to the world's."""
    return _turned(vectors, *frame.heading.unbind(-1))


def _turned(vectors: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn vectors (B, ..., 3) about the vertical by angles of this cosine and sine (B,).

    The products are written out, since this takes a fifth of the time of a 3x3 matrix product.
    """
    each = (-1, *[1] * (vectors.ndim - 2))
    c, s = cosine.view(each), sine.view(each)
    x, y, z = vectors.unbind(-1)
    return torch.stack([c * x - s * y, s * x + c * y, z], -1)


def to_features(positions: Tensor, with_root: bool) -> Tensor:
    """Return features (..., D): positions (..., J, 3) relative to the root, flattened.

    With the root, D = 3J, and the position of the root in the model frame comes first. Without it,
    D = 3(J-1).
    """
    root, joints = positions[..., :1, :], positions[..., 1:, :]
    relative = joints - root
    return (torch.cat([root, relative], dim=-2) if with_root else relative).flatten(-2)


def from_features(features: Tensor, root: Tensor | None) -> Tensor:
    """Return positions (..., J, 3) of features (..., D).

    Args:
        features: as `to_features` returns them.
        root: (..., 3) position of the root if the features lack it; None if they hold it.
    """
    joints = features.unflatten(-1, (-1, 3))
    if root is None:
        place, relative = joints[..., :1, :], joints[..., 1:, :]
    else:
        place, relative = root[..., None, :], joints
    return torch.cat([place, relative + place], dim=-2)
