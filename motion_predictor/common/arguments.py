"""Command lines: help that names defaults, and numbers that are checked."""

import argparse
from collections.abc import Callable


class Help(argparse.HelpFormatter):
    """Help with the default of every option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ''
        silent = action.default in (None, False, '', argparse.SUPPRESS, [], ())
        if silent or action.required or not action.option_strings or '(default:' in text:
            return text
        return f'{text} (default: %(default)s)'.lstrip()


def whole(least: int, most: int = 1_000_000) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"must be a whole number, got '{text}'") from error
        _require(least <= value <= most, least, most, text)
        return value

    return read


def number(least: float, most: float) -> Callable[[str], float]:
    """Return a parser of numbers from `least` to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"must be a number, got '{text}'") from error
        _require(least <= value <= most, least, most, text)
        return value

    return read


def _require(lies_within: bool, least: float, most: float, text: str) -> None:
    if not lies_within:
        raise argparse.ArgumentTypeError(f'must lie between {least:g} and {most:g}, got {text}')
