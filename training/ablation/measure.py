"""Measures the errors and the latency of a variant."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, load_checkpoint
from motion_predictor_training.config import ComparisonConfig
from motion_predictor_training.data.windows import model_windows
from motion_predictor_training.evaluation.evaluate import evaluate_checkpoint
from motion_predictor_training.evaluation.report.writing import write_json
from motion_predictor_training.files import replaced
from motion_predictor_training.predicting.every_window import predict_windows, predictor_of
from motion_predictor_training.predicting.multi_step import Precision
from motion_predictor_training.tuning.latency import time_predictions

COMPARED = 32
"""Number of windows on which predictions in bfloat16 are compared with single precision."""
WARM_UP = 2


def measure(
    path: Path,
    seed: int,
    precision: Precision,
    validation: Path,
    facts: dict[str, str],
    config: ComparisonConfig,
    folder: Path,
) -> dict[str, Any]:
    """Measure errors and latency of a checkpoint, or return the results of an earlier call.

    Args:
        path: file of the checkpoint to measure.
        seed: number of the seed with which the checkpoint was trained. The same number is the
            seed of the noise from which futures are sampled.
        precision: numeric precision in which the network runs.
        validation: motion archive to measure on.
        facts: fingerprints of the training and validation archives. Earlier results are returned
            only if they are for the same validation archive.
        config: settings of the measurements.
        folder: folder for the results.
    """
    checkpoint = load_checkpoint(path)
    asked = config.model_dump(include={'samples', 'stride', 'batches', 'repeats'})
    causes = json.dumps([checkpoint.sha256, seed, precision, facts['validation'], asked])
    identity = hashlib.sha256(causes.encode()).hexdigest()
    file = folder / f'seed-{seed}' / 'evaluation.json'
    if file.is_file():
        known: dict[str, Any] = json.loads(file.read_text())
        if known['identity'] == identity:
            return known
    result = evaluate_checkpoint(
        path, validation, config.samples, config.stride, precision=precision, noise_seed=seed
    )
    result['parameters'] = sum(t.numel() for t in checkpoint.build_network().parameters())
    # The latency is the same for all seeds.
    if seed == 0:
        # Teachers are timed for one person only, since their many denoising steps take long.
        batches = config.batches[: None if checkpoint.header.sampling == 'one_step' else 1]
        result['latency_ms'] = {
            str(people): _latency_ms(checkpoint, people, precision, config) for people in batches
        }
        if precision == 'bfloat16':
            result['bfloat16_error_cm'] = _bfloat16_error_cm(checkpoint, validation, config)
    configuration = checkpoint.header.provenance.get('configuration', {})
    result['steps'] = configuration.get('optimisation', {}).get('steps')
    result['identity'] = identity
    with replaced(file) as draft:
        write_json(result, draft)
    return result


def _latency_ms(
    checkpoint: Checkpoint, people: int, precision: Precision, config: ComparisonConfig
) -> float:
    """Return the median duration of a prediction, milliseconds."""
    predictor = predictor_of(checkpoint, config.samples, precision=precision)
    return float(np.median(time_predictions(predictor, people, WARM_UP, config.repeats)))


def _bfloat16_error_cm(
    checkpoint: Checkpoint, validation: Path, config: ComparisonConfig
) -> dict[str, float]:
    """Return how far predicted joints move if bfloat16 replaces single precision, cm."""
    windows = model_windows(load_archive(validation), checkpoint.header, config.stride)
    chosen = np.linspace(0, len(windows) - 1, min(COMPARED, len(windows))).astype(np.int64)
    exact, rounded = (
        torch.cat([p.samples for p in predict_windows(predictor, windows.choose(chosen))])
        for predictor in (
            predictor_of(checkpoint, config.samples),
            predictor_of(checkpoint, config.samples, precision='bfloat16'),
        )
    )
    error_cm = 100 * torch.linalg.vector_norm(exact - rounded, dim=-1).numpy()
    return {
        'mean': float(error_cm.mean()),
        'p99': float(np.percentile(error_cm, 99)),
        'max': float(error_cm.max()),
    }
