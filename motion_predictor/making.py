"""Makes engines in another process, while the node continues to predict.

The compiler of torch is written in Python, and would block the node's interpreter for a minute.
The memory of the compiler is freed when its process ends.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from motion_predictor.common.installed import command_of
from motion_predictor.engines.choice import Attempt, Candidate
from motion_predictor.predictor import MotionPredictor

NICENESS = 19
"""The lowest priority. All other processes come first."""
TOLD = 300
"""Number of characters of the other process's output that are shown after an error."""


class Maker:
    """Makes the engines that a predictor lacks, and saves them where the predictor looks for them.

    Args:
        options: those keyword arguments of `MotionPredictor.load` on which an engine depends.
        threads: number of CPU threads that run the network.
    """

    def __init__(self, options: Mapping[str, Any], threads: int) -> None:
        arguments = json.dumps({'threads': threads, **options})
        self._process = subprocess.Popen(
            [*command_of('motion_predictor.making'), arguments],
            stdin=subprocess.PIPE,  # closes with this process; then the other process ends too
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
        )

    def wait(self, unmade: Sequence[Candidate]) -> list[Attempt]:
        """Wait until the other process ends, and return the engines that failed, with reasons.

        Args:
            unmade: the engines that the other process makes.
        """
        assert self._process.stdout is not None
        lines = self._process.stdout.read().splitlines() or ['']
        status = self._process.wait()
        if status == 0:
            return [(name, numbers, why) for name, numbers, why in json.loads(lines[-1])]
        why = f'the process that makes it ended with status {status}: {lines[-1][-TOLD:]}'
        return [(name, numbers, why) for name, numbers in unmade]

    def stop(self) -> None:
        """End the other process, even if its engines are not finished."""
        self._process.kill()


def main() -> None:
    """Make engines. Print the engines that could not be made, as JSON."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(NICENESS)
    options = json.loads(sys.argv[1])
    torch.set_num_threads(options.pop('threads'))
    predictor = MotionPredictor.load(**options)
    print('\n' + json.dumps(predictor.engine.attempts), flush=True)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == '__main__':
    main()
