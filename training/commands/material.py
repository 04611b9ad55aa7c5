"""The subcommands about what is learnt from: official weights, and motion archives."""

import argparse
from pathlib import Path

from motion_predictor.checkpoint import load_checkpoint
from motion_predictor_training.commands.arguments import Stages, count, stage
from motion_predictor_training.data.inventory import inventory, inventory_table
from motion_predictor_training.data.prepare import add_prepare
from motion_predictor_training.evaluation.report.writing import write_json
from motion_predictor_training.learning.official import PRESETS, import_official
from motion_predictor_training.predicting.generate import generate


def add(stages: Stages) -> None:
    """Add the subcommands."""
    add_prepare(stages)
    _add_inspect(stages)
    _add_generate(stages)
    _add_import(stages)


def _add_inspect(stages: Stages) -> None:
    sub = stage(stages, 'inspect', 'Say what is in a motion archive.', _inspect)
    sub.add_argument('archive', type=Path, help='motion archive (.npz)')
    sub.add_argument(
        '--others',
        type=Path,
        nargs='+',
        default=[],
        help='archives to look for the same people in',
    )
    sub.add_argument('--json', type=Path, help='file for the results')


def _add_generate(stages: Stages) -> None:
    summary = "Make a motion archive of a model's own motion."
    sub = stage(stages, 'generate', summary, _generate)
    sub.add_argument('--checkpoint', default='default', help='one that ships, or a file')
    sub.add_argument(
        '--archive', default='bundled', help='motion to start from: "bundled" or a file (.npz)'
    )
    sub.add_argument('--clips', type=count, default=3, help='clips to make')
    sub.add_argument('--seconds', type=float, default=10.0, help='length of each clip')
    sub.add_argument('--seed', type=int, default=0, help='of the noises')
    sub.add_argument('--out', type=Path, required=True, help='motion archive to write')


def _add_import(stages: Stages) -> None:
    sub = stage(stages, 'import', 'Turn official weights (.pt) into a checkpoint.', _import)
    sub.add_argument('kind', choices=('transfusion', 'swiftdiff'))
    sub.add_argument('--weights', type=Path, required=True, help='state dict (.pt)')
    sub.add_argument('--preset', choices=PRESETS, required=True, help='data set and sizes')
    sub.add_argument('--out', type=Path, required=True, help='checkpoint to write')
    for size in ('layers', 'width', 'heads', 'ff-width', 'ddim-steps'):
        sub.add_argument(f'--{size}', type=int, help='(default: the published size)')
    sub.add_argument(
        '--sampling',
        choices=('one_step', 'ddim'),
        default='one_step',
        help='ddim: a TransFusion that needs all its steps, to be evaluated',
    )


def _inspect(arguments: argparse.Namespace) -> None:
    found = inventory(arguments.archive, arguments.others)
    print(inventory_table(found))
    if arguments.json:
        write_json(found, arguments.json)


def _generate(arguments: argparse.Namespace) -> None:
    generate(
        arguments.checkpoint,
        arguments.archive,
        arguments.clips,
        arguments.seconds,
        arguments.seed,
        arguments.out,
    )


def _import(arguments: argparse.Namespace) -> None:
    checkpoint = import_official(
        arguments.kind,
        arguments.weights,
        arguments.preset,
        layers=arguments.layers,
        width=arguments.width,
        heads=arguments.heads,
        ff_width=arguments.ff_width,
        ddim_steps=arguments.ddim_steps,
        sampling=arguments.sampling,
    )
    checkpoint.save(arguments.out)
    print(f'{arguments.out}: {load_checkpoint(arguments.out).model_id}')
