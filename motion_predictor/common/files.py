"""Writes files in such a way that no reader ever sees a half-written file."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield the path of a draft, which replaces the file when the block ends without an error.

    Several processes may write the same file at the same time.

    Args:
        path: path of the file to write. The folder of the file is created if it does not exist.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix='.writing-') as folder:
        draft = Path(folder) / path.name
        yield draft
        os.replace(draft, path)
