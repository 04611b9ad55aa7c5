"""Prints the output of commands.

The output is coloured on a terminal, and plain in files, in pipes, or if NO_COLOR is set.
"""

import os
import sys
from pathlib import Path
from typing import Literal, TextIO

from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.text import Text
from rich.theme import Theme


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


def _print(text: Text, stream: TextIO) -> None:
    colours: Literal['auto'] | None = None if os.environ.get('NO_COLOR') else 'auto'
    Console(file=stream, theme=_THEME, color_system=colours).print(text, soft_wrap=True)
