"""Computes the metrics of the published protocol for an archive, a few windows at a time."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.model.frames import to_features
from motion_predictor_training.data.windows import Windows
from motion_predictor_training.evaluation.measures.gaps import is_whole, norm
from motion_predictor_training.evaluation.measures.published import METRIC_NAMES, window_metrics
from motion_predictor_training.predicting.every_window import Predicted

SIMILAR_AT_ONCE = 256


def protocol_metrics(
    rows: dict[str, Tensor], predicted: Predicted, windows: Windows, threshold: float
) -> dict[str, dict[str, Tensor]]:
    """Return the protocol's metrics (B,) of each row (model or baseline), by METRIC_NAMES.

    Args:
        rows: predicted futures of each row (B, S, F, J, 3), metres; NaN where the true future is
            NaN.
        predicted: predictions of B windows, with their histories and recorded futures.
        windows: all W windows of the archive, including the B windows.
        threshold: distance of two poses below which these poses are similar, metres, see
            `published`.
    """
    features = {row: to_features(samples, False) for row, samples in rows.items()}
    future = predicted.future
    truth = to_features(future, False)  # (B, F, D)
    similar = _similar(predicted, windows, threshold)  # (B, W)
    metrics: dict[str, list[NDArray[np.float64]]] = {row: [] for row in rows}
    for i in range(len(future)):
        others = np.flatnonzero(similar[i])
        parts = np.array_split(others, np.ceil(len(others) / SIMILAR_AT_ONCE))
        measured: dict[str, list[list[float]]] = {row: [] for row in rows}
        for part in parts:
            futures = to_features(windows.batch(part)[:, -future.shape[1] :], False)
            for row in rows:
                measured[row].append(window_metrics(features[row][i], truth[i], futures))
        for row, of_parts in measured.items():
            metrics[row].append(_average(np.array(of_parts), parts))
    return {
        row: dict(zip(METRIC_NAMES, torch.from_numpy(np.stack(values)).unbind(1), strict=True))
        for row, values in metrics.items()
    }


def _average(of_parts: NDArray[np.float64], parts: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Return the averages over all similar windows (13,) from averages over n parts (n, 13)."""
    known = np.isfinite(of_parts)
    weight = known * np.array([len(part) for part in parts])[:, None]
    with np.errstate(invalid='ignore'):
        return (weight * np.where(known, of_parts, 0)).sum(0) / weight.sum(0)


def _similar(predicted: Predicted, windows: Windows, threshold: float) -> NDArray[np.bool_]:
    """Return which of all W windows end their history in a pose similar to B windows' (B, W).

    Two poses are compared by the joints that were measured in both poses. Each window counts as
    similar to itself.
    """
    offset = predicted.history.shape[1] - 1
    last = torch.from_numpy(windows.motion[windows.starts + offset])  # (W, J, 3)
    poses = to_features(last, False)
    chosen = torch.tensor(list(predicted.windows))
    if is_whole(poses):
        # The faster mode of cdist is inexact for poses that are near to each other.
        exact = 'donot_use_mm_for_euclid_dist'
        return (torch.cdist(poses[chosen], poses, compute_mode=exact) < threshold).numpy()
    near = torch.stack([norm(poses - pose) < threshold for pose in poses[chosen]])
    near[torch.arange(len(chosen)), chosen] = True
    return near.numpy()
