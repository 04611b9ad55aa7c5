"""Mirrors left and right, since people move alike on both sides."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Mirror(nn.Module):
    """Swaps left and right in features (..., D) of the model frame.

    Applied twice, it changes nothing. It commutes with scales that are equal on both sides.

    Args:
        mirrored: (J,) for each joint, the index of the same joint on the other side.
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
