"""Refusals in one sentence."""

from pydantic import ValidationError


def first_problem(error: ValidationError, whole: str) -> str:
    """Return the place and text of the first problem; `whole` names the top level."""
    first = error.errors()[0]
    where = '.'.join(str(part) for part in first['loc']) or whole
    return f'{where}: {first["msg"]}'


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line; its type if it has no message."""
    return ' '.join(str(error).split()) or type(error).__name__
