"""Chooses three windows of an evaluation to plot: an easy, a typical and a hard one."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion_predictor.archive import MotionArchive, load_archive
from motion_predictor.checkpoint import load_checkpoint
from motion_predictor_training.data.windows import Windows, model_windows
from motion_predictor_training.predicting.every_window import (
    Predicted,
    predict_windows,
    predictor_of,
)

SHOWN = {'easy': 0.1, 'typical': 0.5, 'hard': 0.9}
"""Labels of the windows to plot, each with its quantile of the model's ADE."""


def choose_shown(
    errors: NDArray[np.float32], windows: Windows, archive: MotionArchive
) -> list[dict[str, Any]]:
    """Choose three windows to plot, or fewer if there are few, by the model's ADE (W,) on each."""
    order = np.argsort(errors, kind='stable')[: np.isfinite(errors).sum()]
    if not len(order):
        return []
    chosen = {int(order[round(at * (len(order) - 1))]): label for label, at in SHOWN.items()}
    return [
        {
            'label': label,
            'window': index,
            'clip': archive.clip_names[windows.clips[index]],
            'subject': archive.subjects[windows.clips[index]],
            'category': archive.categories[windows.clips[index]],
            'ADE': float(errors[index]),
        }
        for index, label in chosen.items()
    ]


def predict_shown(
    checkpoint_path: str | Path, archive_path: Path, result: dict[str, Any]
) -> Predicted:
    """Predict the windows that a result names in `shown` again, with the same settings."""
    checkpoint = load_checkpoint(checkpoint_path)
    archive = load_archive(archive_path)
    windows = model_windows(archive, checkpoint.header, result['stride'], partial=True)
    shown = [entry['window'] for entry in result['shown']]
    windows = windows.choose(np.array(shown))
    (predicted,) = predict_windows(predictor_of(checkpoint, result['samples']), windows)
    return predicted
