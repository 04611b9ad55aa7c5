"""Losses of a network's futures, against those of a teacher and against recorded motion.

Coefficients here are clean, (P, S, K, D): S samples for each of P conditions. Positions (P, S, F,
J, 3) are their contribution beside the base line, in metres, including that of the root. Frames
have the weight 1 / (EARLY_S + t): a robot acts on early frames first, and there a centimetre
matters most.
"""

import torch
from torch import Tensor

from motion_predictor.model.frames import from_features
from motion_predictor.model.parametrisation import Parametrisation, ScaledParametrisation

EARLY_S = 0.05
COMPARED_FRAMES = 26
"""Number of future frames at which samples are compared."""
NEIGHBOURS = 2
"""Number of samples with which each sample is compared."""
SPREAD_FLOOR = 0.1
"""Smallest deviation in `gaussian_kl`, in units of a coefficient's spread in training, or in
metres for unscaled coefficients."""

distance = torch.linalg.vector_norm


class Futures:
    """Turns clean coefficients into metres.

    Args:
        parametrisation: of the model, with its scales if it has any.
        rate_hz: of its frames.
        with_root: whether its features hold the root.
        frames: number of the F frames that are used; None: all.
        early: whether they are denser at the beginning.
    """

    def __init__(
        self,
        parametrisation: Parametrisation,
        rate_hz: float,
        with_root: bool,
        frames: int | None = None,
        early: bool = True,
    ) -> None:
        self.parametrisation = parametrisation
        self.with_root = with_root
        device = parametrisation.synthesis.device
        chosen = torch.arange(parametrisation.future_frames, device=device)
        if frames is not None:
            reach = torch.linspace(0, 1, frames, device=device) ** (1.5 if early else 1)
            chosen = (reach * (len(chosen) - 1)).round().long().unique()
        self.frames = chosen
        self.synthesis = parametrisation.synthesis[chosen]
        weights = 1 / (EARLY_S + (chosen + 1) / rate_hz)
        self.weights = weights / weights.mean()  # (F,)

    def positions(self, x0: Tensor) -> Tensor:
        """Return positions (..., F, J, 3) of coefficients (..., K, D)."""
        return self._joints(self.synthesis @ self.parametrisation.expand(x0))

    def recorded(self, features: Tensor) -> Tensor:
        """Return the positions (B, F, J, 3) of whole motions (B, H + F, D) after their history."""
        history, future = features.tensor_split([self.parametrisation.history_frames], dim=1)
        return self._joints((future - self.parametrisation.offset(history))[:, self.frames])

    def _joints(self, features: Tensor) -> Tensor:
        root = None if self.with_root else features.new_zeros(*features.shape[:-1], 3)
        return from_features(features, root)


def pose_of(positions: Tensor, measured: Tensor | None = None) -> Tensor:
    """Return poses (..., F, 3J) of positions (..., F, J, 3), relative to the root.

    Args:
        positions: metres.
        measured: (..., F, J); the others are set to zero.
    """
    pose = positions - positions[..., :1, :]
    return (pose if measured is None else pose * measured[..., None]).flatten(-2)


def mean_over(values: Tensor, measured: Tensor, weights: Tensor) -> Tensor:
    """Return the mean of values (..., F, J) that were measured, frames weighted by (F,)."""
    counted = measured * weights[:, None]
    return (values * counted).sum() / counted.expand_as(values).sum().clamp(min=1)


def error_of_mean(samples: Tensor, truth: Tensor, measured: Tensor, weights: Tensor) -> Tensor:
    """Return the distance of the mean from the recorded future, in the world; metres.

    Args:
        samples: (P, S, F, J, 3).
        truth: (P, F, J, 3).
        measured: (P, F, J).
        weights: (F,) of frames.
    """
    return mean_over(distance(samples.mean(1) - truth, dim=-1), measured, weights)


def energy_score(samples: Tensor, truth: Tensor) -> Tensor:
    """Return the energy score of samples (P, S, ..., n) for vectors (P, ..., n): (P, ...).

    It is the mean distance to the truth minus half the mean distance between two samples. Its
    expectation is least for samples of the true distribution (Gneiting and Raftery 2007). This is
    the fair form, which does not reward a small number of samples for being too similar.
    NEIGHBOURS pairs for each sample are enough.
    """
    to_truth = distance(samples - truth[:, None], dim=-1).mean(1)
    apart = [
        distance(samples - samples.roll(shift, 1), dim=-1).mean(1)
        for shift in range(1, min(NEIGHBOURS, samples.shape[1] - 1) + 1)
    ]
    return to_truth - sum(apart) / len(apart) / 2


