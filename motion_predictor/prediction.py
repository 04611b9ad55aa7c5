"""The result of a prediction: samples, their mean, and the radius around it."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from motion_predictor.model.one_step import synthesised

FloatArray = NDArray[np.float32]
DOUBT = (0.9, 0.95, 0.99, 0.999, 0.9999), (1.0, 1.118, 1.347, 1.613, 1.841)
"""Coverages, and quantiles of the chi distribution with three degrees of freedom, as multiples
of the first."""


@dataclass(frozen=True)
class Prediction:
    """Possible futures of P people, in the frame of their histories, metres, z up."""

    deviations: FloatArray
    """(P, S, K, J, 3) how each of S equally likely futures deviates from their mean, as
    coefficients of `synthesis`."""
    synthesis: FloatArray
    """(F, K) the coefficients at each frame."""
    mean: FloatArray
    """(P, F, J, 3) mean of the futures, the root included."""
    radius: FloatArray
    """(P, F, J) radius of the ball around the mean that holds the joint with probability
    `coverage`; NaN where the checkpoint is not calibrated for so many samples, or not at all."""
    body_radius_scale: FloatArray
    """(P, F) factor: balls of so many times `radius` hold all joints of the person at once with
    probability `coverage`, frame by frame; NaN where `radius` is."""
    coverage: float
    """Probability that `radius` stands for; NaN where `radius` is."""
    times: FloatArray
    """(F,) seconds after the last observed frame."""
    familiarity: FloatArray
    """(P,) p-value of each history among those of people whom the calibration did not know; NaN
    where the checkpoint does not say."""
    unfamiliar: NDArray[np.bool_]
    """(P,) who is less familiar than `min_familiarity`. Their `radius` holds everything that
    they can reach. Their samples are not reliable, since the model has seen nothing like this
    motion."""

    @cached_property
    def samples(self) -> FloatArray:
        """(P, S, F, J, 3) the futures, the root included."""
        return self.samples_at(np.arange(len(self.times)))

    def samples_at(self, frames: NDArray[np.int64]) -> FloatArray:
        """Return the futures at some of the frames only: (P, S, F', J, 3)."""
        deviations = torch.from_numpy(self.deviations)
        apart = synthesised(torch.from_numpy(self.synthesis[frames]), deviations)
        return apart.add_(torch.from_numpy(self.mean[:, None, frames])).numpy()

    def widened(self, doubt_m: FloatArray) -> 'Prediction':
        """Return it with wider radii, for joints (P, J) whose start is uncertain.

        The two errors are independent, so their squares are added. A doubt holds 90 % of the
        joints. For other coverages it is scaled like a normal error.
        """
        if not doubt_m.any():
            return self
        doubt_m = doubt_m * float(np.interp(self.coverage, *DOUBT))
        return replace(self, radius=np.hypot(self.radius, doubt_m[:, None]))
