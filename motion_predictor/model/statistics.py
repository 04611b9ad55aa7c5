"""What is said of samples (their mean, how far they lie apart) and of histories (their speed)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motion_predictor.model.one_step import OneStep


def spread_of(samples: Tensor, mean: Tensor) -> Tensor:
    """Return the root mean square distance (P, F, J) of samples (P, S, F, J, 3) to their mean."""
    deviation = samples - mean[:, None]
    # Over the samples first: a third of the time of summing three coordinates first.
    return torch.mul(deviation, deviation).mean(1).sum(-1).sqrt()


def speed_of(history: NDArray[np.float32], rate_hz: float) -> NDArray[np.float32]:
    """Return how fast roots moved over the ground in histories (P, H, J, 3): (P,), m/s."""
    way = history[:, -1, 0, :2] - history[:, 0, 0, :2]
    return np.hypot(way[:, 0], way[:, 1]) * rate_hz / (history.shape[1] - 1)


class WithStatistics(nn.Module):
    """A module from history and noise to samples, their mean and their spread.

    Mean and spread are taken of the coefficients, of which there are far fewer than frames: the
    mean is linear in them, the square of the spread in their products.

    Args:
        model: what makes samples.
    """

    products: Tensor  # (F, K * K) what products of two coefficients are worth at each frame

    def __init__(self, model: OneStep) -> None:
        super().__init__()
        self.model = model
        synthesis = model.parametrisation.synthesis
        products = synthesis[:, :, None] * synthesis[:, None, :]
        self.register_buffer('products', products.flatten(1), persistent=False)

    def forward(
        self, history: Tensor, noise: Tensor, embedded: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return samples (P, S, F, J, 3), mean (P, F, J, 3) and spread (P, F, J), metres."""
        sampled, shared = self.model.coefficients(history, noise, embedded)
        count = sampled.shape[1]
        everything = torch.cat([sampled, shared.expand(-1, count, -1, -1, -1)], 2)
        centre = sampled.mean(1)  # (P, K, J, 3)
        mean = self.model.positions(torch.cat([centre, shared[:, 0]], 1))
        deviation = (sampled - centre[:, None]).permute(0, 3, 2, 1, 4).flatten(3)  # (P, J, K, 3S)
        scatter = (deviation @ deviation.mT).flatten(2)  # (P, J, K * K)
        square = self.products @ scatter.mT / count  # (P, F, J)
        return self.model.positions(everything), mean, square.clamp(min=0).sqrt()
