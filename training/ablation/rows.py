"""Makes, measures and compares variants. Each variant is one row of a report."""

import platform
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motion_predictor.common.problems import one_line
from motion_predictor_training.ablation.compare import clusters_of, compare, errors_of
from motion_predictor_training.ablation.measure import measure
from motion_predictor_training.ablation.variant import Variant
from motion_predictor_training.config import ComparisonConfig
from motion_predictor_training.evaluation.report.writing import write_json
from motion_predictor_training.files import replaced

METRICS = ('ADE', 'FDE', 'APD')
EXTRAS = ('checkpoint', 'steps', 'latency_ms', 'bfloat16_error_cm', 'parameters')


def measure_rows(
    variants: Iterable[Variant],
    config: ComparisonConfig,
    about: dict[str, Any],
    validation: Path,
    out: Path,
    name: str,
    write_markdown: Callable[[dict[str, Any], Path], None],
) -> dict[str, Any]:
    """Make, measure and compare variants; write the report after each variant.

    If a variant fails, its row gives the reason, and the next call tries the variant again.

    Args:
        variants: variants to measure. A variant comes after the variant that it is compared with.
        config: settings of the measurements and comparisons.
        about: first entries of the report. The entry `data` contains the fingerprints of the
            training and validation archives.
        validation: motion archive to measure on.
        out: folder for the results, with a subfolder for each variant.
        name: name of the report's two files, without the endings `.json` and `.md`.
        write_markdown: function that writes the report as a Markdown page, for people.

    Returns:
        The report: the entries of `about`, the settings of the measurements, and the list `rows`,
        which has a row for each variant.
    """
    report: dict[str, Any] = about | {
        'configuration': config.model_dump(mode='json'),
        'threads': torch.get_num_threads(),
        'machine': platform.machine(),
        'tolerance': config.tolerance,
        'rows': [],
    }
    errors: dict[str, NDArray[np.float64]] = {}
    for variant in variants:
        row: dict[str, Any] = {'name': variant.name, 'about': variant.about, **variant.facts}
        report['rows'].append(row)
        try:
            measured = [
                measure(
                    variant.make(seed),
                    seed,
                    variant.precision,
                    validation,
                    about['data'],
                    config,
                    out / variant.folder,
                )
                for seed in range(config.seeds)
            ]
        except Exception as error:  # a failed variant does not stop the others
            row['failed'] = one_line(error)
        else:
            report['windows'] = measured[0]['windows']
            report['zero_velocity'] = _metrics(measured, 'zero_velocity')
            row |= _metrics(measured, 'model') | {'energy_m': _energy_m(measured)}
            row['ADE_of_seeds'] = [of_seed['rows']['model']['ADE'] for of_seed in measured]
            row |= {name: measured[0][name] for name in EXTRAS if name in measured[0]}
            errors[variant.name] = errors_of(measured)
            if variant.against in errors:
                ours, theirs = errors[variant.name], errors[variant.against]
                clips = clusters_of(measured[0])
                row |= {'against': variant.against}
                row |= compare(ours, theirs, clips, config.tolerance)
            elif variant.against is not None:
                row |= {'against': variant.against, 'verdict': 'not comparable'}
        with replaced(out / f'{name}.json') as draft:
            write_json(report, draft)
        with replaced(out / f'{name}.md') as draft:
            write_markdown(report, draft)
    return report


def _metrics(measured: list[dict[str, Any]], row: str) -> dict[str, float]:
    """Return the metrics of `model` or of the baseline `zero_velocity`, averaged over seeds."""
    return {
        metric: float(np.mean([of_seed['rows'][row][metric] for of_seed in measured]))
        for metric in METRICS
    }


def _energy_m(measured: list[dict[str, Any]]) -> float:
    """Return the energy score of the pose, averaged over frames, windows and seeds, metres."""
    scores = [of_seed['scores']['all']['energy_pose_m']['mean'][-1] for of_seed in measured]
    return float(np.mean(scores))
