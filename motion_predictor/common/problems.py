"""Turns errors into messages of one sentence."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

SHOWN = 80
"""Greatest number of characters of a wrong value that a message shows."""


def problem(details: ErrorDetails) -> str:
    """Return one sentence about a problem that pydantic found, with field, problem and value."""
    place = '.'.join(map(str, details['loc']))
    # The package's own validators raise value errors, whose messages already show the value.
    if details['type'] == 'value_error':
        return ': '.join(filter(None, (place, str(details['ctx']['error']))))
    value = repr(details['input'])
    value = value if len(value) <= SHOWN else f'{value[:SHOWN]}...'
    return ': '.join(filter(None, (place, f'{details["msg"]}, got {value}')))


def first_problem(error: ValidationError) -> str:
    """Return one sentence about the first problem that pydantic found."""
    return problem(error.errors()[0])


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line, or the error's type if the message is empty."""
    return ' '.join(str(error).split()) or type(error).__name__
