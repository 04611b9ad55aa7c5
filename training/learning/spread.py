"""Fits the spread of a student's samples to people whom the student was not trained on.

A network predicts the people in its training data better than other people. For people who are not
in the training data, the samples of the network are too similar. So the deviation of each sample
from the mean of the samples is multiplied by factors, one factor for each coefficient. With these
factors, the deviations are as large as the errors of the mean for people who are not in the
training data. The mean of the samples does not change.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Checkpoint
from motion_predictor_training.data.windows import Windows, model_features, model_windows

WINDOWS = 256
"""Number of windows, of all people together, to which the factors are fitted."""
SAMPLES = 32
MOST = 10.0
"""Greatest factor that is used. If a greater one were needed, the samples would be too similar for
scaling to make sense."""
CHUNK = 16


@torch.no_grad()
def fit_spread(checkpoint: Checkpoint, archive: MotionArchive) -> Checkpoint:
    """Return a one-step checkpoint with factors that scale the spread of its samples.

    Args:
        checkpoint: one-step checkpoint without factors of spread.
        archive: motion of people whom the checkpoint was not trained on. Each person has the same
            weight.
    """
    header = checkpoint.header
    windows = model_windows(archive, header, stride=1)
    chosen = _of_each_person(windows, archive)  # (P, W)
    features = model_features(
        windows.batch(chosen.ravel()),
        header.window.history_frames,
        header.layout.facing if header.frame == 'heading' else None,
        header.root == 'predicted',
    )
    model = checkpoint.build()
    parametrisation = model.parametrisation
    condition = parametrisation.condition(features[:, : header.window.history_frames])
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, SAMPLES, *condition.shape[1:], generator=generator)
    samples = torch.cat([model.denoise(noise, part) for part in condition.split(CHUNK)])
    samples = parametrisation.complete(samples, condition)
    drawn, truth = (
        parametrisation.expand(x0).unflatten(0, chosen.shape)
        for x0 in (samples, parametrisation.encode(features))
    )
    roots = 3 if header.root == 'predicted' else 0
    of_root, of_others = (
        spread_factors(drawn[..., part], truth[..., part]).clamp(1 / MOST, MOST).tolist()
        for part in (slice(roots), slice(roots, None))
    )
    rounded = [tuple(round(factor, 4) for factor in part) for part in (of_root, of_others)]
    return Checkpoint(header.model_copy(update={'spread': tuple(rounded)}), checkpoint.tensors)


def spread_factors(samples: Tensor, truth: Tensor) -> Tensor:
    """Return the ratio of the mean's error to the samples' spread, per coefficient (K,).

    The spread is the deviation of samples from their mean. Error and spread are root mean squares
    over windows and features. The ratio of error to spread is corrected for the number of samples.
    The result is the geometric mean of the ratios of all people, so that one unusual person has
    little influence. The ratio of error to spread is 1 if the truth has the same distribution as
    the samples, or if there are no features.

    Args:
        samples: coefficients of S samples for W windows of each of P people (P, W, S, K, D),
            metres.
        truth: coefficients of the recorded futures (P, W, K, D), metres.
    """
    count, coefficients, features = samples.shape[2:]
    if not features:
        return samples.new_ones(coefficients)
    variance, mean = torch.var_mean(samples, 2)  # (P, W, K, D)
    error = (truth - mean).square().sum(-1).mean(1)  # (P, K)
    ratio = error / variance.sum(-1).mean(1) * count / (count + 1)
    return ratio.sqrt().log().mean(0).exp()


def _of_each_person(windows: Windows, archive: MotionArchive) -> NDArray[np.int64]:
    """Choose W evenly spaced windows of each of P people; return their indices (P, W)."""
    people = np.array(archive.subjects)[windows.clips]
    names = np.unique(people)
    return np.stack(
        [
            own[np.linspace(0, len(own) - 1, WINDOWS // len(names)).round().astype(np.int64)]
            for own in (np.flatnonzero(people == name) for name in names)
        ]
    )
