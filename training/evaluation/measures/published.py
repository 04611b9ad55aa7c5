"""The published metrics of stochastic motion prediction, as in TransFusion's evaluation.

The distance of two poses is the L2 norm of the difference of the flattened root-relative poses, in
metres. ADE and FDE compare the samples of a window with its own future. MMADE and MMFDE compare
the samples with the futures of all windows whose history ends in a similar pose. In ADE, FDE,
MMADE and MMFDE, only the best of the S samples counts. In metrics with the ending -m, only the
median sample counts. In metrics with the ending -w, only the worst sample counts.

One rule here is not part of the published protocol: a NaN value was not measured and does not
count.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from motion_predictor_training.evaluation.measures.gaps import is_whole, norm

METRIC_NAMES = (
    *('APD', 'ADE', 'FDE', 'MMADE', 'MMFDE', 'ADE-m', 'FDE-m', 'MMADE-m', 'MMFDE-m'),
    *('ADE-w', 'FDE-w', 'MMADE-w', 'MMFDE-w'),
)


def evaluate(
    motions: ArrayLike | Tensor,
    predictions: ArrayLike | Tensor,
    history_frames: int,
    multimodal_threshold: float,
) -> dict[str, float]:
    """Return the 13 metrics of the protocol, averaged over the windows.

    Args:
        motions: whole windows (W, H + F, D), metres, relative to the root, without the root.
        predictions: predicted futures (S, W, F, D), in the form of `motions`.
        history_frames: number of observed frames H.
        multimodal_threshold: L2 distance of two flattened poses below which these poses are
            similar, metres. If the last observed poses of two windows are similar, the future of
            each window counts as a true future of the other window, too.

    Raises:
        ValueError: if the shapes of motions and predictions do not fit each other.
    """
    motions = torch.as_tensor(np.asarray(motions), dtype=torch.float32)
    predictions = torch.as_tensor(np.asarray(predictions), dtype=torch.float32)
    futures = motions[:, history_frames:]  # (W, F, D)
    if predictions.shape[1:] != futures.shape:
        raise ValueError(
            f'predictions of shape {tuple(predictions.shape)} do not fit futures of shape '
            f'{tuple(futures.shape)}: expected (samples, windows, frames, features)'
        )
    similar = similar_windows(motions[:, history_frames - 1], multimodal_threshold)
    rows = [
        window_metrics(predictions[:, window], futures[window], futures[similar[window]])
        for window in range(len(futures))
    ]
    return average(rows)


def similar_windows(last_poses: Tensor, threshold: float) -> Tensor:
    """Return which pairs of windows (W, W) have last poses (W, D) nearer than a threshold."""
    # The faster mode of cdist is inexact for poses that are near to each other.
    mode = 'donot_use_mm_for_euclid_dist'
    return torch.cdist(last_poses, last_poses, compute_mode=mode) < threshold


def average(rows: list[list[float]]) -> dict[str, float]:
    """Average the metrics over windows, and return them by name."""
    means = np.array(rows).mean(axis=0)
    return {name: float(mean) for name, mean in zip(METRIC_NAMES, means, strict=True)}


def window_metrics(samples: Tensor, truth: Tensor, similar: Tensor) -> list[float]:
    """Return the metrics of one window, in the order of METRIC_NAMES.

    Args:
        samples: predicted futures (S, F, D).
        truth: the window's own future (F, D).
        similar: futures of all M windows with a similar last pose, including this window (M, F,
            D).
    """
    if not is_whole(truth):
        measured = ~truth.isnan().all(0)  # (D,) False for legs behind a bench
        if measured.any():
            samples, truth, similar = (m[..., measured] for m in (samples, truth, similar))
    whole = is_whole(samples) and is_whole(similar)
    drawn = (samples if whole else samples.nan_to_num(0.0)).flatten(1)
    diversity = torch.pdist(drawn).mean().item() if len(samples) > 1 else 0.0
    multimodal_ade, multimodal_fde = _displacement(samples, similar, whole)  # (S, M) each
    ade, fde = _displacement(samples, truth[None], whole)  # (S, 1)
    errors = (ade, fde, multimodal_ade, multimodal_fde)
    best = [error.amin(0).nanmean().item() for error in errors]
    # The median of torch is the lower of the two middle values.
    median = [error.median(0).values.nanmean().item() for error in errors]
    worst = [error.amax(0).nanmean().item() for error in errors]
    return [diversity, *best, *median, *worst]


def _displacement(samples: Tensor, futures: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
    """Return average and final distance (S, M) between samples (S, F, D) and futures (M, F, D).

    Coordinates that are NaN are left out. A distance is NaN if all its coordinates are NaN.
    `whole` says that `samples` and `futures` contain no NaN.
    """
    average = torch.empty(len(samples), len(futures))
    final = torch.empty(len(samples), len(futures))
    # One future at a time is compared, to save memory.
    for index, future in enumerate(futures):
        if whole:
            distance = torch.linalg.vector_norm(samples - future, dim=-1)  # (S, F)
            average[:, index] = distance.mean(1)
        else:
            distance = norm(samples - future)
            average[:, index] = distance.nanmean(1)
        final[:, index] = distance[:, -1]
    return average, final
