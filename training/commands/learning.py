"""The subcommands that each run one stage: teacher, one-step, student, refine, calibrate."""

import argparse
from pathlib import Path

from motion_predictor.checkpoint import load_checkpoint
from motion_predictor_training.calibration.calibrate import calibrate
from motion_predictor_training.commands.arguments import (
    Stages,
    add_archive,
    add_clean,
    add_config,
    add_direct,
    load,
    stage,
)
from motion_predictor_training.config import (
    CalibrationConfig,
    ConfigError,
    DistilConfig,
    RefineConfig,
    TeacherConfig,
)
from motion_predictor_training.files import remove_scratch
from motion_predictor_training.learning.distill import distil
from motion_predictor_training.learning.parallel import is_first
from motion_predictor_training.learning.refine import refine
from motion_predictor_training.learning.teacher import train_teacher


def add(stages: Stages) -> None:
    """Add the subcommands."""
    _add_teacher(stages)
    _add_distillation(stages)
    _add_refine(stages)
    _add_calibrate(stages)


def _add_teacher(stages: Stages) -> None:
    sub = stage(stages, 'teacher', 'Train the teacher, a TransFusion, on motion.', _teacher)
    add_archive(sub, 'train')
    _add_checkpoint(sub)
    sub.add_argument('--from', dest='start', type=Path, help='teacher to go on from')
    sub.add_argument('--validation', type=Path, help='motion archive to measure it on meanwhile')
    add_clean(sub)
    add_config(sub, 'teacher')


def _add_distillation(stages: Stages) -> None:
    for name, summary in (
        ('one-step', "Distil a teacher's many steps into one step of the same network."),
        ('student', 'Distil a one-step teacher into SwiftDiff.'),
    ):
        sub = stage(stages, name, summary, _distil)
        sub.add_argument('--teacher', type=Path, required=True, help='checkpoint to learn from')
        add_archive(sub, 'train')
        _add_checkpoint(sub)
        if name == 'student':
            add_direct(sub)
        add_clean(sub)
        add_config(sub, name)


def _add_refine(stages: Stages) -> None:
    summary = 'Refine a student on recorded futures, by a proper score.'
    sub = stage(stages, 'refine', summary, _refine)
    sub.add_argument('--student', type=Path, required=True, help='checkpoint to go on from')
    sub.add_argument(
        '--committee', type=Path, nargs='+', default=(), help='students to learn from as well'
    )
    add_archive(sub, 'train')
    _add_checkpoint(sub)
    sub.add_argument(
        '--validation', type=Path, help='other people, to whom the spread of the samples is fitted'
    )
    add_clean(sub)
    add_config(sub, 'refine')


def _add_calibrate(stages: Stages) -> None:
    summary = 'Calibrate the published sets on motion not trained on.'
    sub = stage(stages, 'calibrate', summary, _calibrate)
    sub.add_argument('--checkpoint', type=Path, required=True, help='checkpoint to calibrate')
    sub.add_argument(
        '--validation', type=Path, nargs='+', required=True, help='motion archives (.npz)'
    )
    sub.add_argument(
        '--train', type=Path, nargs='+', help='archives trained on, for there are more people'
    )
    _add_checkpoint(sub)
    add_config(sub, 'calibrate')


def _add_checkpoint(sub: argparse.ArgumentParser) -> None:
    sub.add_argument('--out', type=Path, required=True, help='checkpoint to write')


def _teacher(arguments: argparse.Namespace) -> None:
    config = load(TeacherConfig, arguments)
    train_teacher(config, arguments.train, arguments.out, arguments.start, arguments.validation)
    _clean(arguments)


def _distil(arguments: argparse.Namespace) -> None:
    config = load(DistilConfig, arguments)
    if arguments.stage == 'student':
        _require_stage(arguments.teacher, arguments.direct)
    distil(config, arguments.teacher, arguments.train, arguments.out)
    _clean(arguments)


def _require_stage(teacher: Path, direct: bool) -> None:
    """Refuse a teacher that does not stand where the student is to start from."""
    header = load_checkpoint(teacher).header
    if direct and header.sampling == 'one_step':
        raise ConfigError(f'{teacher} has one step already: leave out --direct')
    if not direct and header.sampling == 'ddim':
        raise ConfigError(
            f'{teacher} takes {header.ddim_steps} steps: distil it with `train one-step` first, '
            'or skip that with --direct'
        )


def _refine(arguments: argparse.Namespace) -> None:
    config = load(RefineConfig, arguments)
    archives = arguments.train, arguments.out, arguments.validation
    refine(config, arguments.student, *archives, arguments.committee)
    _clean(arguments)


def _clean(arguments: argparse.Namespace) -> None:
    if arguments.clean and is_first():
        remove_scratch(arguments.out)


def _calibrate(arguments: argparse.Namespace) -> None:
    config = load(CalibrationConfig, arguments)
    archives = arguments.validation, arguments.train or ()
    print(calibrate(config, arguments.checkpoint, *archives, arguments.out))
