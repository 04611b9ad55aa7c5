"""The result of a prediction: samples, their mean, and radii around the mean."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from motion_predictor.model.one_step import synthesised

FloatArray = NDArray[np.float32]
DOUBT = (0.9, 0.95, 0.99, 0.999, 0.9999), (1.0, 1.118, 1.347, 1.613, 1.841)
"""Coverages, and the quantile at each coverage of the chi distribution with three degrees of
freedom, divided by the quantile at 0.9."""


@dataclass(frozen=True)
class Prediction:
    """Possible futures of P people, in the frame of the given histories, metres, z up."""

    deviations: FloatArray
    """Deviations of S equally likely futures from their mean, as coefficients (P, S, K, J, 3). The
    futures are ``mean + synthesis @ deviations``."""
    synthesis: FloatArray
    """Matrix (F, K) from the K coefficients to the F frames."""
    mean: FloatArray
    """Mean of the futures, with the root, (P, F, J, 3) metres."""
    radius: FloatArray
    """Radius of the ball around the mean that holds the joint with probability `coverage`,
    (P, F, J) metres. NaN if the checkpoint is not calibrated for this number of samples."""
    body_radius_scale: FloatArray
    """Factor of the radii, (P, F). Balls of radius `body_radius_scale * radius` hold all joints of
    the person at once with probability `coverage`, at any one frame. NaN where `radius` is NaN."""
    coverage: float
    """Probability with which a ball of `radius` holds its joint. NaN if `radius` is NaN."""
    times: FloatArray
    """Times of the predicted frames, in seconds after the last observed frame, (F,)."""
    familiarity: FloatArray
    """p-value of each history, (P,): the share of recorded histories that are at least as unusual.
    Each recorded history was judged without data of the same person. NaN if the checkpoint has no
    familiarity test."""
    unfamiliar: NDArray[np.bool_]
    """Whether the familiarity of each person is below `min_familiarity`, (P,). The `radius` of an
    unfamiliar person holds everything that the person can reach. The samples of this person are
    not reliable, since the model has seen nothing like this motion."""

    @cached_property
    def samples(self) -> FloatArray:
        """The futures, with the root, (P, S, F, J, 3) metres."""
        return self.samples_at(np.arange(len(self.times)))

    def samples_at(self, frames: NDArray[np.int64]) -> FloatArray:
        """Return the futures (P, S, F', J, 3) at the F' frames with these indices."""
        deviations = torch.from_numpy(self.deviations)
        apart = synthesised(torch.from_numpy(self.synthesis[frames]), deviations)
        return apart.add_(torch.from_numpy(self.mean[:, None, frames])).numpy()

    def widened(self, doubt_m: FloatArray) -> 'Prediction':
        """Return this prediction with wider radii for joints whose last position is uncertain.

        The error of the last position and the error of the prediction are independent, so the
        squares of the two radii are added.

        Args:
            doubt_m: radius that contains 90 % of the true last positions, (P, J). If the coverage
                is not 90 %, `doubt_m` is scaled as for normally distributed errors.
        """
        if not doubt_m.any():
            return self
        doubt_m = doubt_m * float(np.interp(self.coverage, *DOUBT))
        return replace(self, radius=np.hypot(self.radius, doubt_m[:, None]))
