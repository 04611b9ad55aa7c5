"""Converts positions from the world frame to the frame of the model, and back.

The world frame is right-handed, in metres, with z up (REP-103). The model frame has z up too. The
origin of the model frame is the last observed position of the person's root, which is joint 0. If
the checkpoint wants a heading, the +x axis of the model frame is the last observed heading.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from motion_predictor.skeleton import Facing

LEVEL, UPRIGHT = 0.6, 0.3
"""Limits of the sine of the angle between the vertical and the axis of the hips. Above LEVEL, the
hips alone give the heading. Below UPRIGHT, the trunk has its full weight."""


class PersonFrame(NamedTuple):
    """The origin and the x axis of a person's model frame, in the world frame."""

    origin: Tensor  # (B, 3) metres
    heading: Tensor  # (B, 2) horizontal unit vector, the model's x axis


def person_frame(last_pose: Tensor, facing: Facing | None) -> PersonFrame:
    """Return the model frame that belongs to the last observed pose of a person.

    Args:
        last_pose: last observed joints (B, J, 3), metres, world frame.
        facing: joints that give the heading. If `facing` is None, the model frame has the world's
            axes.
    """
    if facing is None:
        return PersonFrame(last_pose[:, 0], _towards_x(last_pose[:, 0, :1]))
    return PersonFrame(last_pose[:, 0], _forward(last_pose, facing))


def _towards_x(like: Tensor) -> Tensor:
    """Return a unit vector along +x (B, 2), one for each row of a tensor (B, 1)."""
    # The vector is made from a tensor, since a CUDA graph cannot copy numbers from the host.
    return torch.cat([torch.ones_like(like), torch.zeros_like(like)], -1)


def _forward(last_pose: Tensor, facing: Facing) -> Tensor:
    """Return the heading of a person as a horizontal unit vector (B, 2); +x if it is unknown.

    Seen from above, the heading is the direction from the right to the left hip, turned right by
    90 degrees. If one hip is nearly above the other, this direction is mostly noise. Then the
    heading is perpendicular to the axis of the hips and to the trunk.
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
    """Return positions (B, N, J, 3) of the world frame in the model frame."""
    centred = positions - frame.origin[:, None, None]
    cosine, sine = frame.heading.unbind(-1)
    return _turned(centred, cosine, -sine)


def to_world(positions: Tensor, frame: PersonFrame) -> Tensor:
    """Return positions (B, S, F, J, 3) of the model frame in the world frame."""
    return turn_to_world(positions, frame) + frame.origin[:, None, None, None]


def turn_to_world(vectors: Tensor, frame: PersonFrame) -> Tensor:
    """Return vectors (B, S, F, J, 3) of the model frame along the axes of the world frame."""
    return _turned(vectors, *frame.heading.unbind(-1))


def _turned(vectors: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Return vectors (B, ..., 3) rotated about the vertical, by angles with this cosine and sine.

    Cosine and sine have the shape (B,). The rotation is written out element by element, since a
    product with a 3x3 rotation matrix takes five times as long.
    """
    each = (-1, *[1] * (vectors.ndim - 2))
    c, s = cosine.view(each), sine.view(each)
    x, y, z = vectors.unbind(-1)
    return torch.stack([c * x - s * y, s * x + c * y, z], -1)


def to_features(positions: Tensor, with_root: bool) -> Tensor:
    """Return the network's features (..., D) of positions (..., J, 3) in the model frame.

    The features are the positions of the joints relative to the root, flattened: D = 3(J - 1).
    If `with_root`, the position of the root in the model frame comes first: D = 3J.
    """
    root, joints = positions[..., :1, :], positions[..., 1:, :]
    relative = joints - root
    return (torch.cat([root, relative], dim=-2) if with_root else relative).flatten(-2)


def from_features(features: Tensor, root: Tensor | None) -> Tensor:
    """Return the positions (..., J, 3) that belong to features (..., D).

    Args:
        features: features from `to_features`.
        root: position of the root (..., 3) for features without root, otherwise None.
    """
    joints = features.unflatten(-1, (-1, 3))
    if root is None:
        place, relative = joints[..., :1, :], joints[..., 1:, :]
    else:
        place, relative = root[..., None, :], joints
    return torch.cat([place, relative + place], dim=-2)
