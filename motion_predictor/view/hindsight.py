"""Measures how good the predictions of the last half minute were."""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from motion_predictor.planning.outlook import HorizonError
from motion_predictor.view.memory import Memory

AHEAD_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Times ahead at which predictions are compared with the true motion."""
WINDOW_S = 30.0


class Comparison(NamedTuple):
    """The errors of one person's prediction for one time ahead."""

    time_s: float
    error_m: float
    """Distance between the mean and the true pose, averaged over the joints."""
    still_m: float
    """Distance between the pose at the prediction and the true pose, averaged over the joints."""
    inside: float
    """Share of the joints that lie inside their ball; NaN if there are no balls."""


@dataclass(frozen=True)
class Row:
    """Average errors of predictions over the last half minute, for one time ahead."""

    ahead_s: float
    count: int
    error_m: float
    still_m: float
    inside: float


class Hindsight:
    """Compares every new observation with the earlier predictions for the same time.

    The poses that count as true are the poses that the predictor used. True poses include joints
    that the predictor filled in.
    """

    def __init__(self) -> None:
        self._rows: dict[float, deque[Comparison]] = {ahead: deque() for ahead in AHEAD_S}

    def clear(self) -> None:
        """Forget all comparisons."""
        for rows in self._rows.values():
            rows.clear()

    def update(self, memory: Memory) -> None:
        """Compare the newest observation with the earlier predictions for the same time."""
        newest = memory.newest
        if newest is None:
            return
        for ahead_s, rows in self._rows.items():
            while rows and not newest.time_s - WINDOW_S <= rows[0].time_s <= newest.time_s:
                rows.popleft()
            then = memory.before(ahead_s)
            if then is None or not then.outlook.people:
                continue
            try:  # the earlier prediction, at the time of the newest moment
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
        """Return average errors of the last half minute: a row per time ahead that has data."""
        return [
            Row(ahead_s, len(rows), *(float(v) for v in np.mean([r[1:] for r in rows], axis=0)))
            for ahead_s, rows in self._rows.items()
            if rows
        ]
