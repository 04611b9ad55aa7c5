"""Statistics of samples (mean and spread) and of histories (speed)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motion_predictor.model.one_step import OneStep, synthesised


def spread_of(samples: Tensor, mean: Tensor) -> Tensor:
    """Return the root mean square distance (P, F, J) of samples (P, S, F, J, 3) to their mean."""
    deviation = samples - mean[:, None]
    # Summing over samples before coordinates takes a third of the time of the other order.
    return torch.mul(deviation, deviation).mean(1).sum(-1).sqrt()


def speed_of(history: NDArray[np.float32], rate_hz: float) -> NDArray[np.float32]:
    """Return the mean speed (P,) of the roots of histories (P, H, J, 3) over the ground, m/s."""
    way = history[:, -1, 0, :2] - history[:, 0, 0, :2]
    return np.hypot(way[:, 0], way[:, 1]) * rate_hz / (history.shape[1] - 1)


class WithStatistics(nn.Module):
    """Runs a model, and returns statistics of its samples: deviations, mean and spread.

    Mean and spread at all frames are computed from the K coefficients. The samples themselves are
    not computed at the F frames: they are most of the numbers, and few of them are published.

    Args:
        model: makes samples from history and noise.
    """

    def __init__(self, model: OneStep) -> None:
        super().__init__()
        self.model = model

    @property
    def synthesis(self) -> Tensor:
        """The matrix (F, K) from coefficients to frames."""
        return self.model.parametrisation.synthesis

    def forward(
        self, history: Tensor, noise: Tensor, embedded: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return deviations (P, S, K, J, 3), mean (P, F, J, 3) and spread (P, F, J), metres.

        Sample s is ``mean + synthesis @ deviations[:, s]``.

        Args:
            history: (P, H, J, 3).
            noise: (S, K, D).
            embedded: result of the model's `embed` for the noise.
        """
        deviations, middle, base = self.model.coefficients(history, noise, embedded)
        mean = synthesised(self.synthesis, middle[:, 0]) + base
        # Let G be the second moments of the coefficients of a joint, and r the row of a frame in
        # `synthesis`. Then the square of the joint's spread at that frame is r G r.
        by_joint = deviations.permute(0, 3, 2, 1, 4).flatten(3)  # (P, J, K, 3S)
        moments = by_joint @ by_joint.transpose(-1, -2) / deviations.shape[1]  # (P, J, K, K)
        square = ((self.synthesis @ moments) * self.synthesis).sum(-1)  # (P, J, F)
        return deviations, mean, square.clamp(min=0).sqrt().transpose(1, 2)
