"""Evaluation of a checkpoint beside the two baselines that every predictor must beat."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tabulate import tabulate
from torch import Tensor

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import load_checkpoint
from motion_predictor.frames import to_features
from motion_predictor_training.data.windows import Windows, cut_windows
from motion_predictor_training.metrics import (
    METRIC_NAMES,
    average,
    similar_windows,
    window_metrics,
)
from motion_predictor_training.prediction import predict_windows, predictor_of


def zero_velocity(history: Tensor, future_frames: int) -> Tensor:
    """Continue histories (B, H, J, 3) by standing still: (B, F, J, 3)."""
    return history[:, -1:].expand(-1, future_frames, -1, -1)


def constant_velocity(history: Tensor, future_frames: int) -> Tensor:
    """Continue histories (B, H, J, 3) with the velocity of their last two frames."""
    steps = torch.arange(1, future_frames + 1, dtype=history.dtype)[:, None, None]
    return history[:, -1:] + steps * (history[:, -1:] - history[:, -2:-1])


class Row:
    """What was measured of one predictor."""

    def __init__(self) -> None:
        self.protocol: list[list[float]] = []
        self.extra: list[list[float]] = []

    EXTRA = ('root_ADE_m', 'root_ADE_of_mean_m', 'MPJPE_of_mean_mm', 'ADE_of_mean')

    def add(self, samples: Tensor, truth: Tensor, similar: Tensor) -> None:
        """Measure one window: samples (S, F, J, 3), truth (F, J, 3), similar (M, F, D)."""
        features = to_features(samples, with_root=False)  # (S, F, D)
        pose = to_features(truth, with_root=False)  # (F, D)
        self.protocol.append(window_metrics(features, pose, similar))
        mean = samples.mean(0)
        distance = torch.linalg.vector_norm
        root = distance(samples[:, :, 0] - truth[:, 0], dim=-1).mean(1).amin()
        root_of_mean = distance(mean[:, 0] - truth[:, 0], dim=-1).mean()
        joints = distance(mean - truth, dim=-1).mean() * 1000
        of_mean = distance(features.mean(0) - pose, dim=-1).mean()
        self.extra.append([x.item() for x in (root, root_of_mean, joints, of_mean)])

    def summary(self) -> dict[str, float]:
        """Return all measures, averaged over the windows."""
        extra = np.mean(self.extra, axis=0).tolist()
        return average(self.protocol) | dict(zip(self.EXTRA, extra, strict=True))


def evaluate_checkpoint(
    checkpoint_path: str | Path,
    archive_path: Path,
    samples: int = 50,
    stride: int = 30,
    multimodal_threshold: float = 0.4,
) -> dict[str, Any]:
    """Measure a checkpoint on an archive as the published protocol does, with more beside it.

    Args:
        checkpoint_path: "default" or a file.
        archive_path: a motion archive.
        samples: S of best of S.
        stride: frames between the starts of windows.
        multimodal_threshold: see `metrics`; published are 0.5 on Human3.6M and 0.4 on AMASS.

    Returns:
        `rows` of the model and both baselines, `coverage` of the radius where calibrated, and
        what they were measured on. Metres unless a name says otherwise.
    """
    checkpoint = load_checkpoint(checkpoint_path)
    window = checkpoint.header.window
    archive = load_archive(archive_path)
    frames = window.history_frames + window.future_frames
    windows = cut_windows(archive, checkpoint.header.layout, window.rate_hz, frames, stride)
    similar = similar_windows(
        to_features(_frames(windows, window.history_frames - 1), with_root=False)[:, 0],
        multimodal_threshold,
    )
    rows = {name: Row() for name in ('model', 'zero_velocity', 'constant_velocity')}
    covered = []
    for predicted in predict_windows(predictor_of(checkpoint, samples), windows):
        error = torch.linalg.vector_norm(predicted.future - predicted.mean, dim=-1)
        covered.append((error <= predicted.radius).float())  # (B, F, J)
        baselines = {
            'zero_velocity': zero_velocity(predicted.history, window.future_frames),
            'constant_velocity': constant_velocity(predicted.history, window.future_frames),
        }
        for i, index in enumerate(predicted.windows):
            others = np.flatnonzero(similar[index].numpy())
            futures = windows.batch(others)[:, window.history_frames :]
            pose_futures = to_features(futures, with_root=False)
            truth = predicted.future[i]
            rows['model'].add(predicted.samples[i], truth, pose_futures)
            for name, future in baselines.items():
                rows[name].add(future[i, None], truth, pose_futures)
    result: dict[str, Any] = {
        'checkpoint': checkpoint.model_id,
        'archive': archive.fingerprint,
        'windows': len(windows),
        'stride': stride,
        'samples': samples,
        'rows': {name: row.summary() for name, row in rows.items()},
    }
    if checkpoint.header.calibration is not None:
        inside = torch.cat(covered).mean((0, 2))  # (F,)
        result['coverage'] = {
            'nominal': checkpoint.header.calibration.coverage,
            'reached': inside.mean().item(),
            'reached_at_s': {
                f'{t:g}': inside[min(len(inside), round(t * window.rate_hz)) - 1].item()
                for t in (0.5, 1.0, 1.5, 2.0)
                if round(t * window.rate_hz) <= len(inside)
            },
        }
    return result


def _frames(windows: Windows, offset: int) -> Tensor:
    """Return one frame (W, 1, J, 3) of every window."""
    return torch.from_numpy(windows.motion[windows.starts + offset][:, None])


def table(result: dict[str, Any]) -> str:
    """Return the rows as a table for a terminal, also valid Markdown."""
    columns = [*METRIC_NAMES[:5], 'ADE-m', 'ADE-w', *Row.EXTRA]
    rows = [[name, *(row[c] for c in columns)] for name, row in result['rows'].items()]
    return tabulate(rows, ['', *columns], tablefmt='github', floatfmt='.3f')


def write_json(result: dict[str, Any], path: Path) -> None:
    """Write a result for programs to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + '\n')
