"""The gravity-aligned, person-centred frame of the model; there and back.

World frame: metres, right-handed, z up (REP-103). Model frame: origin at the last observed root
and, where the checkpoint asks for it, the last observed heading along +x. Joint 0 is the root.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class PersonFrame(NamedTuple):
    """Where a person's model frame lies in the world."""

    origin: Tensor  # (B, 3) metres
    rotation: Tensor  # (B, 3, 3) model <- world


def person_frame(last_pose: Tensor, hips: tuple[int, int] | None) -> PersonFrame:
    """Return the frame of the last observed pose.

    Args:
        last_pose: (B, J, 3) metres, world frame.
        hips: joints of the left and the right hip, which give the heading; None leaves the
            world's axes as they are. A person whose hips lie above each other keeps them too.
    """
    rotation = torch.eye(3, dtype=last_pose.dtype, device=last_pose.device)
    rotation = rotation.expand(last_pose.shape[0], 3, 3)
    if hips is not None:
        left = last_pose[:, hips[0], :2] - last_pose[:, hips[1], :2]  # (B, 2)
        length = torch.linalg.vector_norm(left, dim=-1, keepdim=True)
        # A copy of numbers from the host could not be captured in a CUDA graph.
        zero, one = torch.zeros_like(length), torch.ones_like(length)
        default = torch.cat([zero, one], -1)
        left = torch.where(length > 1e-3, left / length.clamp(min=1e-3), default)
        x, y = left.split(1, -1)
        # Forward is a quarter turn right of the left-pointing hip axis.
        rotation = torch.cat([y, -x, zero, x, y, zero, zero, zero, one], dim=-1)
        rotation = rotation.unflatten(-1, (3, 3))  # (B, 3, 3)
    return PersonFrame(last_pose[:, 0], rotation)


def to_model(positions: Tensor, frame: PersonFrame) -> Tensor:
    """Bring positions (B, N, J, 3) from the world into the model frame."""
    centred = positions - frame.origin[:, None, None]
    return torch.einsum('bij,bnkj->bnki', frame.rotation, centred)


def to_world(positions: Tensor, frame: PersonFrame) -> Tensor:
    """Bring positions (B, S, F, J, 3) from the model frame back into the world."""
    return turn_to_world(positions, frame) + frame.origin[:, None, None, None]


def turn_to_world(vectors: Tensor, frame: PersonFrame) -> Tensor:
    """Turn vectors (B, S, F, J, 3) from the model frame's axes to the world's."""
    return torch.einsum('bji,bsfkj->bsfki', frame.rotation, vectors)


def to_features(positions: Tensor, with_root: bool) -> Tensor:
    """Flatten positions (..., J, 3) to features (..., D), every joint relative to the root.

    With the root D = 3J and the root's place in the model frame comes first; without, D = 3(J-1).
    """
    root, joints = positions[..., :1, :], positions[..., 1:, :]
    relative = joints - root
    return (torch.cat([root, relative], dim=-2) if with_root else relative).flatten(-2)


def from_features(features: Tensor, root: Tensor | None) -> Tensor:
    """Return positions (..., J, 3) of features (..., D).

    Args:
        features: what `to_features` returned.
        root: (..., 3) the root's place, where the features leave it out; None where they hold it.
    """
    joints = features.unflatten(-1, (-1, 3))
    if root is None:
        place, relative = joints[..., :1, :], joints[..., 1:, :]
    else:
        place, relative = root[..., None, :], joints
    return torch.cat([place, relative + place], dim=-2)
