"""Measures the training steps per second of each training stage, with the settings that ship."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from motion_predictor.checkpoint import load_checkpoint
from motion_predictor.common.installed import installed
from motion_predictor_training.config import (
    DistilConfig,
    Optimisation,
    RefineConfig,
    TeacherConfig,
    load_config,
)
from motion_predictor_training.learning.distill import distil
from motion_predictor_training.learning.refine import refine
from motion_predictor_training.learning.teacher import train_teacher
from motion_predictor_training.shipped import shipped_configuration

Row = dict[str, Any]
SMALL = {
    'teacher': [
        'network={kind: transfusion, layers: 3, width: 32, heads: 2, ff_width: 32}',
        'optimisation.batch=4',
    ],
    'student': [
        'network={kind: swiftdiff, layers: 1, width: 32}',
        'optimisation.batch=4',
    ],
    'refine': ['optimisation.batch=4', 'samples=4'],
}
BANK = 'bank={size: 1024, chunk: 256}'
"""A small bank: the time of a training step does not depend on the size of the bank."""


def measure(steps: int, small: bool = False) -> Iterator[Row]:
    """Train each stage on the bundled clip, on a GPU if there is one, and yield its speed.

    The time of the start, of making the bank and of the first steps is not counted.

    Args:
        steps: number of training steps of each stage: a multiple of ten, 30 or more.
        small: whether to use tiny networks and batches, to test that the measurement runs.
    """
    clip = installed('assets', 'demo_clip.npz')
    wanted = [f'optimisation.steps={steps}']

    def settings(stage: str, *more: str) -> list[str]:
        return [*wanted, *more, *(SMALL[stage] if small else ())]

    with tempfile.TemporaryDirectory() as folder:
        teacher, student, refined = (Path(folder, f'{n}.safetensors') for n in SMALL)
        taught = load_config(TeacherConfig, shipped_configuration('teacher'), settings('teacher'))
        yield _row(
            'teacher', taught.optimisation, teacher, lambda: train_teacher(taught, clip, teacher)
        )
        one_step = load_checkpoint(teacher)
        one_step.header = one_step.header.model_copy(update={'sampling': 'one_step'})
        one_step.save(teacher)
        learnt = load_config(
            DistilConfig, shipped_configuration('student'), settings('student', BANK)
        )
        yield _row(
            'student', learnt.optimisation, student, lambda: distil(learnt, teacher, clip, student)
        )
        scored = load_config(RefineConfig, shipped_configuration('refine'), settings('refine'))
        yield _row(
            'refine', scored.optimisation, refined, lambda: refine(scored, student, clip, refined)
        )


def _row(stage: str, settings: Optimisation, out: Path, run: Callable[[], object]) -> Row:
    """Train one stage, and return its speed, which is read from the training log."""
    run()
    per_s = steps_per_s(out.with_suffix('.logs'))
    return {
        'stage': stage,
        'batch': settings.batch,
        'precision': settings.precision,
        'steps': settings.steps,
        'steps_per_s': per_s,
        'windows_per_s': per_s * settings.batch,
    }


def steps_per_s(logs: Path) -> float:
    """Return the median of the speeds in a training log, without the first entry."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(logs))
    log.Reload()
    return median([entry.value for entry in log.Scalars('steps_per_s')][1:])
