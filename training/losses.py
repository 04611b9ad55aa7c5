"""By what a student's samples are held to its teacher's, and to what was recorded.

Coefficients here are clean ones, (P, S, K, D): of S samples for each of P conditions. Weights
(K, D) say how much each counts.
"""

import torch
from torch import Tensor

SPREAD_FLOOR = 0.1
"""Least deviation that `gaussian_kl` sees, in units of a coefficient's spread in training."""


def mean_square(output: Tensor, result: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean square error: every sample is held to its own result."""
    return (weights * (output - result).square()).mean()


def gaussian_kl(output: Tensor, result: Tensor, weights: Tensor) -> Tensor:
    """Return the divergence of the student's futures of a condition from the teacher's.

    A one-step network is deterministic, so its distribution is that over noises. For every
    condition, coefficient and channel the S results are taken for a normal distribution (m, v),
    the S outputs for the same noises for another (n, w), and

        KL(teacher || student) = (v / w + (m - n)^2 / w - 1 - log(v / w)) / 2

    with SPREAD_FLOOR^2 added to both variances. It forgives a deviation where futures differ
    much. Its limits: of S samples, means and spreads are rough estimates; coefficients count as
    independent; a single sample is held to its result only through both moments.

    Args:
        output: what the student returned.
        result: what the teacher returned for the same noises.
        weights: of the coefficients.
    """
    variance, mean = torch.var_mean(result, 1, correction=0)  # (P, K, D)
    own_variance, own_mean = torch.var_mean(output, 1, correction=0)
    variance, own_variance = variance + SPREAD_FLOOR**2, own_variance + SPREAD_FLOOR**2
    ratio = variance / own_variance
    divergence = ratio + (mean - own_mean).square() / own_variance - 1 - ratio.log()
    return (weights * divergence / 2).mean()


def best_of(output: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean square error of the sample nearest to what was recorded.

    Holding every sample to the one future that happened would make all of them its mean; only
    the nearest is drawn to it, as in the variety loss of Social GAN (arXiv 1803.10892). It
    rewards spread beyond what is likely, so it is an addition to a teacher rather than its like.

    Args:
        output: what the student returned.
        truth: (P, K, D) what was recorded.
        weights: of the coefficients.
    """
    error = (output - truth[:, None]).square()
    return (weights * error).mean((-2, -1)).amin(1).mean()
