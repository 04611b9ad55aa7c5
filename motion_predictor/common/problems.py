"""Turns errors into one sentence."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

SHOWN = 80
"""Greatest number of characters of a wrong value that a sentence shows."""


def problem(details: ErrorDetails) -> str:
    """Return a sentence about a problem that pydantic found: its place, its kind and the value."""
    place = '.'.join(map(str, details['loc']))
    if details['type'] == 'value_error':  # from our own validators, which name the value
        return ': '.join(filter(None, (place, str(details['ctx']['error']))))
    value = repr(details['input'])
    value = value if len(value) <= SHOWN else f'{value[:SHOWN]}...'
    return ': '.join(filter(None, (place, f'{details["msg"]}, got {value}')))


def first_problem(error: ValidationError) -> str:
    """Return a sentence about the first problem of an error; see `problem`."""
    return problem(error.errors()[0])


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line, or the error's type if it has no message."""
    return ' '.join(str(error).split()) or type(error).__name__
