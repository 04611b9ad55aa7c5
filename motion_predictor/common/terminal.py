"""Prints the output of commands.

The output is coloured on a terminal, and plain in files, in pipes, or if NO_COLOR is set.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TextIO

from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.text import Text
from rich.theme import Theme
from tqdm import tqdm

from motion_predictor.common.logs import library_logs_to


class _Marks(RegexHighlighter):
    """Finds the parts of help texts and tables that get a colour."""

    base_style = 'marked.'
    highlights = (
        r'(?m)^(?P<heading>usage:|[a-z][a-z ]*:$)',  # a heading in a help text
        r'(?m)^(?P<heading>\|.*\|)\n\|[-:|]+\|$',  # the heading of a table
        r'(?m)^(?P<rule>\|[-:|]+\|)$',
        r'(?<![\w-])(?P<option>--?[a-zA-Z][\w-]*)',
        r'(?m)^(?P<problem>[\w ]+: error:)',
        r'(?m)^(?P<done>written:)',
    )


_STYLES = {'heading': 'bold', 'rule': 'dim', 'option': 'cyan', 'problem': 'red', 'done': 'green'}
_THEME = Theme({f'{_Marks.base_style}{name}': style for name, style in _STYLES.items()})
_mark = _Marks()


def say(text: str, stream: TextIO | None = None) -> None:
    """Print text to a stream, or to stdout if no stream is given."""
    _print(_mark(text), stream or sys.stdout)


def say_written(path: Path) -> None:
    """Print the path of a result that was written."""
    say(f'written: {path}')


def complain(command: str, problem: object) -> None:
    """Print the problem of a command to stderr, as one sentence."""
    _print(Text.assemble((f'{command}:', 'red'), f' {problem}'), sys.stderr)


class _Remarks(logging.Handler):
    """Prints log records as remarks of a command on stderr."""

    def __init__(self, command: str) -> None:
        super().__init__(logging.WARNING)
        self._command = command

    def emit(self, record: logging.LogRecord) -> None:
        _print(Text(f'{self._command}: {record.getMessage()}'), sys.stderr)


@contextmanager
def remarks_of(command: str) -> Iterator[None]:
    """Print each warning that the library logs, in the form of a remark by a command.

    Matplotlib warns of every missing font for formulas. These warnings are hidden, since no plot
    of this project has formulas.
    """
    logging.getLogger('matplotlib.font_manager').setLevel(logging.ERROR)
    with library_logs_to(_Remarks(command)):
        yield


def _print(text: Text, stream: TextIO) -> None:
    colours: Literal['auto'] | None = None if os.environ.get('NO_COLOR') else 'auto'
    console = Console(file=stream, theme=_THEME, color_system=colours)
    with tqdm.external_write_mode(stream):  # progress bars are drawn again below the text
        console.print(text, soft_wrap=True)
