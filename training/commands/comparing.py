"""The subcommands `tune`, `ablate` and `sensitivity`, which train and compare many students."""

import argparse
from pathlib import Path

from motion_predictor.common.terminal import say
from motion_predictor_training.ablation.ablate import ablate
from motion_predictor_training.ablation.report import ablation_table
from motion_predictor_training.ablation.sensitivity import measure_sensitivity
from motion_predictor_training.ablation.sensitivity_report import sensitivity_table
from motion_predictor_training.ablation.variant import Stages as StageConfigs
from motion_predictor_training.commands.arguments import (
    Stages,
    add_archive,
    add_config,
    add_out,
    by_stage,
    count,
    load,
    stage,
)
from motion_predictor_training.config import (
    AblateConfig,
    Config,
    DistilConfig,
    SensitivityConfig,
    TeacherConfig,
    TuneConfig,
    load_config,
)
from motion_predictor_training.shipped import configuration_file, shipped_configuration
from motion_predictor_training.tuning.tune import tune


def add(stages: Stages) -> None:
    """Add the subcommands of this module to the parser of `train`."""
    _add_tune(stages)
    _add_comparisons(stages)


def _add_tune(stages: Stages) -> None:
    summary = 'Search for the most accurate student and the best balanced one.'
    sub = stage(stages, 'tune', summary, _tune)
    sub.add_argument('--teacher', type=Path, required=True, help='checkpoint to learn from')
    add_archive(sub, 'train', 'validation')
    add_out(sub, 'folder for everything that is made')
    sub.add_argument(
        '--workers', type=count, help='trials that are trained at the same time, with ray'
    )
    add_config(sub, 'tune')


def _add_comparisons(stages: Stages) -> None:
    for name, summary, run in (
        (
            'ablate',
            'Train variants of a student and compare them (parts of the method). Continues an '
            'interrupted run.',
            _ablate,
        ),
        (
            'sensitivity',
            'Train variants of a student and compare them (steps, bank, noises). '
            'Continues an interrupted run.',
            _sensitivity,
        ),
    ):
        sub = stage(stages, name, summary, run)
        add_archive(sub, 'train', 'validation')
        add_out(sub, 'folder for everything that is made')
        sub.add_argument('--teacher', type=Path, help='teacher to use instead of training one')
        if name == 'ablate':
            sub.add_argument(
                '--one-step', type=Path, help='its one-step form, instead of training that'
            )
        sub.add_argument(
            '--seeds',
            type=count,
            help='seeds that every row is averaged over (default: as in the configuration)',
        )
        add_config(sub, name, 'STAGE.KEY=VALUE')


def _tune(arguments: argparse.Namespace) -> None:
    tune(
        load(TuneConfig, arguments),
        arguments.teacher,
        arguments.train,
        arguments.validation,
        arguments.out,
        arguments.workers,
    )


def _ablate(arguments: argparse.Namespace) -> None:
    config, stages = _comparison(AblateConfig, arguments)
    archives = arguments.train, arguments.validation
    given = arguments.teacher, arguments.one_step
    say(ablation_table(ablate(config, stages, *archives, arguments.out, *given)))


def _sensitivity(arguments: argparse.Namespace) -> None:
    config, stages = _comparison(SensitivityConfig, arguments)
    archives = arguments.train, arguments.validation
    report = measure_sensitivity(config, stages, *archives, arguments.out, arguments.teacher)
    say(sensitivity_table(report))


def _comparison(
    schema: type[Config], arguments: argparse.Namespace
) -> tuple[Config, StageConfigs]:
    """Load the configuration of the comparison and the configurations of the stages."""
    own = arguments.stage
    overrides = by_stage(arguments.set, ('teacher', 'one-step', 'student', own))
    seeds = [] if arguments.seeds is None else [f'seeds={arguments.seeds}']
    path = configuration_file(arguments.config)
    return load_config(schema, path, [*overrides[own], *seeds]), StageConfigs(
        load_config(TeacherConfig, shipped_configuration('teacher'), overrides['teacher']),
        load_config(DistilConfig, shipped_configuration('one-step'), overrides['one-step']),
        load_config(DistilConfig, shipped_configuration('student'), overrides['student']),
    )
