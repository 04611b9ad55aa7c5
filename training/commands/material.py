"""The subcommands that make inputs of training: motion archives and imported weights."""

import argparse
from pathlib import Path

from motion_predictor.checkpoint import load_checkpoint
from motion_predictor.common.arguments import number
from motion_predictor.common.terminal import say
from motion_predictor_training.commands.arguments import (
    Stages,
    add_archives,
    add_out,
    add_seed,
    count,
    stage,
)
from motion_predictor_training.commands.preparing import add_prepare
from motion_predictor_training.data.inventory import inventory, inventory_table
from motion_predictor_training.evaluation.report.writing import write_json
from motion_predictor_training.learning.official import PRESETS, import_official
from motion_predictor_training.predicting.generate import generate


def add(stages: Stages) -> None:
    """Add the subcommands of this module to the parser of `train`."""
    add_prepare(stages)
    _add_inspect(stages)
    _add_generate(stages)
    _add_import(stages)


def _add_inspect(stages: Stages) -> None:
    sub = stage(stages, 'inspect', 'Say what is in a motion archive.', _inspect)
    sub.add_argument('archive', type=Path, help='motion archive (.npz)')
    add_archives(sub, '--others', 'archives to search for the same people')
    sub.add_argument('--json', type=Path, help='file for the results')


def _add_generate(stages: Stages) -> None:
    summary = 'Make a motion archive from the motion that a model predicts.'
    sub = stage(stages, 'generate', summary, _generate)
    sub.add_argument('--checkpoint', default='default', help='"default", "accurate" or a file')
    sub.add_argument(
        '--archive', default='bundled', help='motion to start from: "bundled" or a file (.npz)'
    )
    sub.add_argument('--clips', type=count, default=3, help='number of clips')
    sub.add_argument(
        '--seconds', type=number(0.1, 3600), default=10.0, help='length of each clip, in seconds'
    )
    add_seed(sub, 'the random noise')
    add_out(sub, 'motion archive to write')


def _add_import(stages: Stages) -> None:
    sub = stage(stages, 'import', 'Turn official weights (.pt) into a checkpoint.', _import)
    sub.add_argument('kind', choices=('transfusion', 'swiftdiff'))
    sub.add_argument('--weights', type=Path, required=True, help='state dict (.pt)')
    sub.add_argument(
        '--preset',
        choices=PRESETS,
        required=True,
        help='data set and sizes of the published network',
    )
    add_out(sub, 'checkpoint to write')
    for size in ('layers', 'width', 'heads', 'ff-width', 'ddim-steps'):
        sub.add_argument(f'--{size}', type=int, help='(default: the published size)')
    sub.add_argument(
        '--sampling',
        choices=('one_step', 'ddim'),
        default='one_step',
        help='ddim: a TransFusion with all its denoising steps, for evaluation only',
    )


def _inspect(arguments: argparse.Namespace) -> None:
    found = inventory(arguments.archive, arguments.others)
    say(inventory_table(found))
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
    say(f'{arguments.out}: {load_checkpoint(arguments.out).model_id}')
