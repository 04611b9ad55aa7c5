"""Keeps the last few seconds of a scene: earlier predictions, and the true motion since then."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from motion_predictor.view.moment import Moment

FloatArray = NDArray[np.float32]
SPAN_S = 4.5
"""Time that is kept: two seconds of horizon, the trails before it, and a margin."""


class Memory:
    """Keeps the moments of the last seconds in order of time."""

    def __init__(self) -> None:
        self._moments: deque[Moment] = deque()

    def add(self, moment: Moment) -> None:
        """Add the newest moment.

        If the new moment is not newer than the last one, forget all earlier moments.
        """
        if self._moments and moment.time_s <= self._moments[-1].time_s:
            self._moments.clear()
        self._moments.append(moment)
        while self._moments[0].time_s < moment.time_s - SPAN_S:
            self._moments.popleft()

    def clear(self) -> None:
        """Forget all moments."""
        self._moments.clear()

    @property
    def newest(self) -> Moment | None:
        """The last moment that was added; None if there is none."""
        return self._moments[-1] if self._moments else None

    def before(self, seconds: float) -> Moment | None:
        """Return the moment that lies `seconds` before the newest moment.

        The result is None if no moment lies within 0.1 s of the wanted time.
        """
        if not self._moments:
            return None
        wanted_s = self._moments[-1].time_s - seconds
        nearest = min(self._moments, key=lambda moment: abs(moment.time_s - wanted_s))
        gap_s = abs(nearest.time_s - wanted_s)
        return nearest if gap_s <= 0.1 else None

    def trail(self, person: str, joints: list[int], until: Moment, span_s: float) -> FloatArray:
        """Return the path (T, joints, 3) of a person's joints until a moment, oldest first."""
        places = [
            moment.poses[person][joints]
            for moment in self._moments
            if until.time_s - span_s <= moment.time_s <= until.time_s and person in moment.poses
        ]
        return np.stack(places) if places else np.empty((0, len(joints), 3), np.float32)
