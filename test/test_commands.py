"""Commands print only their results, and print colours only on a terminal."""

import io
import logging
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from commands import Terminal, check, left_on, run_train
from tqdm import tqdm

from motion_predictor.archive import load_archive
from motion_predictor.common.terminal import remarks_of, say
from motion_predictor_training import cli

COLOUR = re.compile(r'\x1b\[[\d;]+m')
NAME = re.compile(r'^    ([a-z][\w-]*)(?: |$)', re.MULTILINE)


def help_of(*words: str) -> str:
    """Return the help of a command."""
    with redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit):
        cli.main([*words, '--help'])
    return out.getvalue()


@pytest.mark.parametrize(
    ('stream', 'no_color', 'coloured'),
    [(Terminal, '', True), (Terminal, '1', False), (io.StringIO, '', False)],
)
def test_colour_is_for_terminals(
    stream: type[io.StringIO], no_color: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('TERM', 'xterm-256color')
    monkeypatch.setenv('NO_COLOR', no_color)
    for name in ('FORCE_COLOR', 'TTY_COMPATIBLE'):
        monkeypatch.delenv(name, raising=False)
    out, err = stream(), stream()
    with redirect_stdout(out), redirect_stderr(err):
        assert cli.main(['tables', 'none.md', '--results', 'none']) == 2
        with pytest.raises(SystemExit):
            cli.main(['tables', 'none.md'])
        with pytest.raises(SystemExit):
            cli.main(['inspect', '--help'])
    for printed in (out.getvalue(), err.getvalue()):
        assert bool(COLOUR.search(printed)) == coloured
    assert COLOUR.sub('', out.getvalue()) == help_of('inspect')
    sentence, usage, refusal = COLOUR.sub('', err.getvalue()).splitlines()
    assert sentence.startswith('train tables: ') and usage.startswith('usage: train tables ')
    assert refusal == 'train tables: error: the following arguments are required: --results'


@pytest.mark.parametrize(
    'noise',
    [
        lambda: warnings.warn('it will change', FutureWarning, stacklevel=1),
        lambda: list(tqdm(range(3), 'left', disable=None)),
        lambda: print('unasked', file=sys.stderr),
        lambda: logging.getLogger('of another package').warning('unasked'),
        lambda: np.divide(1, np.zeros(1)),
    ],
)
def test_noise_is_noticed(noise: Callable[[], object]) -> None:
    def command(arguments: list[str]) -> int:
        noise()
        return 0

    with pytest.raises(AssertionError):
        check(command, 'noisy', [])


def test_lines_are_printed_clear_of_bars(capsys: pytest.CaptureFixture[str]) -> None:
    def command(arguments: list[str]) -> int:
        with remarks_of('busy'), tqdm(range(2), 'outer', leave=False, disable=None) as outer:
            for _ in outer:
                for _ in tqdm(range(1), 'inner', leave=False, disable=None):
                    logging.getLogger('motion_predictor.engines').warning('compiling')
                say('told')
        return 0

    assert check(command, 'busy', []) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (2 * 'told\n', 2 * 'busy: compiling\n')


def test_where_results_lie_is_asked_for() -> None:
    assert check(lambda _: print('written: x') or 0, 'told', ['--out', 'x']) == 0
    with pytest.raises(AssertionError):
        check(lambda _: print('done') or 0, 'untold', ['--out', 'x'])


def test_a_bar_that_is_taken_away_leaves_nothing() -> None:
    terminal = Terminal()
    for _ in tqdm(range(2), 'outer', file=terminal, leave=False):
        for _ in tqdm(range(2), 'inner', file=terminal, leave=False):
            tqdm.write('a line', file=terminal)
    assert '%|' in terminal.getvalue()
    assert left_on(terminal.getvalue()) == '\n'.join(['a line'] * 4)


def test_every_command_of_train_is_run_under_the_check() -> None:
    texts = [path.read_text() for path in Path(__file__).parent.rglob('*.py')]
    checked = [text for text in texts if 'run_train' in text or "prepare('" in text]
    lists = ''.join(checked).replace('cli.main([', '').replace("['prepare', ", '[')
    names = {*NAME.findall(help_of()), *NAME.findall(help_of('prepare'))} - {'prepare'}
    assert {'teacher', 'all', 'bvh', 'split'} < names
    assert {name for name in names if not re.search(rf"[\[(]'{name}'[],]", lists)} == set()


def test_generated_motion_is_an_archive(tmp_path: Path) -> None:
    out = tmp_path / 'generated.npz'
    assert run_train(['generate', '--clips', '2', '--seconds', '1', '--out', str(out)]) == 0
    archive = load_archive(out)
    assert [len(archive.clip(index)) for index in range(len(archive))] == [60, 60]
