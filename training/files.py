"""Writes files so that an interruption never leaves a half-written file under its final name."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield the path of a draft to write; after the block, replace `path` by it in one step.

    The draft of a file always has the same name, so that interrupted runs leave at most one draft
    behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'{path.name}.draft')
    yield draft
    os.replace(draft, path)


def remove_scratch(checkpoint: Path) -> None:
    """Remove the training state and the bank beside the checkpoint of a finished stage."""
    checkpoint.with_suffix('.state').unlink(missing_ok=True)
    shutil.rmtree(checkpoint.with_suffix('.bank'), ignore_errors=True)
