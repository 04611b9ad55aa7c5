"""How far apart samples have to lie for people who were not trained on.

A network knows the people it was trained on better than others, and its samples agree more than
they should. What the deviations of each coefficient are multiplied by is fitted to motion of other
people, by the same proper score that the network was refined by.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import trange

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Checkpoint, CheckpointError
from motion_predictor.model import SharedTrunk
from motion_predictor.model.parametrisation import ScaledParametrisation
from motion_predictor_training.data.windows import Windows, model_features, model_windows
from motion_predictor_training.losses import COMPARED_FRAMES, Futures, energy

WINDOWS = 256
"""Windows that the factors are fitted to, of all people together."""
SAMPLES = 8
STEPS, LEARNING_RATE = 60, 0.1
CHUNK = 32


def fit_spread(checkpoint: Checkpoint, archive: MotionArchive, body_weight: float) -> Checkpoint:
    """Return a student of the kind `shared_trunk` with its factors of spread.

    Args:
        checkpoint: refined, without factors.
        archive: motion of people who were not trained on; each counts the same.
        body_weight: of whole bodies in the score, as in the refinement.

    Raises:
        CheckpointError: if the network has no deviations of its own.
    """
    header = checkpoint.header
    if header.network.kind != 'shared_trunk':
        raise CheckpointError(
            f'the spread of a {header.network.kind} cannot be fitted, only of a shared_trunk'
        )
    windows = model_windows(archive, header, stride=1)
    features = model_features(
        windows.batch(_of_each_person(windows, archive)),
        header.window.history_frames,
        header.layout.hips if header.frame == 'heading' else None,
        header.root == 'predicted',
    )
    means, deviations = _means_and_deviations(checkpoint, features)
    parametrisation = checkpoint.build_parametrisation()
    assert isinstance(parametrisation, ScaledParametrisation)
    futures = Futures(
        parametrisation, header.window.rate_hz, header.root == 'predicted', COMPARED_FRAMES
    )
    truth = futures.recorded(features)
    measured = torch.ones(truth.shape[:-1], dtype=torch.bool)
    logarithms = torch.zeros(header.window.coefficients, requires_grad=True)
    optimiser = torch.optim.Adam([logarithms], lr=LEARNING_RATE)
    for _ in trange(STEPS, desc='spread', mininterval=5.0):
        optimiser.zero_grad()
        for part in torch.arange(len(truth)).split(CHUNK):
            factors = logarithms.exp()[:, None]
            samples = futures.positions(means[part] + factors * deviations[part])
            score = energy(samples, truth[part], measured[part], futures.weights, body_weight)
            (score * len(part) / len(truth)).backward()
        optimiser.step()
    spread = tuple(round(float(factor), 4) for factor in logarithms.detach().exp())
    network = header.network.model_copy(update={'spread': spread})
    return Checkpoint(header.model_copy(update={'network': network}), checkpoint.tensors)


def _of_each_person(windows: Windows, archive: MotionArchive) -> NDArray[np.int64]:
    """Return windows, as many of each person, spread evenly over all of theirs."""
    people = np.array(archive.subjects)[windows.clips]
    names = np.unique(people)
    return np.concatenate(
        [
            own[np.linspace(0, len(own) - 1, WINDOWS // len(names)).round().astype(np.int64)]
            for own in (np.flatnonzero(people == name) for name in names)
        ]
    )


@torch.no_grad()
def _means_and_deviations(checkpoint: Checkpoint, features: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the trunk (P, 1, K, D) and the branch (P, S, K, D) add to a sample."""
    model = checkpoint.build()
    network = model.network
    assert isinstance(network, SharedTrunk)
    frames = checkpoint.header.window.history_frames
    condition = model.parametrisation.condition(features[:, :frames])
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(SAMPLES, *condition.shape[1:], generator=generator)[None]
    whole = torch.cat([model.denoise(noise, part) for part in condition.split(CHUNK)])
    network.spread.zero_()
    means = torch.cat([model.denoise(noise[:, :1], part) for part in condition.split(CHUNK)])
    return means, whole - means
