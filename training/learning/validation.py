"""Measures a teacher during its training, on people who are not in the training data."""

import numpy as np
import torch
from torch import nn

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Checkpoint
from motion_predictor.model.frames import to_features
from motion_predictor_training.config import ValidationConfig
from motion_predictor_training.data.windows import model_windows
from motion_predictor_training.predicting.multi_step import build_sampler

CHUNK = 8
"""Number of windows that are predicted at a time."""


class Validation:
    """Measures the best-of-S ADE on a fixed subset of an archive's windows, with fixed noise.

    Args:
        config: number of steps between measurements, number of windows and number of samples.
        checkpoint: checkpoint of the teacher, whose settings and scales are used. The network's
            weights in this checkpoint are not used.
        archive: motion of people who are not in the training data.

    Raises:
        ArchiveError, LayoutError: if the archive has no windows for this model.
    """

    def __init__(
        self, config: ValidationConfig, checkpoint: Checkpoint, archive: MotionArchive
    ) -> None:
        header = checkpoint.header
        window = header.window
        windows = model_windows(archive, header, stride=1)
        spread = np.linspace(0, len(windows) - 1, config.windows).astype(np.int64)
        self.every = config.every
        self._motion = windows.batch(np.unique(spread))  # (W, H + F, J, 3)
        self._history_frames = window.history_frames
        self._sampler = build_sampler(checkpoint)
        generator = torch.Generator().manual_seed(0)
        shape = (config.samples, window.coefficients, header.features)
        self._noise = torch.randn(shape, generator=generator)  # (S, K, D)

    @torch.inference_mode()
    def __call__(self, network: nn.Module, step: int) -> dict[str, float]:
        """Return the ADE (metres) of a network for root-relative poses, as in `published`."""
        device = next(network.parameters()).device
        self._sampler.to(device).network.load_state_dict(network.state_dict())
        # With the official parametrisation, sampling adds noise to the condition. This noise must
        # be the same in every measurement.
        torch.manual_seed(0)
        best = []
        for motion in self._motion.split(CHUNK):
            history, future = motion.to(device).tensor_split([self._history_frames], dim=1)
            samples = self._sampler(history, self._noise.to(device))  # (B, S, F, J, 3)
            error = to_features(samples, False) - to_features(future, False)[:, None]
            distance = torch.linalg.vector_norm(error, dim=-1)  # (B, S, F)
            best.append(distance.mean(-1).amin(-1))
        return {'ADE_m': torch.cat(best).mean().item()}
