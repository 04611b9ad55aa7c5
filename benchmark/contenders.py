"""Contenders of the benchmark: checkpoints that run in an engine, with histories to predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Checkpoint
from motion_predictor.prediction import Prediction
from motion_predictor.predictor import MotionPredictor
from motion_predictor_benchmark.machine import PRECISIONS
from motion_predictor_training.data.windows import cut_windows

FloatArray = NDArray[np.float32]
ENGINES = {'cpu': ['compiled'], 'cuda': ['cuda_graph', 'tensorrt']}
"""Engines besides eager, for each type of device."""
HISTORIES = 16


@dataclass(frozen=True)
class Contender:
    """A predictor, and the histories of N people to predict (N, H, J, 3), metres, z up."""

    checkpoint: str
    predictor: MotionPredictor
    histories: FloatArray

    @cached_property
    def label(self) -> str:
        """The name of the contender in tables and plots."""
        return ' '.join(self.about.values())

    @property
    def about(self) -> dict[str, str]:
        """The names of the checkpoint, and of the engine and precision that really run."""
        engine = self.predictor.engine
        return {
            'checkpoint': self.checkpoint,
            'engine': engine.backend,
            'precision': engine.precision,
        }

    def predict(self, turn: int = 0, people: int = 1, samples: int | None = None) -> Prediction:
        """Predict this number of people, whom the index `turn` chooses from `histories`."""
        crowd = np.arange(turn * people, (turn + 1) * people)
        return self.predictor.predict(self.histories.take(crowd, axis=0, mode='wrap'), samples)


def cut_histories(archive: MotionArchive, checkpoint: Checkpoint) -> FloatArray:
    """Return up to 16 histories (N, H, J, 3), metres, spread over an archive.

    Raises:
        ArchiveError, LayoutError: if the archive has no histories that fit the checkpoint.
    """
    window, layout = checkpoint.header.window, checkpoint.header.layout
    frames = window.history_frames
    windows = cut_windows(archive, layout, window.rate_hz, frames, stride=frames)
    chosen = np.linspace(0, len(windows) - 1, min(HISTORIES, len(windows)))
    return windows.batch(chosen.astype(np.int64)).numpy()


def contenders(
    name: str,
    checkpoint: str | Path,
    archive: MotionArchive,
    backends: list[str] | None,
    device: str,
    samples: int,
    precisions: Sequence[str] = PRECISIONS,
) -> tuple[list[Contender], list[dict[str, Any]]]:
    """Load a checkpoint once in eager float32, and once for each other engine and precision.

    Args:
        name: name of the checkpoint in the tables.
        checkpoint: name or path of the checkpoint, as in `MotionPredictor.load`.
        archive: archive with the motion to predict.
        backends: names of the engines besides eager. If `backends` is None, all engines for the
            device are loaded.
        device: name of the device, as in `MotionPredictor.load`.
        samples: number of samples per person.
        precisions: precisions to try in every engine.

    Returns:
        The contenders that run in the wanted engine and precision, and a row with the reason for
        each engine that was refused.

    Raises:
        ArchiveError, CheckpointError, LayoutError, ValueError: if an argument cannot be used.
    """
    eager = MotionPredictor.load(checkpoint, device, samples, backend='eager')
    histories = cut_histories(archive, eager.checkpoint)
    running = [Contender(name, eager, histories)]
    refused = []
    engines = ENGINES[eager.device.type] if backends is None else backends
    for backend, precision in product(engines, precisions):
        predictor = MotionPredictor.load(
            checkpoint, device, samples, backend=backend, precision=precision
        )
        if predictor.engine.backend == backend:
            running.append(Contender(name, predictor, histories))
        refused += [
            {'checkpoint': name, 'engine': engine, 'precision': numbers, 'reason': reason}
            for engine, numbers, reason in predictor.engine.attempts
            if engine == backend
        ]
    return running, refused
