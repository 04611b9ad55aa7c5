"""Losses that compare a network's futures with those of a teacher and with recorded motion.

Coefficients (P, S, K, D) are clean: S samples for each of P conditions. Positions (P, S, F, J, 3)
are what the coefficients add to the base line, in metres, with the root. Frames have the weight
1 / (EARLY_S + t), because a robot acts on early frames first, and a centimetre matters most there.
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
        parametrisation: parametrisation of the model, with its scales if it has any.
        rate_hz: frames per second.
        with_root: whether the features hold the root.
        frames: number F of future frames that are used. None: all.
        early: whether these frames are denser at the beginning.
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
        """Return the future positions (B, F, J, 3) of whole motions, as features (B, H + F, D)."""
        history, future = features.tensor_split([self.parametrisation.history_frames], dim=1)
        return self._joints((future - self.parametrisation.offset(history))[:, self.frames])

    def _joints(self, features: Tensor) -> Tensor:
        root = None if self.with_root else features.new_zeros(*features.shape[:-1], 3)
        return from_features(features, root)


def pose_of(positions: Tensor, measured: Tensor | None = None) -> Tensor:
    """Return poses relative to the root (..., F, 3J).

    Args:
        positions: positions (..., F, J, 3), metres.
        measured: which positions were measured (..., F, J). The others become zero. None: all.
    """
    pose = positions - positions[..., :1, :]
    return (pose if measured is None else pose * measured[..., None]).flatten(-2)


def mean_over(values: Tensor, measured: Tensor, weights: Tensor) -> Tensor:
    """Return the mean of those values (..., F, J) that were measured, with frame weights (F,)."""
    counted = measured * weights[:, None]
    return (values * counted).sum() / counted.expand_as(values).sum().clamp(min=1)


def error_of_mean(samples: Tensor, truth: Tensor, measured: Tensor, weights: Tensor) -> Tensor:
    """Return the distance of the mean of the samples from the recorded future, metres.

    Args:
        samples: futures of the network (P, S, F, J, 3), metres.
        truth: recorded future (P, F, J, 3), metres.
        measured: which positions of it were measured (P, F, J).
        weights: weights of the frames (F,).
    """
    return mean_over(distance(samples.mean(1) - truth, dim=-1), measured, weights)


def energy_score(samples: Tensor, truth: Tensor) -> Tensor:
    """Return the energy score (P, ...) of samples (P, S, ..., n) for true vectors (P, ..., n).

    It is the mean distance to the truth minus half the mean distance between two samples. Its
    expectation is least for samples of the true distribution (Gneiting and Raftery 2007). This is
    the fair form, which does not reward a small number of samples for being too similar. Each
    sample is compared with NEIGHBOURS others, which is enough.
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
    """Return the energy score of single joints in the world, plus that of the pose as one vector.

    Args:
        samples: futures of the network (P, S, F, J, 3), metres.
        truth: recorded future (P, F, J, 3), metres.
        measured: which positions of it were measured (P, F, J).
        weights: weights of the frames for the joints (F,). The pose weights all frames equally.
        body_weight: weight of the pose, relative to the joints.
    """
    joints = mean_over(energy_score(samples, truth), measured, weights)
    poses = energy_score(pose_of(samples, measured[:, None]), pose_of(truth, measured))
    return joints + body_weight * poses.mean()


def nearest(samples: Tensor, truth: Tensor, measured: Tensor, final_weight: float) -> Tensor:
    """Return the error of the nearest sample, of the pose and of the root, metres.

    As in the published protocol, the error of the pose is the distance of whole poses, averaged
    over the frames. The error of the last frame is added. This is the variety loss of Social GAN
    (arXiv 1803.10892). It rewards more spread than is likely.

    Args:
        samples: futures of the network at evenly spaced frames (P, S, F, J, 3), metres.
        truth: recorded future (P, F, J, 3), metres.
        measured: which positions of it were measured (P, F, J).
        final_weight: weight of the last frame, relative to the average.
    """
    error = pose_of(samples - truth[:, None], measured[:, None])
    poses = distance(error, dim=-1)  # (P, S, F)
    roots = distance(samples[..., 0, :] - truth[:, None, :, 0], dim=-1).mean(-1)  # (P, S)
    of_pose = poses.mean(-1).amin(1) + final_weight * poses[..., -1].amin(1)
    return of_pose.mean() + roots.amin(1).mean() / 2


def metre_weights(parametrisation: Parametrisation) -> Tensor:
    """Return loss weights (K, D) that are larger for coefficients with a larger spread in metres.

    They are the square roots of the weights that would measure metres exactly. With exact weights
    only the root would count. The published coefficients are in metres. For these, all weights are
    one (1, 1).
    """
    if not isinstance(parametrisation, ScaledParametrisation):
        return torch.ones(1, 1, device=parametrisation.synthesis.device)
    return parametrisation.scale / parametrisation.scale.mean()


def mean_square(output: Tensor, result: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean square error between every sample and its own result.

    The error is one of coefficients, which are of order one if they are scaled. With a loss in
    metres a network learns little except the path of the root, and takes longer.

    Args:
        output: output of the network (..., K, D).
        result: what the network should have returned (..., K, D).
        weights: weights of the squared errors, broadcast over the samples.
    """
    return (weights * (output - result).square()).mean()


def best_of(output: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean square error of the sample nearest to the recorded future.

    If every sample were compared with the one recorded future, all samples would become the mean.
    So only the nearest sample is compared. This loss is added to that of a teacher. It does not
    replace a teacher.

    Args:
        output: output of the student (P, S, K, D).
        truth: coefficients of the recorded future (P, K, D).
        weights: weights of the coefficients (K, D).
    """
    error = (output - truth[:, None]).square()
    return (weights * error).mean((-2, -1)).amin(1).mean()


def gaussian_kl(output: Tensor, result: Tensor, weights: Tensor) -> Tensor:
    """Return how far the distribution of the student's futures is from that of the teacher's.

    A one-step network is deterministic, so only the noise makes its futures differ. For every
    condition, coefficient and channel, a normal distribution (m, v) is fitted to the S results,
    and another one (n, w) to the S outputs for the same noises. The divergence is

        KL(teacher || student) = (v / w + (m - n)^2 / w - 1 - log(v / w)) / 2

    with SPREAD_FLOOR^2 added to both variances. It tolerates deviations where futures differ much.
    It has three limits: means and spreads of S samples are rough estimates, coefficients are
    treated as independent, and samples are compared with their results only by mean and spread.

    Args:
        output: output of the student (P, S, K, D).
        result: results of the teacher for the same noises (P, S, K, D).
        weights: weights of the coefficients (K, D).
    """
    variance, mean = torch.var_mean(result, 1, correction=0)  # (P, K, D)
    own_variance, own_mean = torch.var_mean(output, 1, correction=0)
    variance, own_variance = variance + SPREAD_FLOOR**2, own_variance + SPREAD_FLOOR**2
    ratio = variance / own_variance
    divergence = ratio + (mean - own_mean).square() / own_variance - 1 - ratio.log()
    return (weights * divergence / 2).mean()
