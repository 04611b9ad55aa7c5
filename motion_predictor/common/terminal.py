"""What commands print: coloured on a terminal, plain in files and pipes and with NO_COLOR set."""

import os
import sys
from pathlib import Path
from typing import Literal, TextIO

from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.text import Text
from rich.theme import Theme


class _Marks(RegexHighlighter):
    """Finds what is to stand out in help and tables."""

    base_style = 'marked.'
    highlights = (
        r'(?m)^(?P<heading>usage:|[a-z][a-z ]*:$)',  # of help
        r'(?m)^(?P<heading>\|.*\|)\n\|[-:|]+\|$',  # of a table
        r'(?m)^(?P<rule>\|[-:|]+\|)$',
        r'(?<![\w-])(?P<option>--?[a-zA-Z][\w-]*)',
        r'(?m)^(?P<problem>[\w ]+: error:)',
        r'(?m)^(?P<done>written:)',
    )


_STYLES = {'heading': 'bold', 'rule': 'dim', 'option': 'cyan', 'problem': 'red', 'done': 'green'}
_THEME = Theme({f'{_Marks.base_style}{name}': style for name, style in _STYLES.items()})
_mark = _Marks()


def say(text: str, stream: TextIO | None = None) -> None:
    """Print text, to stdout unless told."""
    _print(_mark(text), stream or sys.stdout)


def say_written(path: Path) -> None:
    """Print where a result lies."""
    say(f'written: {path}')


def complain(command: str, problem: object) -> None:
    """Print a problem of a command as one sentence on stderr."""
    _print(Text.assemble((f'{command}:', 'red'), f' {problem}'), sys.stderr)


def _print(text: Text, stream: TextIO) -> None:
    colours: Literal['auto'] | None = None if os.environ.get('NO_COLOR') else 'auto'
    Console(file=stream, theme=_THEME, color_system=colours).print(text, soft_wrap=True)
