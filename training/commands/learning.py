"""The subcommands that each run one training stage, such as `teacher` or `student`."""

import argparse
from pathlib import Path

from motion_predictor.checkpoint import load_checkpoint
from motion_predictor.common.terminal import say
from motion_predictor_training.calibration.calibrate import calibrate
from motion_predictor_training.commands.arguments import (
    Stages,
    add_archive,
    add_archives,
    add_clean,
    add_config,
    add_direct,
    add_out,
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
    """Add the subcommands of this module to the parser of `train`."""
    _add_teacher(stages)
    _add_distillation(stages)
    _add_refine(stages)
    _add_calibrate(stages)


def _add_teacher(stages: Stages) -> None:
    sub = stage(stages, 'teacher', 'Train the teacher, a TransFusion, on motion.', _teacher)
    add_archive(sub, 'train')
    add_out(sub, 'checkpoint to write')
    sub.add_argument('--from', dest='start', type=Path, help='teacher to continue from')
    sub.add_argument(
        '--validation', type=Path, help='motion archive on which it is measured during training'
    )
    add_clean(sub)
    add_config(sub, 'teacher')


def _add_distillation(stages: Stages) -> None:
    for name, summary in (
        ('one-step', 'Distil the many steps of a teacher into one step of the same network.'),
        ('student', 'Distil a one-step teacher into a smaller network (SwiftDiff).'),
    ):
        sub = stage(stages, name, summary, _distil)
        sub.add_argument('--teacher', type=Path, required=True, help='checkpoint to learn from')
        add_archive(sub, 'train')
        add_out(sub, 'checkpoint to write')
        if name == 'student':
            add_direct(sub)
        add_clean(sub)
        add_config(sub, name)


def _add_refine(stages: Stages) -> None:
    summary = 'Refine a student with recorded futures, by a proper score.'
    sub = stage(stages, 'refine', summary, _refine)
    sub.add_argument('--student', type=Path, required=True, help='checkpoint to continue from')
    sub.add_argument(
        '--committee',
        type=Path,
        nargs='+',
        default=(),
        help='students whose average prediction it also learns',
    )
    add_archive(sub, 'train')
    add_out(sub, 'checkpoint to write')
    sub.add_argument(
        '--validation',
        type=Path,
        help='motion of other people, to fit the spread of the samples to',
    )
    add_clean(sub)
    add_config(sub, 'refine')


def _add_calibrate(stages: Stages) -> None:
    summary = 'Calibrate the published sets on motion that was not trained on.'
    sub = stage(stages, 'calibrate', summary, _calibrate)
    sub.add_argument('--checkpoint', type=Path, required=True, help='checkpoint to calibrate')
    add_archives(sub, '--validation', 'motion that was not trained on', required=True)
    add_archives(sub, '--train', 'motion that was trained on, to calibrate on more people')
    add_out(sub, 'checkpoint to write')
    add_config(sub, 'calibrate')


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
    """Refuse a teacher checkpoint that is from the wrong stage."""
    header = load_checkpoint(teacher).header
    if direct and header.sampling == 'one_step':
        raise ConfigError(f'{teacher} already takes one step: leave out --direct')
    if not direct and header.sampling == 'ddim':
        raise ConfigError(
            f'{teacher} takes {header.ddim_steps} steps: distil it with `train one-step` '
            'first, or skip that stage with --direct'
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
    archives = arguments.validation, arguments.train
    say(calibrate(config, arguments.checkpoint, *archives, arguments.out))
