"""Files that are never half written for their readers."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield the path of a draft of a file. The draft replaces the file when the block ends well.

    Several processes may do so at the same time.

    Args:
        path: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix='.writing-') as folder:
        draft = Path(folder) / path.name
        yield draft
        os.replace(draft, path)
