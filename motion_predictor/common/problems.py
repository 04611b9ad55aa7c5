"""Refusals in one sentence."""

from pydantic import ValidationError


def first_problem(error: ValidationError, whole: str) -> str:
    """Return where the first problem is and what it is; `whole` is the name of all of it."""
    first = error.errors()[0]
    where = '.'.join(str(part) for part in first['loc']) or whole
    return f'{where}: {first["msg"]}'


def one_line(error: BaseException) -> str:
    """Return what an error says in one line; its kind if it says nothing."""
    return ' '.join(str(error).split()) or type(error).__name__
