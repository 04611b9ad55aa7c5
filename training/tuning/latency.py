"""How long a prediction takes, measured on the machine that it runs on."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from tqdm import tqdm

from motion_predictor.checkpoint import Checkpoint
from motion_predictor.predictor import MotionPredictor
from motion_predictor.uncertainty.calibration import Calibration
from motion_predictor_training.config import ConfigError, LatencyConfig
from motion_predictor_training.tuning.results import Latency

TURNS = 5


def untrained(teacher: Checkpoint, network: object, samples: int) -> Checkpoint:
    """Return a student as it will be deployed, with a calibration, but with random weights.

    It is as fast as a trained one: no branch of the computation depends on the weights.

    Args:
        teacher: teacher with the window and the layout of the student.
        network: sizes of the student's network.
        samples: number of samples that the student is calibrated for.

    Raises:
        ValidationError: if the sizes do not fit each other or the window of the teacher.
    """
    calibration = Calibration(
        kind='floored',
        coverages=(0.95,),
        samples=(samples,),
        frames=(1,),
        speeds=(),
        body_speeds=(),
        paces=(),
        people=1,
        windows=19,
    )
    header = teacher.header.model_validate(
        teacher.header.model_dump()
        | {'network': network, 'sampling': 'one_step', 'calibration': calibration}
    )
    weights = header.network.build(header.features, header.window.coefficients)
    student = Checkpoint.of(header, weights, teacher.build_parametrisation())
    student.tensors |= {name: torch.ones(shape) for name, shape in calibration.shapes().items()}
    return student


def measure_latencies(checkpoints: Sequence[Checkpoint], config: LatencyConfig) -> list[Latency]:
    """Time the predictions of one person, from observed to predicted positions on the CPU.

    Checkpoints take turns, so that other load affects all of them equally.

    Raises:
        ValueError: if there is no such device.
        ConfigError: if the backend cannot be used. The message says why.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    took_ms: list[list[float]] = [[] for _ in checkpoints]
    try:
        predictors = [_predictor(checkpoint, config) for checkpoint in checkpoints]
        for _ in tqdm(
            range(TURNS), desc='latency', leave=False, disable=len(checkpoints) == 1 or None
        ):
            for predictor, own_ms in zip(predictors, took_ms, strict=True):
                count = math.ceil(config.predictions / TURNS)
                own_ms += time_predictions(predictor, 1, config.warmup, count, config.gap_s)
    finally:
        torch.set_num_threads(before)
    return [_latency(own_ms) for own_ms in took_ms]


def _predictor(checkpoint: Checkpoint, config: LatencyConfig) -> MotionPredictor:
    """Return a predictor that runs as the configuration says."""
    with TemporaryDirectory() as folder:  # engines are cached by the hash of a checkpoint's file
        path = Path(folder) / 'student.safetensors'
        checkpoint.save(path)
        predictor = MotionPredictor.load(
            path, config.device, config.samples, backend=config.backend
        )
    if predictor.engine.backend != config.backend:
        refused = '; '.join(outcome for _, _, outcome in predictor.engine.attempts)
        raise ConfigError(f'latency.backend {config.backend} cannot be used here: {refused}')
    return predictor


def _latency(took_ms: list[float]) -> Latency:
    least_ms, median_ms, p99_ms = np.percentile(took_ms, (0, 50, 99)).tolist()
    return Latency(least_ms=least_ms, median_ms=median_ms, p99_ms=p99_ms)


def time_predictions(
    predictor: MotionPredictor, people: int, warmup: int, predictions: int, gap_s: float = 0.0
) -> list[float]:
    """Return the times of predictions after a warm-up, milliseconds.

    Args:
        predictor: predictor to time.
        people: number of people in each prediction.
        warmup: number of predictions that are not timed.
        predictions: number of predictions that are timed.
        gap_s: pause before each prediction.
    """
    header = predictor.checkpoint.header
    shape = (people, header.window.history_frames, len(header.layout.joints), 3)
    history = np.random.default_rng(0).standard_normal(shape, np.float32)
    took_ms = []
    for _ in range(warmup + predictions):
        time.sleep(gap_s)
        started_s = time.perf_counter()
        predictor.predict(history)
        took_ms.append(1e3 * (time.perf_counter() - started_s))
    return took_ms[warmup:]
