"""Measures the time of a prediction without ROS messages, and the error of reduced precision."""

from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from motion_predictor_benchmark.contenders import Contender
from motion_predictor_benchmark.timing import side_by_side

MESSAGE_PERIOD_S = 0.033
SAMPLES = (1, 8, 16, 32, 50)
PEOPLE = (1, 2, 4, 8)

Row = dict[str, Any]


def engines(contenders: list[Contender], calls: int) -> list[Row]:
    """Time the prediction of one person in every engine, with and without pauses between calls."""
    rows = []
    errors_cm = _errors_cm(contenders)
    for gap_s, how in ((MESSAGE_PERIOD_S, 'with gaps'), (0.0, 'back to back')):
        timings = side_by_side({c.label: c.predict for c in contenders}, calls, gap_s, how)
        rows += [
            c.about
            | {'gap_ms': 1000 * gap_s}
            | asdict(timings[c.label])
            | {'error_p99_cm': errors_cm[c.label]}
            for c in contenders
        ]
    return rows


def scaling(
    contenders: list[Contender], calls: int, samples: tuple[int, ...], people: tuple[int, ...]
) -> list[Row]:
    """Measure how the time grows with the number of samples, and with the number of people.

    Args:
        contenders: predictors to measure.
        calls: number of calls of each predictor.
        samples: numbers of samples to measure, for one person.
        people: numbers of people to measure, with the predictor's full number of samples.
    """
    most = contenders[0].predictor.samples
    sizes = dict.fromkeys([(1, count) for count in samples if count < most])
    sizes |= dict.fromkeys((crowd, most) for crowd in people)
    rows = []
    for crowd, count in sizes:
        jobs = {}
        for c in contenders:
            c.predictor.warm_up([crowd], [count])
            jobs[c.label] = partial(c.predict, people=crowd, samples=count)
        description = f'{crowd} people, {count} samples'
        timings = side_by_side(jobs, calls, MESSAGE_PERIOD_S, description)
        rows += [
            c.about | {'people': crowd, 'samples': count} | asdict(timings[c.label])
            for c in contenders
        ]
    return rows


def _errors_cm(contenders: list[Contender]) -> dict[str, float]:
    """Return the error of each contender, by label: how far joints are from those of eager fp32.

    The error is the 99th percentile over the joints, frames and samples of all histories. All
    contenders get the same noise.
    """
    exact = {c.checkpoint: c for c in contenders if c.predictor.engine.backend == 'eager'}
    errors_cm = {}
    for c in contenders:
        distances = [
            np.linalg.norm(
                c.predict(turn).samples - exact[c.checkpoint].predict(turn).samples, axis=-1
            )
            for turn in range(len(c.histories))
        ]
        errors_cm[c.label] = 100 * float(np.percentile(distances, 99))
    return errors_cm
