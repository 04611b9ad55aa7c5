"""The subcommands `all` and `reproduce`, which run a chain of stages."""

import argparse
from pathlib import Path

from motion_predictor.common.terminal import say
from motion_predictor_training import reproduction
from motion_predictor_training.commands.arguments import (
    Stages,
    add_archive,
    add_archives,
    add_clean,
    add_config,
    add_direct,
    add_out,
    add_set,
    by_stage,
    count,
    stage,
)
from motion_predictor_training.files import remove_scratch
from motion_predictor_training.learning.parallel import is_first
from motion_predictor_training.recipe import Archives, load_recipe, make, read_recipe
from motion_predictor_training.shipped import configuration_file


def add(stages: Stages) -> None:
    """Add the subcommands of this module to the parser of `train`."""
    _add_all(stages)
    _add_reproduce(stages)


def _add_all(stages: Stages) -> None:
    summary = (
        'Run a recipe, from motion archives to a calibrated checkpoint. Continues an '
        'interrupted run.'
    )
    sub = stage(stages, 'all', summary, _all)
    add_config(sub, 'default', 'STAGE.KEY=VALUE', 'recipe: a ')
    add_archive(sub, 'train', 'validation')
    add_archives(sub, '--calibration', 'archives to calibrate on, instead of --validation')
    sub.add_argument('--test', type=Path, help='archive to measure the finished checkpoint on')
    add_out(sub, 'folder for everything that is made')
    add_direct(sub)
    add_clean(sub)


def _add_reproduce(stages: Stages) -> None:
    summary = 'Train and measure as in the paper, on its data. Continues an interrupted run.'
    sub = stage(stages, 'reproduce', summary, _reproduce)
    sub.add_argument('benchmark', choices=sorted(reproduction.BENCHMARKS))
    sub.add_argument(
        '--source',
        type=Path,
        nargs='+',
        required=True,
        help='the downloaded files: data_3d_h36m.npz, or data_3d_amass.npz data_3d_amass_test.npz',
    )
    add_out(sub, 'folder for everything that is made')
    sub.add_argument(
        '--weights',
        type=Path,
        help='TransFusion weights of the authors (.pt), instead of training a teacher',
    )
    sub.add_argument(
        '--samples',
        type=count,
        default=50,
        help='futures drawn for each window; the best one counts',
    )
    add_set(sub, 'STAGE.KEY=VALUE')


def _all(arguments: argparse.Namespace) -> None:
    """Run every stage that a recipe file lists. Overrides have the form `stage.key=value`."""
    path = configuration_file(arguments.config, folder='recipes')
    stages = read_recipe(path, arguments.set, arguments.direct)
    archives = Archives(
        arguments.train, arguments.validation, arguments.calibration, arguments.test
    )
    make(stages, load_recipe(path).evaluate, archives, arguments.out)
    if arguments.clean and is_first():
        for checkpoint in arguments.out.glob('*.safetensors'):
            remove_scratch(checkpoint)


def _reproduce(arguments: argparse.Namespace) -> None:
    say(
        reproduction.reproduce(
            arguments.benchmark,
            arguments.source,
            arguments.out,
            arguments.weights,
            by_stage(arguments.set, reproduction.STAGES),
            arguments.samples,
        )
    )
