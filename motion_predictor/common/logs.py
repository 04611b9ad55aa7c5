"""Sends the log records of the library to another place than standard error."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def library_logs_to(handler: logging.Handler) -> Iterator[None]:
    """Send the log records of the library to a handler, and only there."""
    library = logging.getLogger('motion_predictor')
    library.addHandler(handler)
    propagate, library.propagate = library.propagate, False
    try:
        yield
    finally:
        library.removeHandler(handler)
        library.propagate = propagate
