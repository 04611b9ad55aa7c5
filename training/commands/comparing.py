"""The subcommands that train many variants and compare them: tune, ablate."""

import argparse
from pathlib import Path

from motion_predictor_training.ablation.ablate import ablate
from motion_predictor_training.ablation.plan import Stages as StageConfigs
from motion_predictor_training.ablation.report import ablation_table
from motion_predictor_training.commands.arguments import (
    Stages,
    add_archive,
    add_config,
    add_set,
    by_stage,
    count,
    load,
    stage,
)
from motion_predictor_training.config import (
    AblateConfig,
    Config,
    DistilConfig,
    TeacherConfig,
    TuneConfig,
    load_config,
)
from motion_predictor_training.shipped import configuration_file, shipped_configuration
from motion_predictor_training.tuning.tune import tune


def add(stages: Stages) -> None:
    """Add the subcommands."""
    _add_tune(stages)
    _add_ablate(stages)


def _add_tune(stages: Stages) -> None:
    summary = 'Search for the most accurate student and the best balanced one.'
    sub = stage(stages, 'tune', summary, _tune)
    sub.add_argument('--teacher', type=Path, required=True, help='checkpoint to learn from')
    add_archive(sub, 'train', 'validation')
    sub.add_argument('--out', type=Path, required=True, help='folder for all that is made')
    sub.add_argument('--workers', type=count, help='trials to train at the same time, by ray')
    add_config(sub, 'tune')


def _add_ablate(stages: Stages) -> None:
    summary = 'Train and measure what the method could have left out; resumes.'
    sub = stage(stages, 'ablate', summary, _ablate)
    add_archive(sub, 'train', 'validation')
    sub.add_argument('--out', type=Path, required=True, help='folder for all that is made')
    sub.add_argument('--teacher', type=Path, help='teacher to use instead of training one')
    sub.add_argument(
        '--seeds',
        type=count,
        help='seeds that every row is averaged over (default: as configured)',
    )
    sub.add_argument(
        '--config', type=Path, default='ablate', help='YAML file, or the name of one that ships'
    )
    add_set(sub, 'STAGE.KEY=VALUE')


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
    """Run the ablations; overrides are `stage.key=value`."""
    overrides = by_stage(arguments.set, ('teacher', 'one-step', 'student', 'ablate'))
    path = configuration_file(arguments.config)
    seeds = [] if arguments.seeds is None else [f'seeds={arguments.seeds}']
    config = load_config(AblateConfig, path, [*overrides['ablate'], *seeds])
    archives = arguments.train, arguments.validation
    report = ablate(config, _configs(overrides), *archives, arguments.out, arguments.teacher)
    print(ablation_table(report))


def _configs(overrides: dict[str, list[str]]) -> StageConfigs:
    """Return what the stages up to the student are configured as."""

    def config(schema: type[Config], name: str) -> Config:
        return load_config(schema, shipped_configuration(name), overrides[name])

    return StageConfigs(
        config(TeacherConfig, 'teacher'),
        config(DistilConfig, 'one-step'),
        config(DistilConfig, 'student'),
    )
