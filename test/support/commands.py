"""Commands as a person at a terminal sees them; whatever a test runs has to be quiet."""

import gc
import io
import logging
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from motion_predictor_training import cli

FILES = {'--out', '--record', '--json', '--summary', '--markdown', '--plots', '--plot'}
"""Options of `train` that name where a result goes."""
NOISE = re.compile(r'\w*Warning: .*|\d+%\|.*')
"""Warnings of Python and progress bars, in what a process printed."""
NEVER_SHOWN = (ResourceWarning, PendingDeprecationWarning, ImportWarning)
"""Warnings that no user sees. DeprecationWarning is another, but is to be mended in time."""


class Terminal(io.StringIO):
    """A stand-in for a terminal, so that progress bars are shown."""

    def isatty(self) -> bool:
        """Return true: this stream counts as a terminal."""
        return True


class _Copying(Terminal):
    """One output stream of a command. Text written to it also appears on the terminal."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def write(self, text: str) -> int:
        """Write."""
        self._terminal.write(text)
        return super().write(text)


def left_on(written: str) -> str:
    """Return the text that a terminal shows in the end, after progress bars overwrote lines."""
    lines, row, column = [''], 0, 0
    for part in re.split(r'(\r|\n|\x1b\[A)', written):
        if part == '\r':
            column = 0
        elif part == '\x1b[A':
            row -= 1
        elif part == '\n':
            row, column = row + 1, 0
            lines += [''] * (row + 1 - len(lines))
        else:
            before, after = lines[row][:column], lines[row][column + len(part) :]
            lines[row], column = before.ljust(column) + part + after, column + len(part)
    return '\n'.join(line.rstrip() for line in lines).rstrip()


def run_train(arguments: Sequence[str]) -> int:
    """Run `train` in this process and return its exit status.

    After a success, the last output names the place of the result, and stderr holds only remarks
    that begin with the name of the command. After a refusal, stderr holds one sentence. In both
    cases no progress bar is left on the terminal, and Python gives no warning. Meanwhile, objects
    that earlier tests left behind are not freed, as they could warn or print.
    """
    return check(cli.main, 'train', arguments)


def check(main: Callable[[list[str]], int], name: str, arguments: Sequence[str]) -> int:
    """Run a command in this process, as `run_train` does, and return its exit status."""
    terminal = Terminal()
    out, err = _Copying(terminal), _Copying(terminal)
    gc.freeze()
    try:
        with (
            mock.patch.dict('os.environ', NO_COLOR='1'),
            mock.patch.object(logging.getLogger(), 'handlers', []),  # else pytest keeps the logs
            warnings.catch_warnings(record=True) as warned,
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            warnings.simplefilter('default')
            status = main(list(arguments))
    finally:
        gc.unfreeze()
        said, complained = out.getvalue().rstrip(), left_on(err.getvalue()).strip()
        sys.stdout.write(out.getvalue())
        sys.stderr.write(f'{complained}\n' if complained else '')
    heard = [f'{w.category.__name__}: {w.message}' for w in warned]
    shown = [str(w.message) for w in warned if not issubclass(w.category, NEVER_SHOWN)]
    assert not shown, heard
    remarks = complained.splitlines()
    assert all(re.match(rf'{name}\b.*: .', remark) for remark in remarks), 'each is one sentence'
    if status:
        assert remarks, 'a refusal says why'
        return status
    left = [line for line in left_on(terminal.getvalue()).splitlines() if line not in remarks]
    assert '\n'.join(left).rstrip() == left_on(said), 'bars leave nothing behind'
    if FILES & {argument.split('=')[0] for argument in arguments}:
        assert said.splitlines()[-1].startswith('written: ')
    return status
