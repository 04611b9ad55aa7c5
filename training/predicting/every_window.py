"""Predictions of every window of an archive, a few windows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from motion_predictor.checkpoint import Checkpoint
from motion_predictor.predictor import MotionPredictor
from motion_predictor_training.data.hidden import complete
from motion_predictor_training.data.windows import Windows
from motion_predictor_training.predicting.multi_step import Precision, build_sampler

CHUNK = 8


@dataclass(frozen=True)
class Predicted:
    """B windows of recorded motion and their predictions, metres, world frame."""

    windows: range  # indices of the B windows
    history: Tensor  # (B, H, J, 3) recorded history, in which missing joints were guessed
    doubt_m: Tensor  # (B, J) possible error of each joint in the last frame of the history
    future: Tensor  # (B, F, J, 3) recorded future; NaN for missing joints
    measured: Tensor  # (B, F, J) whether each position of the future was measured
    samples: Tensor  # (B, S, F, J, 3) predicted futures
    mean: Tensor  # (B, F, J, 3) mean of the samples
    radius: Tensor  # (B, F, J) radius of the prediction, widened by the doubt as in the node


def predictor_of(
    checkpoint: Checkpoint,
    samples: int,
    resample_noise: bool = False,
    precision: Precision = 'float32',
    coverage: float | None = None,
) -> MotionPredictor:
    """Return a predictor that samples by the method of the checkpoint, also for a teacher."""
    return MotionPredictor(
        checkpoint,
        build_sampler(checkpoint, precision),
        samples=samples,
        resample_noise=resample_noise,
        coverage=coverage,
    )


def predict_windows(predictor: MotionPredictor, windows: Windows) -> Iterator[Predicted]:
    """Yield predictions of all windows in order. Joints may be missing in a window."""
    header = predictor.checkpoint.header
    frames, rate_hz = header.window.history_frames, header.window.rate_hz
    description = header.name
    for first in tqdm(range(0, len(windows), CHUNK), desc=description, leave=False, disable=None):
        indices = range(first, min(first + CHUNK, len(windows)))
        motion = windows.batch(np.array(indices))
        measured = torch.isfinite(motion).all(-1)
        hidden = ~measured[:, :frames].numpy()
        history, doubt_m = complete(motion[:, :frames], hidden, windows.layout, rate_hz)
        prediction = predictor.predict(history.numpy()).widened(doubt_m)
        yield Predicted(
            indices,
            history,
            torch.from_numpy(doubt_m),
            motion[:, frames:],
            measured[:, frames:],
            torch.from_numpy(prediction.samples),
            torch.from_numpy(prediction.mean),
            torch.from_numpy(prediction.radius),
        )
