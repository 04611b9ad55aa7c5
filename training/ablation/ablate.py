"""What each part of the method is worth: the same training, one part changed at a time."""

import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import load_checkpoint
from motion_predictor.common.problems import one_line
from motion_predictor_training.ablation.compare import clusters_of, compare, errors_of
from motion_predictor_training.ablation.measure import measure
from motion_predictor_training.ablation.plan import Stages, plan
from motion_predictor_training.ablation.report import METRICS, write_ablation_markdown
from motion_predictor_training.config import AblateConfig
from motion_predictor_training.evaluation.report.writing import write_json
from motion_predictor_training.files import replaced
from motion_predictor_training.learning.teacher import train_teacher


def ablate(
    config: AblateConfig,
    stages: Stages,
    train: Path,
    validation: Path,
    out: Path,
    teacher: Path | None = None,
) -> dict[str, Any]:
    """Train and measure every variant; write the report as `ablation.json` and `ablation.md`.

    Data, seeds, network, bank size, batch and steps are the same for all students, but where a
    row says otherwise. Killed at any moment, the same call goes on with what is missing.
    A variant that fails is a row that says why, and is tried again by the next call.

    Args:
        config: what is measured.
        stages: what is trained.
        train: motion archive to learn from.
        validation: motion archive to measure on.
        out: folder for all that is made, one folder a variant.
        teacher: a trained one; None trains it.

    Returns:
        The report: what it is of, and `rows`.

    Raises:
        ValueError, OSError: if there is no teacher or no data to begin with.
    """
    facts = {'train': load_archive(train).fingerprint}
    facts['validation'] = load_archive(validation).fingerprint
    if teacher is None:
        teacher = out / 'teacher' / 'teacher.safetensors'
        train_teacher(stages.teacher, train, teacher)
    report: dict[str, Any] = {
        'teacher': load_checkpoint(teacher).model_id,
        'data': facts,
        'configuration': config.model_dump(mode='json'),
        'student': stages.student.model_dump(mode='json'),
        'threads': torch.get_num_threads(),
        'machine': platform.machine(),
        'tolerance': config.tolerance,
        'rows': [],
    }
    rows: list[dict[str, Any]] = report['rows']
    errors: dict[str, NDArray[np.float64]] = {}
    for variant in plan(config, stages, train, out, teacher):
        row: dict[str, Any] = {'name': variant.name, 'about': variant.about}
        rows.append(row)
        try:
            measured = [
                measure(
                    variant.make(seed),
                    seed,
                    variant.precision,
                    validation,
                    facts,
                    config,
                    out / variant.folder,
                )
                for seed in range(config.seeds)
            ]
        except Exception as error:  # of whatever kind, it is not to cost the other rows
            row['failed'] = one_line(error)
        else:
            report['windows'] = measured[0]['windows']
            report['zero_velocity'] = _metrics(measured, 'zero_velocity')
            row |= _metrics(measured, 'model')
            row['ADE_of_seeds'] = [of_seed['rows']['model']['ADE'] for of_seed in measured]
            extras = ('checkpoint', 'steps', 'latency_ms', 'bfloat16_error_cm', 'parameters')
            row |= {name: measured[0][name] for name in extras if name in measured[0]}
            errors[variant.name] = errors_of(measured)
            if variant.against in errors:
                ours, theirs = errors[variant.name], errors[variant.against]
                clips = clusters_of(measured[0])
                row |= {'against': variant.against}
                row |= compare(ours, theirs, clips, config.tolerance)
            elif variant.against is not None:
                row |= {'against': variant.against, 'verdict': 'not comparable'}
        with replaced(out / 'ablation.json') as draft:
            write_json(report, draft)
        with replaced(out / 'ablation.md') as draft:
            write_ablation_markdown(report, draft)
    return report


def _metrics(measured: list[dict[str, Any]], row: str) -> dict[str, float]:
    """Return the averages over seeds."""
    return {
        metric: float(np.mean([of_seed['rows'][row][metric] for of_seed in measured]))
        for metric in METRICS
    }
