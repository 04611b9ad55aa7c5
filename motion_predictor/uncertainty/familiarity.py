"""Measures how familiar observed motion is, and so whether a calibration applies to it.

The pose of a person at three instants of the history is compared with poses of the calibration
set: the directions of the limbs in the heading frame, their lengths, and the size of the body. The
score is the squared Mahalanobis distance, averaged over the instants. It gives a conformal p-value
(Vovk et al. 2005; for anomalies Laxhammar and Falkman 2010). This is the share of the calibration
set with scores at least as large. There, each person is scored by a fit to all other people.
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from motion_predictor.skeleton import Layout

FloatArray = NDArray[np.float32]
INSTANT_S = 8 / 60
"""A pose is averaged over this time, to reduce the noise of the tracker."""
DIRECTION, LENGTH, SIZE = 0.12, 0.12, 0.08
"""Usual differences between studios, trackers and bodies: in the direction of a limb, in the
logarithm of its length, and in the logarithm of the size of the body."""
SHORTEST_M = 1e-3
LEVELS = 64
"""Number of p-values for which a score is stored."""


class Familiarity(BaseModel):
    """The data that the tensors `familiarity.*` of a checkpoint were fitted to."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    people: Annotated[int, Field(ge=1, le=1_000_000)]
    """Number of people in the fit. Each person's scores come from a fit to all the others."""
    windows: Annotated[int, Field(ge=1, le=100_000_000)]
    """n, number of windows of these people that are half a second apart. No p-value is below
    1 / (n + 1)."""

    def shapes(self, joints: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the tensors, by name."""
        features = 4 * (joints - 1) + 1
        return {
            'familiarity.mean': (features,),
            'familiarity.whitening': (features, features),
            'familiarity.scores': (LEVELS,),
        }

    def levels(self) -> NDArray[np.float64]:
        """Return the p-values (LEVELS,), descending, of the stored scores."""
        return np.exp(np.linspace(0, -np.log(self.windows + 1), LEVELS))


class Poses:
    """Turns histories into poses that do not depend on position and heading.

    Args:
        layout: of the joints.
        frames: H, number of frames of a history.
        rate_hz: frames per second.
    """

    def __init__(self, layout: Layout, frames: int, rate_hz: float) -> None:
        self._parents = np.array(layout.parents[1:])
        self._hips = layout.hips
        self._span = min(frames, max(1, round(INSTANT_S * rate_hz)))
        self._starts = np.unique(np.linspace(0, frames - self._span, 3).round().astype(int))

    def __call__(self, history: FloatArray) -> FloatArray:
        """Return poses (P, N, 4 (J - 1) + 1) at N instants of histories (P, H, J, 3), metres."""
        near = history - history[:, -1:, :1]  # avoids rounding of large coordinates
        ends = [near[:, start : start + self._span].mean(1) for start in self._starts]
        poses = np.stack(ends, 1)  # (P, N, J, 3)
        limbs = poses[:, :, 1:] - poses[:, :, self._parents]
        if self._hips is not None:
            left, right = self._hips
            limbs = _facing(limbs, poses[:, :, left] - poses[:, :, right])
        lengths = np.maximum(np.sqrt((limbs * limbs).sum(-1)), SHORTEST_M)
        directions = limbs / (lengths * DIRECTION)[..., None]
        size = np.log(lengths.sum(-1, keepdims=True)) / SIZE
        flat = directions.reshape(*directions.shape[:2], -1)
        return np.concatenate([flat, np.log(lengths) / LENGTH, size], -1)


def _facing(limbs: FloatArray, across: FloatArray) -> FloatArray:
    """Turn limbs (..., L, 3) about the vertical so that `across` (..., 3) points to +y."""
    length = np.hypot(across[..., 0], across[..., 1])
    flat = length > SHORTEST_M
    length = np.maximum(length, SHORTEST_M)
    x = np.where(flat, across[..., 0] / length, 0)[..., None]
    y = np.where(flat, across[..., 1] / length, 1)[..., None]
    forward = limbs[..., 0] * y - limbs[..., 1] * x
    sideways = limbs[..., 0] * x + limbs[..., 1] * y
    return np.stack([forward, sideways, limbs[..., 2]], -1)


def strangeness(poses: FloatArray, mean: FloatArray, whitening: FloatArray) -> FloatArray:
    """Return the score (P,) of poses (P, N, D), given the mean and the whitening."""
    off = (poses - mean) @ whitening
    return (off * off).sum(-1).mean(-1)


class FamiliarityTest:
    """Says how familiar histories are.

    Args:
        familiarity: the description of the tensors.
        tensors: in the order of `Familiarity.shapes`.
        poses: turns histories into poses.
    """

    def __init__(self, familiarity: Familiarity, tensors: list[FloatArray], poses: Poses) -> None:
        self._mean, self._whitening, self._scores = tensors
        self._logs = np.log(familiarity.levels())
        self._poses = poses

    def __call__(self, history: FloatArray) -> FloatArray:
        """Return the p-value (P,) of each history (P, H, J, 3): metres, z up."""
        scores = strangeness(self._poses(history), self._mean, self._whitening)
        return np.exp(np.interp(scores, self._scores, self._logs)).astype(np.float32)
