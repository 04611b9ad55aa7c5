"""Histories with hidden joints, completed by the code of the node."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.skeleton import Layout
from motion_predictor.tracking.body import Body


class Completed(NamedTuple):
    """Histories without gaps."""

    frames: Tensor
    """(B, H, J, 3) metres."""
    doubt_m: NDArray[np.float32]
    """(B, J) how far off each joint of the last frame may be, metres; 0 if it was seen."""


def complete(seen: Tensor, hidden: NDArray[np.bool_], layout: Layout, rate_hz: float) -> Completed:
    """Complete histories in which positions are hidden or NaN.

    Limbs get their average measured length, even while they are hidden, since a real tracker has
    seen the person before. If a history would have no visible joint, none of its measured joints
    is hidden.

    Args:
        seen: positions (B, H, J, 3), metres; NaN where not measured.
        hidden: which measured joints are hidden as well (B, H, J).
        layout: layout of the joints.
        rate_hz: frames per second. Only the doubt depends on it.

    Raises:
        ValueError: if no joint of a history was measured.
    """
    body = Body(layout)
    parents = list(layout.parents)
    frames = seen.clone()
    doubt_m = np.zeros((len(seen), seen.shape[2]), np.float32)
    stamps_ns = np.round(np.arange(seen.shape[1]) * 1e9 / rate_hz).astype(np.int64)
    measured = torch.isfinite(seen).all(-1).numpy()  # (B, H, J)
    for window in np.flatnonzero((hidden | ~measured).any(axis=(1, 2))):
        visible = measured[window] & ~hidden[window]
        if not visible.any():
            visible = measured[window]
        pose = seen[window].numpy()
        whole = body.fill(pose, visible, stamps_ns, limb_lengths(pose, visible, parents))
        if whole is None:
            raise ValueError('no joint of the history was measured, so it cannot be completed')
        frames[window] = torch.from_numpy(whole.frames)
        doubt_m[window] = whole.doubt_m
    return Completed(frames, doubt_m)


def limb_lengths(
    motion: NDArray[np.float32], visible: NDArray[np.bool_], parents: Sequence[int]
) -> NDArray[np.floating]:
    """Return the lengths of limbs that are seen at least once, and NaN for the others (J,).

    The lengths are averages over all measured frames, whether the limb is seen in them or not.

    Args:
        motion: positions (T, J, 3), metres; NaN where not measured.
        visible: which joints are seen (T, J).
        parents: parent of each joint (J,).
    """
    bones = np.linalg.norm(motion - motion[:, parents], axis=-1)  # (T, J), NaN where unknown
    measured = np.isfinite(bones)
    total = np.where(measured, bones, 0).sum(0)
    seen = (visible & visible[:, parents]).any(0)
    return np.where(seen, total / np.maximum(measured.sum(0), 1), np.nan)
