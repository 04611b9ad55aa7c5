"""The result of a prediction: samples, their mean, and the radius around it."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from motion_predictor.model.one_step import synthesised

FloatArray = NDArray[np.float32]
DOUBT = (0.9, 0.95, 0.99, 0.999, 0.9999), (1.0, 1.118, 1.347, 1.613, 1.841)
"""Coverages, and the quantiles at these of the chi distribution with three degrees of freedom,
divided by the quantile at 0.9."""


@dataclass(frozen=True)
class Prediction:
    """Possible futures of P people, in the frame of their histories, metres, z up."""

    deviations: FloatArray
    """(P, S, K, J, 3) deviations of S equally likely futures from their mean, as coefficients. The
    futures are ``mean + synthesis @ deviations``."""
    synthesis: FloatArray
    """(F, K) matrix from the K coefficients to the F frames."""
    mean: FloatArray
    """(P, F, J, 3) mean of the futures, the root included."""
    radius: FloatArray
    """(P, F, J) radius of the ball around the mean that holds the joint with probability
    `coverage`. NaN if the checkpoint is not calibrated, or not for this number of samples."""
    body_radius_scale: FloatArray
    """(P, F) factor of the radii. Balls of `body_radius_scale * radius` hold all joints of the
    person at once with probability `coverage`, at each single frame. NaN where `radius` is NaN."""
    coverage: float
    """Probability with which a ball of `radius` holds its joint. NaN if `radius` is NaN."""
    times: FloatArray
    """(F,) seconds after the last observed frame."""
    familiarity: FloatArray
    """(P,) p-value of each history: the share of recorded histories that are at least as unusual.
    Each of these was judged without data of its own person. NaN if the checkpoint cannot tell."""
    unfamiliar: NDArray[np.bool_]
    """(P,) whether the familiarity is below `min_familiarity`. The `radius` of such a person holds
    everything that they can reach. Their samples are not reliable, since the model has seen
    nothing like this motion."""

    @cached_property
    def samples(self) -> FloatArray:
        """(P, S, F, J, 3) the futures, the root included."""
        return self.samples_at(np.arange(len(self.times)))

    def samples_at(self, frames: NDArray[np.int64]) -> FloatArray:
        """Return the futures (P, S, F', J, 3) at the F' frames with these indices."""
        deviations = torch.from_numpy(self.deviations)
        apart = synthesised(torch.from_numpy(self.synthesis[frames]), deviations)
        return apart.add_(torch.from_numpy(self.mean[:, None, frames])).numpy()

    def widened(self, doubt_m: FloatArray) -> 'Prediction':
        """Return this prediction with wider radii for joints whose last position is uncertain.

        The error of the last position and that of the prediction are independent, so their squares
        are added.

        Args:
            doubt_m: (P, J) radius that holds 90 % of the true last positions. For other coverages
                it is scaled as for normally distributed errors.
        """
        if not doubt_m.any():
            return self
        doubt_m = doubt_m * float(np.interp(self.coverage, *DOUBT))
        return replace(self, radius=np.hypot(self.radius, doubt_m[:, None]))