def energy(
    samples: Tensor, truth: Tensor, measured: Tensor, weights: Tensor, body_weight: float
) -> Tensor:
    """Return the energy score of every joint in the world, and of the pose as one vector.

    Args:
        samples: (P, S, F, J, 3).
        truth: (P, F, J, 3).
        measured: (P, F, J).
        weights: (F,) of frames, for the joints. For the pose all frames have the same weight.
        body_weight: of the pose beside the joints.
    """
    joints = mean_over(energy_score(samples, truth), measured, weights)
    poses = energy_score(pose_of(samples, measured[:, None]), pose_of(truth, measured))
    return joints + body_weight * poses.mean()


def nearest(samples: Tensor, truth: Tensor, measured: Tensor, final_weight: float) -> Tensor:
    """Return the error of the nearest sample, for the pose and for the root: metres.

    As in the published protocol, it is the distance of whole poses, averaged over the frames, and
    that of the last frame (the variety loss of Social GAN, arXiv 1803.10892). It rewards more
    spread than is likely.

    Args:
        samples: (P, S, F, J, 3) at frames that are evenly spaced.
        truth: (P, F, J, 3).
        measured: (P, F, J).
        final_weight: of the last frame beside the average.
    """
    error = pose_of(samples - truth[:, None], measured[:, None])
    poses = distance(error, dim=-1)  # (P, S, F)
    roots = distance(samples[..., 0, :] - truth[:, None, :, 0], dim=-1).mean(-1)  # (P, S)
    of_pose = poses.mean(-1).amin(1) + final_weight * poses[..., -1].amin(1)
    return of_pose.mean() + roots.amin(1).mean() / 2


def metre_weights(parametrisation: Parametrisation) -> Tensor:
    """Return loss weights (K, D) that are larger for coefficients with a larger spread in metres.

    They are the square root of the weights that would measure metres exactly, since with those
    only the root would count. Coefficients in metres, as published, all have the same weight: (1,
    1).
    """
    if not isinstance(parametrisation, ScaledParametrisation):
        return torch.ones(1, 1, device=parametrisation.synthesis.device)
    return parametrisation.scale / parametrisation.scale.mean()


def mean_square(output: Tensor, result: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean square error between every sample and its own result.

    It is that of coefficients, which are of order one when scaled. With a loss in metres a network
    learns little but the path of the root, and takes longer.

    Args:
        output: (..., K, D) what the network returned.
        result: what it should have returned, likewise.
        weights: of the squared errors, broadcast over the samples.
    """
    return (weights * (output - result).square()).mean()


def best_of(output: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean square error of the sample nearest to what was recorded.

    If every sample were compared with the one recorded future, all samples would become the mean.
    So only the nearest one is. This is an addition to a teacher, not a replacement.

    Args:
        output: of the student.
        truth: (P, K, D) what was recorded.
        weights: (K, D) of the coefficients.
    """
    error = (output - truth[:, None]).square()
    return (weights * error).mean((-2, -1)).amin(1).mean()


def gaussian_kl(output: Tensor, result: Tensor, weights: Tensor) -> Tensor:
    """Return the divergence of the student's futures of a condition from the teacher's.

    A one-step network is deterministic, so its distribution is that over noises. For every
    condition, coefficient and channel, a normal distribution (m, v) is fitted to the S results,
    and another one (n, w) to the S outputs for the same noises. Then

        KL(teacher || student) = (v / w + (m - n)^2 / w - 1 - log(v / w)) / 2

    with SPREAD_FLOOR^2 added to both variances. It tolerates deviations where futures differ much.
    Its limits: means and spreads of S samples are rough estimates, coefficients are taken as
    independent, and a single sample is compared with its result only through both moments.

    Args:
        output: of the student.
        result: of the teacher for the same noises.
        weights: (K, D) of the coefficients.
    """
    variance, mean = torch.var_mean(result, 1, correction=0)  # (P, K, D)
    own_variance, own_mean = torch.var_mean(output, 1, correction=0)
    variance, own_variance = variance + SPREAD_FLOOR**2, own_variance + SPREAD_FLOOR**2
    ratio = variance / own_variance
    divergence = ratio + (mean - own_mean).square() / own_variance - 1 - ratio.log()
    return (weights * divergence / 2).mean()
