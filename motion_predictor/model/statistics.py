"""Statistics of samples (mean and spread) and of histories (speed)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def spread_of(samples: Tensor, mean: Tensor) -> Tensor:
    """Return the root mean square distance (P, F, J) of samples (P, S, F, J, 3) to their mean."""
    deviation = samples - mean[:, None]
    # The samples are summed first: a third of the time of summing the coordinates first.
    return torch.mul(deviation, deviation).mean(1).sum(-1).sqrt()


def speed_of(history: NDArray[np.float32], rate_hz: float) -> NDArray[np.float32]:
    """Return how fast roots moved over the ground in histories (P, H, J, 3): (P,), m/s."""
    way = history[:, -1, 0, :2] - history[:, 0, 0, :2]
    return np.hypot(way[:, 0], way[:, 1]) * rate_hz / (history.shape[1] - 1)


class WithStatistics(nn.Module):
    """A module from history and noise to samples, their mean and their spread.

    Args:
        model: from history (P, H, J, 3) and noise (S, K, D) to samples (P, S, F, J, 3).
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, history: Tensor, noise: Tensor, embedded: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return samples (P, S, F, J, 3), mean (P, F, J, 3) and spread (P, F, J), metres."""
        samples = self.model(history, noise, embedded)
        mean = samples.mean(1)
        return samples, mean, spread_of(samples, mean)
