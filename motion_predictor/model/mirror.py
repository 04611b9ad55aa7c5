"""Swaps the left and the right side of people, since both sides move alike."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Mirror(nn.Module):
    """Swaps left and right in features (..., D) of the model frame.

    A second swap restores the features. Swapping and scaling may be done in any order, if the
    scales are equal on both sides.

    Args:
        mirrored: for each joint, the index of the same joint on the other side, (J,).
        with_root: whether the features hold the root.
    """

    order: Tensor  # (D,)
    sign: Tensor  # (D,)

    def __init__(self, mirrored: Sequence[int], with_root: bool) -> None:
        super().__init__()
        joints = torch.tensor(mirrored) if with_root else torch.tensor(mirrored[1:]) - 1
        order = (3 * joints[:, None] + torch.arange(3)).flatten()
        sign = torch.tensor([1.0, -1.0, 1.0]).repeat(len(joints))
        self.register_buffer('order', order, persistent=False)
        self.register_buffer('sign', sign, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        return features[..., self.order] * self.sign
