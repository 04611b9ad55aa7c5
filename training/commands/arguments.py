"""Adds arguments that several subcommands of `train` share."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from motion_predictor.common.arguments import whole
from motion_predictor_training.config import Config, ConfigError, load_config
from motion_predictor_training.shipped import configuration_file

Stages: TypeAlias = 'argparse._SubParsersAction[argparse.ArgumentParser]'
Run = Callable[[argparse.Namespace], None]
count = whole(1)


def stage(stages: Stages, name: str, summary: str, run: Run) -> argparse.ArgumentParser:
    """Add a subcommand that calls `run` with the parsed arguments, and return its parser."""
    sub = stages.add_parser(name, help=summary, description=summary)
    sub.set_defaults(run=run)
    return sub


def add_archive(sub: argparse.ArgumentParser, *uses: str) -> None:
    """Add a required option for each use of a motion archive, for example `--train`."""
    for use in uses:
        sub.add_argument(f'--{use}', type=Path, required=True, help='motion archive (.npz)')


def add_archives(
    sub: argparse.ArgumentParser, option: str, purpose: str, required: bool = False
) -> None:
    """Add an option that takes several motion archives."""
    sub.add_argument(
        option, type=Path, nargs='+', required=required, default=[], help=f'{purpose} (.npz)'
    )


def add_out(sub: argparse.ArgumentParser, what: str) -> None:
    """Add the option `--out` for the file or folder that the command writes."""
    sub.add_argument('--out', type=Path, required=True, help=what)


def add_seed(sub: argparse.ArgumentParser, of: str) -> None:
    """Add the option `--seed` for the seed of random numbers."""
    sub.add_argument('--seed', type=whole(0), default=0, help=f'seed of {of}')


def add_seen(sub: argparse.ArgumentParser) -> None:
    """Add the option `--seen`, which names people whom the checkpoint was trained on."""
    sub.add_argument(
        '--seen',
        nargs='+',
        default=[],
        metavar='SUBJECT',
        help='subjects that were trained on, if the checkpoint does not name them',
    )


def add_config(
    sub: argparse.ArgumentParser, default: str, overrides: str = 'KEY=VALUE', what: str = ''
) -> None:
    """Add the options for a configuration (a file or a name) and for overrides."""
    sub.add_argument(
        '--config',
        type=Path,
        default=default,
        help=f'{what}YAML file, or the name of one that ships',
    )
    add_set(sub, overrides)


def add_set(sub: argparse.ArgumentParser, metavar: str) -> None:
    """Add the option `--set`, which overrides values of a configuration."""
    sub.add_argument(
        '--set',
        action='append',
        default=[],
        metavar=metavar,
        help='override a value of the configuration',
    )


def add_direct(sub: argparse.ArgumentParser) -> None:
    """Add the option `--direct`, which leaves out the stage `one-step`."""
    sub.add_argument(
        '--direct',
        action='store_true',
        help='learn from the multi-step teacher, without the stage one-step',
    )


def add_clean(sub: argparse.ArgumentParser) -> None:
    """Add the option `--clean`, which removes files that only an interrupted run would need."""
    sub.add_argument(
        '--clean',
        action='store_true',
        help='at the end, remove what only an interrupted run needs (training states and banks)',
    )


def add_measured(
    sub: argparse.ArgumentParser, archive: str, stride: int = 30, samples: int = 50
) -> None:
    """Add the options for a checkpoint and for the windows to measure it on."""
    sub.add_argument('--checkpoint', default='default', help='"default", "accurate" or a file')
    sub.add_argument('--archive', type=Path, required=True, help=archive)
    sub.add_argument(
        '--samples', type=count, default=samples, help='futures drawn for each window'
    )
    sub.add_argument(
        '--stride', type=count, default=stride, help='frames between the starts of windows'
    )


def add_files(sub: argparse.ArgumentParser) -> None:
    """Add the options for the files to which results are written."""
    sub.add_argument('--json', type=Path, help='file for the results')
    sub.add_argument('--markdown', type=Path, help='file for the results as a readable page')


def load(schema: type[Config], arguments: argparse.Namespace) -> Config:
    """Load the configuration that the arguments name, and apply the overrides."""
    return load_config(schema, configuration_file(arguments.config), arguments.set)


def by_stage(given: list[str], stages: Sequence[str]) -> dict[str, list[str]]:
    """Split overrides `stage.key=value` by stage, and return them as `key=value`."""
    overrides: dict[str, list[str]] = {name: [] for name in stages}
    for override in given:
        name, _, rest = override.partition('.')
        if name not in overrides:
            raise ConfigError(
                f'an override must begin with one of {", ".join(stages)}, got {override!r}'
            )
        overrides[name].append(rest)
    return overrides
