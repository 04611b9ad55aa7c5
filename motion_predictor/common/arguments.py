"""For command lines: help that shows defaults, and numbers that are checked."""

import argparse
from collections.abc import Callable
from typing import TypeVar

Number = TypeVar('Number', int, float)


class Help(argparse.HelpFormatter):
    """Shows the default of every option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ''
        silent = action.default in (None, False, '', argparse.SUPPRESS, [], ())
        if silent or action.required or not action.option_strings or '(default:' in text:
            return text
        return f'{text} (default: %(default)s)'.lstrip()


def whole(least: int, most: int = 1_000_000) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` to `most`."""
    return _between(int, 'a whole number', least, most)


def number(least: float, most: float) -> Callable[[str], float]:
    """Return a parser of numbers from `least` to `most`."""
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
