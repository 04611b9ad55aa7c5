"""Measures how good the predictions of the last half minute were."""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from motion_predictor.planning.outlook import HorizonError
from motion_predictor.view.memory import Memory

AHEAD_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Times ahead at which predictions are compared with what then happened."""
WINDOW_S = 30.0


class Comparison(NamedTuple):
    """One person's prediction for one time ahead, compared with what then happened."""

    time_s: float
    error_m: float
    """Distance of the mean from what then happened, averaged over the joints."""
    still_m: float
    """The same distance for the assumption that the person stays where they were."""
    inside: float
    """Share of the joints inside their ball; NaN if there are no balls."""


@dataclass(frozen=True)
class Row:
    """Averages over the last half minute, for one time ahead."""

    ahead_s: float
    count: int
    error_m: float
    still_m: float
    inside: float


class Hindsight:
    """Compares every new moment with the earlier predictions for it.

    The true poses are those of the predictor, including joints that it filled in.
    """

    def __init__(self) -> None:
        self._rows: dict[float, deque[Comparison]] = {ahead: deque() for ahead in AHEAD_S}

    def clear(self) -> None:
        """Forget everything."""
        for rows in self._rows.values():
            rows.clear()

    def update(self, memory: Memory) -> None:
        """Compare the newest moment with the predictions made before it."""
        newest = memory.newest
        if newest is None:
            return
        for ahead_s, rows in self._rows.items():
            while rows and not newest.time_s - WINDOW_S <= rows[0].time_s <= newest.time_s:
                rows.popleft()
            then = memory.before(ahead_s)
            if then is None or not then.outlook.people:
                continue
            try:  # interpolate to exactly the time of the newest moment
                predicted = then.outlook.at([newest.time_s - then.time_s])
            except HorizonError:
                continue
            for person in predicted.people:
                now = newest.poses.get(person.id)
                if now is None:
                    continue
                error = np.linalg.norm(person.mean[0] - now, axis=-1)
                still = np.linalg.norm(then.poses[person.id] - now, axis=-1)
                radius = person.radius[0]
                inside = (error <= radius).mean() if np.isfinite(radius).all() else np.nan
                comparison = (float(error.mean()), float(still.mean()), float(inside))
                rows.append(Comparison(newest.time_s, *comparison))

    def rows(self) -> list[Row]:
        """Return the averages of the last half minute, for the times ahead that have data."""
        return [
            Row(ahead_s, len(rows), *(float(v) for v in np.mean([r[1:] for r in rows], axis=0)))
            for ahead_s, rows in self._rows.items()
            if rows
        ]
