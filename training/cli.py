"""The `train` command.

The subcommands of `train` run the stages of training, measure and compare.
"""

import argparse

import torch

from motion_predictor.common.arguments import Parser
from motion_predictor.common.terminal import complain, remarks_of, say_written
from motion_predictor_training.commands import chains, comparing, learning, material, measuring
from motion_predictor_training.commands.arguments import count
from motion_predictor_training.learning.memory import keep_freed_memory
from motion_predictor_training.learning.parallel import is_first, processes


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog='train',
        description='Train, distil, calibrate and evaluate motion predictors.',
    )
    parser.add_argument(
        '--threads',
        type=count,
        default=1,
        help='CPU threads of each process; two are faster on idle cores, and much slower '
        'beside another busy process',
    )
    stages = parser.add_subparsers(dest='stage', required=True, metavar='STAGE')
    for commands in (material, learning, chains, comparing, measuring):
        commands.add(stages)
    return parser


def _say_where(arguments: argparse.Namespace) -> None:
    """Print the paths of the files and folders that a command has written."""
    for name in ('out', 'record', 'json', 'summary', 'markdown', 'plots', 'plot', 'pages'):
        paths = getattr(arguments, name, None) or []
        for path in paths if isinstance(paths, list) else [paths]:
            say_written(path)


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand, and return the exit status of the process.

    If something is wrong, one sentence is printed on stderr and the exit status is 2.
    """
    arguments = _parser().parse_args(argv)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    try:
        with remarks_of(f'train {arguments.stage}'), processes():
            arguments.run(arguments)
            if is_first():
                _say_where(arguments)
    except ModuleNotFoundError as error:
        complain(
            f'train {arguments.stage}',
            f'the Python package {error.name} is missing: install it with '
            f'`pip install {error.name}`',
        )
        return 2
    except (ValueError, OSError) as error:  # the project's own errors derive from ValueError
        complain(f'train {arguments.stage}', error)
        return 2
    return 0
