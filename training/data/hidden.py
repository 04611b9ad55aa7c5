"""Estimates hidden joints in histories, with the same code as the ROS node."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.skeleton import Layout
from motion_predictor.tracking.body import Body


class Completed(NamedTuple):
    """Histories in which every joint has a position."""

    frames: Tensor
    """(B, H, J, 3) metres."""
    doubt_m: NDArray[np.float32]
    """(B, J) how far each joint of the last frame may be from its estimated position, metres; 0 if
    the joint was seen."""


def complete(seen: Tensor, hidden: NDArray[np.bool_], layout: Layout, rate_hz: float) -> Completed:
    """Estimate the positions that are hidden or NaN in histories.

    The length of a limb is its average over all frames in which it was measured. Frames in which
    `hidden` hides the limb are part of this average. These frames stand for the time before the
    history, in which a real tracker has already seen the person.

    If `hidden` would leave a history without any visible joint, `hidden` is ignored for this
    history.

    Args:
        seen: positions (B, H, J, 3), metres; NaN where not measured.
        hidden: which joints to hide although they were measured (B, H, J).
        layout: layout of the joints.
        rate_hz: frames per second. The rate changes only `doubt_m`, not the positions.

    Raises:
        ValueError: if a history has no measured joint at all.
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
    """Return the lengths of the limbs (J,), metres; NaN for a limb that is never seen.

    The length of a limb is its average over all frames in which it was measured. Frames in which
    `visible` hides the limb are part of this average.

    Args:
        motion: positions (T, J, 3), metres; NaN where not measured.
        visible: which joints the imitated tracker sees (T, J).
        parents: index of the parent of each joint (J,).
    """
    bones = np.linalg.norm(motion - motion[:, parents], axis=-1)  # (T, J), NaN where unknown
    measured = np.isfinite(bones)
    total = np.where(measured, bones, 0).sum(0)
    seen = (visible & visible[:, parents]).any(0)
    return np.where(seen, total / np.maximum(measured.sum(0), 1), np.nan)
