"""Losses that compare a network's futures with a teacher's futures and with recorded motion.

Coefficients (P, S, K, D) are clean (without noise), for S samples of each of P conditions.
Positions (P, S, F, J, 3), which follow from the coefficients, are offsets from the base line in
metres, and include the root. A frame t seconds ahead has the weight 1 / (EARLY_S + t): a robot
acts on early frames first, so an error of a centimetre matters most there.
"""

import torch
from torch import Tensor

from motion_predictor.model.frames import from_features
from motion_predictor.model.parametrisation import Parametrisation, ScaledParametrisation

EARLY_S = 0.05
COMPARED_FRAMES = 26
"""Number of future frames at which samples are compared with the recording."""
NEIGHBOURS = 2
"""Number of other samples that each sample is compared with."""
SPREAD_FLOOR = 0.1
"""Smallest standard deviation that `gaussian_kl` assumes. Its unit is the standard deviation of a
coefficient in the training data, or a metre for unscaled coefficients."""

distance = torch.linalg.vector_norm


class Futures:
    """Converts clean coefficients into positions in metres.

    Args:
        parametrisation: parametrisation of the model, which contains the scales, if any.
        rate_hz: frames per second.
        with_root: whether the features include the root.
        frames: number F of future frames to compute. If `frames` is None, all future frames are
            computed.
        early: whether the chosen frames are denser at the beginning of the future, or evenly
            spread.
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
        """Convert coefficients (..., K, D) to positions (..., F, J, 3), metres."""
        return self._joints(self.synthesis @ self.parametrisation.expand(x0))

    def recorded(self, features: Tensor) -> Tensor:
        """Return the recorded future positions (B, F, J, 3) of features (B, H + F, D), metres."""
        history, future = features.tensor_split([self.parametrisation.history_frames], dim=1)
        return self._joints((future - self.parametrisation.offset(history))[:, self.frames])

    def _joints(self, features: Tensor) -> Tensor:
        root = None if self.with_root else features.new_zeros(*features.shape[:-1], 3)
        return from_features(features, root)


def pose_of(positions: Tensor, measured: Tensor | None = None) -> Tensor:
    """Return poses relative to the root (..., F, 3J).

    Args:
        positions: positions (..., F, J, 3), metres.
        measured: which positions were measured (..., F, J). Positions that were not measured
            become zero. If `measured` is None, all positions count as measured.
    """
    pose = positions - positions[..., :1, :]
    return (pose if measured is None else pose * measured[..., None]).flatten(-2)


def mean_over(values: Tensor, measured: Tensor, weights: Tensor) -> Tensor:
    """Average values (..., F, J) over the measured positions, with frame weights (F,)."""
    counted = measured * weights[:, None]
    return (values * counted).sum() / counted.expand_as(values).sum().clamp(min=1)


def error_of_mean(samples: Tensor, truth: Tensor, measured: Tensor, weights: Tensor) -> Tensor:
    """Return the distance between the samples' mean and the recorded future, metres.

    Args:
        samples: futures predicted by the network (P, S, F, J, 3), metres.
        truth: recorded future (P, F, J, 3), metres.
        measured: which positions of the recorded future were measured (P, F, J).
        weights: weight of each frame (F,).
    """
    return mean_over(distance(samples.mean(1) - truth, dim=-1), measured, weights)


def energy_score(samples: Tensor, truth: Tensor) -> Tensor:
    """Return the energy score (P, ...) of S samples (P, S, ..., n) for the truth (P, ..., n).

    The energy score is the mean distance between samples and truth, minus half the mean distance
    between two samples. The expected energy score is least for samples of the true distribution
    (Gneiting and Raftery 2007). The code computes the fair form of the score, which uses only
    pairs of two different samples. Even for few samples, the fair form does not favour samples
    that are too similar. To save time, each sample is compared with only NEIGHBOURS other samples.
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
    """Return the average energy score of single joints plus the energy score of whole poses.

    The joints are compared in the world, and poses relative to the root.

    Args:
        samples: futures predicted by the network (P, S, F, J, 3), metres.
        truth: recorded future (P, F, J, 3), metres.
        measured: which positions of the recorded future were measured (P, F, J).
        weights: weight of each frame in the score of the joints (F,). In the score of poses all
            frames have the same weight.
        body_weight: weight of the score of poses, relative to the score of joints.
    """
    joints = mean_over(energy_score(samples, truth), measured, weights)
    poses = energy_score(pose_of(samples, measured[:, None]), pose_of(truth, measured))
    return joints + body_weight * poses.mean()


