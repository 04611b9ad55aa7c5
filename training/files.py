"""Files that are written repeatedly, by a run that may be interrupted at any moment."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield the path of a draft of a file, which replaces the file in one step.

    The draft always has the same name, so that interrupted runs leave at most one draft behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'{path.name}.draft')
    yield draft
    os.replace(draft, path)


def remove_scratch(checkpoint: Path) -> None:
    """Remove what a finished stage no longer needs beside its checkpoint: state and bank."""
    checkpoint.with_suffix('.state').unlink(missing_ok=True)
    shutil.rmtree(checkpoint.with_suffix('.bank'), ignore_errors=True)
