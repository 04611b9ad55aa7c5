"""Refusals in one sentence."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

SHOWN = 80
"""Characters of a wrong value that a sentence shows."""


def problem(details: ErrorDetails) -> str:
    """Return the place of a problem that pydantic found, what is wrong there, and the value."""
    place = '.'.join(map(str, details['loc']))
    if details['type'] == 'value_error':  # raised by a validator of ours, which names the value
        return ': '.join(filter(None, (place, str(details['ctx']['error']))))
    value = repr(details['input'])
    value = value if len(value) <= SHOWN else f'{value[:SHOWN]}...'
    return ': '.join(filter(None, (place, f'{details["msg"]}, got {value}')))


def first_problem(error: ValidationError) -> str:
    """Return the first problem in a sentence; see `problem`."""
    return problem(error.errors()[0])


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line; its type if it has no message."""
    return ' '.join(str(error).split()) or type(error).__name__
