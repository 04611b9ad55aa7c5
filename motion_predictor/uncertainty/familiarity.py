"""Measures how familiar observed motion is, to tell whether a calibration applies to this motion.

A person's pose at three instants of the history is compared with poses of the calibration set. The
comparison uses the directions of the limbs in the heading frame, the lengths of the limbs, and the
size of the body. The score is the squared Mahalanobis distance, averaged over the three instants.

The result is a conformal p-value: the share of the calibration set whose scores are at least as
large as the person's score (Vovk et al. 2005; for anomalies Laxhammar and Falkman 2010). A person
of the calibration set is scored by a distribution that was fitted without this person.
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from motion_predictor.skeleton import Layout

FloatArray = NDArray[np.float32]
INSTANT_S = 8 / 60
"""Time over which a pose is averaged, to reduce the noise of the tracker."""
DIRECTION, LENGTH, SIZE = 0.12, 0.12, 0.08
"""Usual differences between studios, trackers and bodies: in the direction of a limb, in the
logarithm of a limb's length, and in the logarithm of the size of the body."""
SHORTEST_M = 1e-3
LEVELS = 64
"""Number of p-values for which a score is stored."""


class Familiarity(BaseModel):
    """Describes the data to which a checkpoint's `familiarity.*` tensors were fitted."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    people: Annotated[int, Field(ge=1, le=1_000_000)]
    """Number of people in the calibration set. A person's scores come from a fit to the others."""
    windows: Annotated[int, Field(ge=1, le=100_000_000)]
    """Number n of windows of these people that are half a second apart. No p-value is below
    1 / (n + 1)."""

    def shapes(self, joints: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor of the familiarity test, by the name of the tensor."""
        features = 4 * (joints - 1) + 1
        return {
            'familiarity.mean': (features,),
            'familiarity.whitening': (features, features),
            'familiarity.scores': (LEVELS,),
        }

    def levels(self) -> NDArray[np.float64]:
        """Return the p-values (LEVELS,), descending, for which scores are stored."""
        return np.exp(np.linspace(0, -np.log(self.windows + 1), LEVELS))


class Poses:
    """Turns histories into poses that do not depend on the person's position and heading.

    Args:
        layout: layout of the joints.
        frames: number of frames of a history, H.
        rate_hz: frames per second.
    """

    def __init__(self, layout: Layout, frames: int, rate_hz: float) -> None:
        self._parents = np.array(layout.parents[1:])
        self._hips = layout.hips
        self._span = min(frames, max(1, round(INSTANT_S * rate_hz)))
        self._starts = np.unique(np.linspace(0, frames - self._span, 3).round().astype(int))

    def __call__(self, history: FloatArray) -> FloatArray:
        """Return the poses of histories (P, H, J, 3), metres, at N instants.

        Returns:
            Directions and lengths of the limbs and size of the body (P, N, 4 (J - 1) + 1). The
            values are divided by the usual differences between studios, trackers and bodies.
        """
        # Coordinates relative to the last root avoid the rounding errors of large coordinates.
        near = history - history[:, -1:, :1]
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
    """Return limbs (..., L, 3), rotated about the vertical so that `across` (..., 3) is +y."""
    length = np.hypot(across[..., 0], across[..., 1])
    flat = length > SHORTEST_M
    length = np.maximum(length, SHORTEST_M)
    x = np.where(flat, across[..., 0] / length, 0)[..., None]
    y = np.where(flat, across[..., 1] / length, 1)[..., None]
    forward = limbs[..., 0] * y - limbs[..., 1] * x
    sideways = limbs[..., 0] * x + limbs[..., 1] * y
    return np.stack([forward, sideways, limbs[..., 2]], -1)


def strangeness(poses: FloatArray, mean: FloatArray, whitening: FloatArray) -> FloatArray:
    """Return scores (P,): squared Mahalanobis distances of poses (P, N, D), averaged over N."""
    off = (poses - mean) @ whitening
    return (off * off).sum(-1).mean(-1)


class FamiliarityTest:
    """Tells how familiar histories are.

    Args:
        familiarity: description of the data to which the tensors were fitted.
        tensors: the tensors, in the order of `Familiarity.shapes`.
        poses: function that turns histories into poses.
    """

    def __init__(self, familiarity: Familiarity, tensors: list[FloatArray], poses: Poses) -> None:
        self._mean, self._whitening, self._scores = tensors
        self._logs = np.log(familiarity.levels())
        self._poses = poses

    def __call__(self, history: FloatArray) -> FloatArray:
        """Return the p-value (P,) of each history (P, H, J, 3), metres, z up."""
        scores = strangeness(self._poses(history), self._mean, self._whitening)
        return np.exp(np.interp(scores, self._scores, self._logs)).astype(np.float32)
