"""Measures how long a prediction takes on this machine."""

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
    """Return a student with random weights and a made-up calibration, to measure its latency.

    An untrained student is as fast as a trained one, because no branch of the computation depends
    on the weights.

    Args:
        teacher: teacher that has the window and the layout of the student.
        network: kind and sizes of the student's network.
        samples: number of samples per prediction that the calibration is for.

    Raises:
        ValidationError: if the sizes of the network do not fit each other, or do not fit the
            window of the teacher.
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
    """Measure how long predictions for one person take with each checkpoint.

    A prediction is timed from observed positions to predicted positions, both on the CPU. The
    checkpoints take turns, so that other load on the machine affects all of them equally.

    Raises:
        ValueError: if this machine lacks the configured device.
        ConfigError: if the configured backend cannot be used here. The error message says why.
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
    """Return a predictor with the configured device, number of samples and backend."""
    with TemporaryDirectory() as folder:  # predictors are loaded from files
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
    """Time single predictions after a warm-up; return their durations, milliseconds.

    Args:
        predictor: predictor to time.
        people: number of people in each prediction.
        warmup: number of predictions that are not timed.
        predictions: number of predictions that are timed.
        gap_s: pause before each prediction, seconds.
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
