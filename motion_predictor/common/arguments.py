"""Helpers for command lines: a parser whose help shows defaults, and checked numbers."""

import argparse
from collections.abc import Callable
from typing import Any, TypeVar

from motion_predictor.common.terminal import say

Number = TypeVar('Number', int, float)


class _Help(argparse.HelpFormatter):
    """Formats the help of a command, with the default of every option that has a default."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ''
        silent = action.default in (None, False, '', argparse.SUPPRESS, [], ())
        if silent or action.required or not action.option_strings or '(default:' in text:
            return text
        return f'{text} (default: %(default)s)'.lstrip()


class Parser(argparse.ArgumentParser):
    """Parses a command line. The help shows defaults, and is coloured on a terminal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Help, **options)

    def _print_message(self, message: str, file: Any = None) -> None:
        say(message.rstrip('\n'), file)


def whole(least: int, most: int = 1_000_000) -> Callable[[str], int]:
    """Return a function that parses a whole number from `least` to `most`."""
    return _between(int, 'a whole number', least, most)


def number(least: float, most: float) -> Callable[[str], float]:
    """Return a function that parses a number from `least` to `most`."""
    return _between(float, 'a number', least, most)


def _between(
    kind: Callable[[str], Number], kind_name: str, least: float, most: float
) -> Callable[[str], Number]:
    def read(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"must be {kind_name}, got '{text}'") from error
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f'must lie between {least:g} and {most:g}, got {text}'
            )
        return value

    return read
