"""Refusals in one sentence."""

from pydantic import ValidationError


def first_problem(error: ValidationError, whole: str) -> str:
    """Return where the first problem is and what it is; `whole` is the name of all of it."""
    first = error.errors()[0]
    where = '.'.join(str(part) for part in first['loc']) or whole
    return f'{where}: {first["msg"]}'
