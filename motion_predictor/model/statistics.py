"""Statistics of samples (mean and spread) and of histories (speed)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motion_predictor.model.one_step import OneStep, synthesised


def spread_of(samples: Tensor, mean: Tensor) -> Tensor:
    """Return the spread of samples: their root mean square distance to the mean.

    Args:
        samples: (P, S, F, J, 3).
        mean: mean of the samples (P, F, J, 3).

    Returns:
        The spread (P, F, J), in the unit of the samples.
    """
    deviation = samples - mean[:, None]
    # Summing over coordinates first and samples second would take three times as long.
    return torch.mul(deviation, deviation).mean(1).sum(-1).sqrt()


def speed_of(history: NDArray[np.float32], rate_hz: float) -> NDArray[np.float32]:
    """Return the mean horizontal speed (P,) of the roots of histories (P, H, J, 3), m/s."""
    way = history[:, -1, 0, :2] - history[:, 0, 0, :2]
    return np.hypot(way[:, 0], way[:, 1]) * rate_hz / (history.shape[1] - 1)


class WithStatistics(nn.Module):
    """Runs a model, and returns statistics of its samples: deviations, mean and spread.

    Mean and spread at all frames are computed from the K coefficients. The samples are not
    computed at all frames, because only a few frames of the samples are published. The samples at
    all frames would be most of the numbers in the result.

    Args:
        model: module that makes samples from history and noise.
    """

    def __init__(self, model: OneStep) -> None:
        super().__init__()
        self.model = model

    @property
    def synthesis(self) -> Tensor:
        """The matrix (F, K) that turns coefficients into frames."""
        return self.model.parametrisation.synthesis

    def forward(
        self, history: Tensor, noise: Tensor, embedded: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return deviations (P, S, K, J, 3), mean (P, F, J, 3) and spread (P, F, J), metres.

        Sample s is ``mean + synthesis @ deviations[:, s]``.

        Args:
            history: observed joints (P, H, J, 3), metres.
            noise: noise of the samples (S, K, D).
            embedded: features of the noise from `OneStep.embed`; None to compute them here.
        """
        deviations, middle, base = self.model.coefficients(history, noise, embedded)
        mean = synthesised(self.synthesis, middle[:, 0]) + base
        # Let the matrix G hold the second moments of a joint's coefficients, and r be the row of
        # `synthesis` for a frame. Then the square of the joint's spread at this frame is r G r.
        by_joint = deviations.permute(0, 3, 2, 1, 4).flatten(3)  # (P, J, K, 3S)
        moments = by_joint @ by_joint.transpose(-1, -2) / deviations.shape[1]  # (P, J, K, K)
        square = ((self.synthesis @ moments) * self.synthesis).sum(-1)  # (P, J, F)
        return deviations, mean, square.clamp(min=0).sqrt().transpose(1, 2)
