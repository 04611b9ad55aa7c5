"""Measures the times of several functions in turns."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

ROUNDS = 4
"""Number of rounds. Each round measures every function in turn, so that a slow phase of the
machine affects all functions equally."""
WARM_UP_CALLS = 3
"""Number of calls at the start of a round that are not measured, because caches are cold."""


@dataclass(frozen=True)
class Timing:
    """Statistics of the times that calls of a function took."""

    calls: int
    median_ms: float
    p99_ms: float
    p999_ms: float
    """99.9th percentile. With fewer than 1000 calls, it lies between the two longest times."""
    max_ms: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> 'Timing':
        """Return the statistics of the times of one or more calls."""
        quantiles = np.percentile(milliseconds, [50, 99, 99.9, 100])
        return cls(len(milliseconds), *map(float, quantiles))


def side_by_side(
    calls: Mapping[str, Callable[[int], object]], number: int, gap_s: float, description: str
) -> dict[str, Timing]:
    """Measure the times of functions in turns, so that disturbances affect all functions equally.

    Args:
        calls: functions to time, by name. A function gets the index of the call as its argument.
        number: least number of calls of each function. The real number of calls may be slightly
            larger.
        gap_s: pause before each call in seconds, like the pause between two messages. 0: no pause.
        description: text of the progress bar.
    """
    rounds = min(ROUNDS, number)
    each = math.ceil(number / rounds)
    spent_ms: dict[str, list[float]] = {name: [] for name in calls}
    with tqdm(
        total=rounds * len(calls) * each, desc=description, leave=False, disable=None
    ) as bar:
        for _ in range(rounds):
            for name, call in calls.items():
                for turn in range(WARM_UP_CALLS):
                    call(turn)
                for turn in range(each):
                    time.sleep(gap_s)
                    started_s = time.perf_counter()
                    call(turn)
                    spent_ms[name].append(1000 * (time.perf_counter() - started_s))
                    bar.update()
    return {name: Timing.of(spent) for name, spent in spent_ms.items()}
