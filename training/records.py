"""Keeps the records of a run (settings, data, durations) in a file beside its results."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from motion_predictor_training.evaluation.report.writing import write_json
from motion_predictor_training.files import replaced
from motion_predictor_training.learning.parallel import is_first


class Records:
    """A file of records that grows during a run. The next run continues the file.

    Args:
        path: file of the records. Only the first process writes this file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: dict[str, Any] = {'stages': {}}
        if path.is_file():
            self.content = json.loads(path.read_text())

    def put(self, **facts: Any) -> None:
        """Add facts to the records and write the file."""
        self.content |= facts
        if is_first():
            with replaced(self.path) as draft:
                write_json(self.content, draft)

    @contextmanager
    def stage(self, name: str, configuration: dict[str, Any]) -> Iterator[None]:
        """Measure how long a stage takes, and record it.

        If a stage was interrupted and is run again, the durations are added. Durations of runs
        with another configuration are not added. The duration of a run that was killed is not
        known.
        """
        before = self.content['stages'].get(name, {})
        minutes = before['minutes'] if before.get('configuration') == configuration else 0.0
        began = time.monotonic()
        try:
            yield
        finally:
            minutes = round(minutes + (time.monotonic() - began) / 60, 2)
            entry = {'minutes': minutes, 'configuration': configuration}
            self.put(stages=self.content['stages'] | {name: entry})
