"""The subcommands that run a chain of stages: all, reproduce."""

import argparse
from pathlib import Path

from motion_predictor_training import reproduction
from motion_predictor_training.commands.arguments import (
    Stages,
    add_archive,
    add_clean,
    add_direct,
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
    """Add the subcommands."""
    _add_all(stages)
    _add_reproduce(stages)


def _add_all(stages: Stages) -> None:
    summary = 'Run a recipe from motion archive to calibrated checkpoint; resumes.'
    sub = stage(stages, 'all', summary, _all)
    sub.add_argument(
        '--config',
        type=Path,
        default='default',
        help='recipe: a YAML file, or the name of one that ships, as accurate',
    )
    add_archive(sub, 'train', 'validation')
    sub.add_argument(
        '--calibration',
        type=Path,
        nargs='+',
        default=[],
        help='archives to calibrate on (default: that of --validation)',
    )
    sub.add_argument('--test', type=Path, help='archive to measure the product on')
    sub.add_argument('--out', type=Path, required=True, help='folder for all that is made')
    add_direct(sub)
    add_clean(sub)
    add_set(sub, 'STAGE.KEY=VALUE')


def _add_reproduce(stages: Stages) -> None:
    summary = "Run the paper's chain on the paper's data; resumes."
    sub = stage(stages, 'reproduce', summary, _reproduce)
    sub.add_argument('benchmark', choices=sorted(reproduction.BENCHMARKS))
    sub.add_argument(
        '--source',
        type=Path,
        nargs='+',
        required=True,
        help='what is downloaded: data_3d_h36m.npz, or data_3d_amass.npz data_3d_amass_test.npz',
    )
    sub.add_argument('--out', type=Path, required=True, help='folder for all that is made')
    sub.add_argument(
        '--weights', type=Path, help="the authors' TransFusion (.pt), instead of training it"
    )
    sub.add_argument(
        '--samples', type=count, default=50, help='futures of a window, of which the best counts'
    )
    add_set(sub, 'STAGE.KEY=VALUE')


def _all(arguments: argparse.Namespace) -> None:
    """Run every stage of a recipe; overrides are `stage.key=value`."""
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
    print(
        reproduction.reproduce(
            arguments.benchmark,
            arguments.source,
            arguments.out,
            arguments.weights,
            by_stage(arguments.set, reproduction.STAGES),
            arguments.samples,
        )
    )