def nearest(samples: Tensor, truth: Tensor, measured: Tensor, final_weight: float) -> Tensor:
    """Return the error of the sample nearest to the recorded future, metres.

    The loss is the sum of three errors. The first error is the distance of poses, averaged over
    the frames as in the published protocol. The second error is the weighted distance of poses in
    the last frame. The third error is half the distance of the root joint. For each of the three
    errors, only the sample with the smallest error counts. A loss that counts only the best sample
    is called variety loss (Social GAN, arXiv 1803.10892). A network that minimises the variety
    loss predicts more spread than real motion has.

    Args:
        samples: futures of the network at evenly spaced frames (P, S, F, J, 3), metres.
        truth: recorded future (P, F, J, 3), metres.
        measured: which positions of the recorded future were measured (P, F, J).
        final_weight: weight of the last frame, relative to the average over all frames.
    """
    error = pose_of(samples - truth[:, None], measured[:, None])
    poses = distance(error, dim=-1)  # (P, S, F)
    roots = distance(samples[..., 0, :] - truth[:, None, :, 0], dim=-1).mean(-1)  # (P, S)
    of_pose = poses.mean(-1).amin(1) + final_weight * poses[..., -1].amin(1)
    return of_pose.mean() + roots.amin(1).mean() / 2


def metre_weights(parametrisation: Parametrisation) -> Tensor:
    """Return loss weights (K, D): a coefficient with more spread in metres has more weight.

    A full weight would turn the squared error of a coefficient into square metres. But with full
    weights, almost only the root joint would count. So the returned weights are the square roots
    of the full weights. Coefficients of the official parametrisation are already in metres, so
    their weight is one (1, 1).
    """
    if not isinstance(parametrisation, ScaledParametrisation):
        return torch.ones(1, 1, device=parametrisation.synthesis.device)
    return parametrisation.scale / parametrisation.scale.mean()


def mean_square(output: Tensor, result: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean square error between each output and its own target.

    The error is computed from the coefficients, which have values of order one if they are scaled.
    If the error were in metres, the network would learn little except the path of the root joint,
    and would learn more slowly.

    Args:
        output: coefficients that the network returned (..., K, D).
        result: coefficients that the network should have returned (..., K, D).
        weights: weights of the squared errors, in a shape that broadcasts to (..., K, D).
    """
    return (weights * (output - result).square()).mean()


def best_of(output: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean square error of the sample nearest to the recorded future.

    Only the nearest sample counts: if every sample were compared with the one recorded future, all
    samples would become equal to the mean. The loss `best_of` is added to the loss against a
    teacher's results. Without a teacher's results, the loss `best_of` is not sufficient.

    Args:
        output: coefficients that the student returned (P, S, K, D).
        truth: coefficients of the recorded future (P, K, D).
        weights: weight of each coefficient and channel (K, D).
    """
    error = (output - truth[:, None]).square()
    return (weights * error).mean((-2, -1)).amin(1).mean()


def gaussian_kl(output: Tensor, result: Tensor, weights: Tensor) -> Tensor:
    """Return the divergence between the teacher's and the student's distribution of futures.

    A one-step network is deterministic, so its futures differ only because their noises differ.
    For every condition, coefficient and channel, one normal distribution (mean m, variance v) is
    fitted to the S results of the teacher, and another normal distribution (mean n, variance w) to
    the S outputs of the student for the same noises. The divergence is as follows:

        KL(teacher || student) = (v / w + (m - n)^2 / w - 1 - log(v / w)) / 2

    In this formula, SPREAD_FLOOR^2 has been added to both variances v and w. Where the futures of
    the teacher differ much, the divergence tolerates larger errors of the student. The divergence
    has three weaknesses. The means and variances are rough estimates, since there are only S
    samples. The coefficients are treated as independent of each other. The student's output for a
    noise is never compared with the teacher's result for the same noise.

    Args:
        output: coefficients that the student returned (P, S, K, D).
        result: coefficients that the teacher returned for the same noises (P, S, K, D).
        weights: weight of each coefficient and channel (K, D).
    """
    variance, mean = torch.var_mean(result, 1, correction=0)  # (P, K, D)
    own_variance, own_mean = torch.var_mean(output, 1, correction=0)
    variance, own_variance = variance + SPREAD_FLOOR**2, own_variance + SPREAD_FLOOR**2
    ratio = variance / own_variance
    divergence = ratio + (mean - own_mean).square() / own_variance - 1 - ratio.log()
    return (weights * divergence / 2).mean()
