"""Draws random windows as inputs of a model."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Header
from motion_predictor.model.mirror import Mirror
from motion_predictor_training.config import Augmentation
from motion_predictor_training.data.augment import Drawer
from motion_predictor_training.data.pool import pool_of
from motion_predictor_training.data.windows import Windows, model_features

FITTED_TO = 4096
"""Number of windows from which the scales of a parametrisation are computed."""


class Example(NamedTuple):
    """Random windows in the frame of the model."""

    features: Tensor
    """(B, H + F, D)."""
    measured: Tensor
    """(B, F, J) whether each position of the future was measured."""


class Examples:
    """Draws windows from an archive and converts them to the features of a model.

    Args:
        windows: windows of the archive, with the layout, rate and lengths of the model.
        archive: archive that the windows are from.
        header: header of the model's checkpoint.
        augmentation: settings of the random changes to the windows.
        device: torch device for the features.
    """

    def __init__(
        self,
        windows: Windows,
        archive: MotionArchive,
        header: Header,
        augmentation: Augmentation,
        device: torch.device,
    ) -> None:
        self.history_frames = header.window.history_frames
        self.facing = header.layout.facing if header.frame == 'heading' else None
        self.with_root = header.root == 'predicted'
        self.mirror = Mirror(header.layout.mirrored, self.with_root).to(device)
        pool = pool_of(windows, archive, header.window.rate_hz, augmentation.balance, device)
        self.drawer = Drawer(pool, self.history_frames, augmentation)

    def __call__(self, count: int) -> Example:
        """Draw `count` windows at random, with the random numbers of torch."""
        drawn = self.drawer(count)
        features = model_features(drawn.motion, self.history_frames, self.facing, self.with_root)
        return Example(features, drawn.measured)

    def for_scales(self) -> Tensor:
        """Draw features from which the scales of a parametrisation are computed.

        The features (2 FITTED_TO, H + F, D) are those of FITTED_TO windows and of the mirror
        images of these windows. So the scales of left and right joints are equal.
        """
        features = self(FITTED_TO).features
        return torch.cat([features, self.mirror(features)])


def seed_torch(*parts: int | Sequence[int]) -> None:
    """Seed the random numbers of torch, on all devices, with a hash of several numbers."""
    flat = np.concatenate([np.atleast_1d(part) for part in parts]).tolist()
    torch.manual_seed(int(np.random.SeedSequence(flat).generate_state(1, np.uint64)[0] >> 1))
