"""Finds what is installed with the package."""

import sys
from importlib import resources
from pathlib import Path


def installed(*parts: str) -> Path:
    """Return the path of a file or folder inside the installed package."""
    return Path(str(resources.files('motion_predictor'))).joinpath(*parts)


def command_of(module: str) -> list[str]:
    """Return a command that runs an installed module; its arguments follow.

    Before Python 3.11, `python -m` would look in the current folder first. If the current folder
    holds this package's sources, `python -m` would run the sources instead of the installed
    module.
    """
    path = 'import runpy, sys; sys.path = [folder for folder in sys.path if folder]'
    run = f'runpy.run_module({module!r}, run_name="__main__", alter_sys=True)'
    return [sys.executable, '-c', f'{path}; {run}']
