"""Defines the data that is drawn. The data come from the node, an archive or a bag."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from motion_predictor.planning.capsules import Capsules
from motion_predictor.planning.outlook import Outlook

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Robot:
    """A robot beside the people, in the frame of the people."""

    capsules: Capsules
    speed_scale: float = float('nan')
    """Share of full speed that the monitor allows; NaN if it is unknown."""


@dataclass(frozen=True)
class Moment:
    """All people at the capture of one observation, and the predictions from this observation."""

    outlook: Outlook
    """All people who are predicted. The age of the outlook is 0, so times count from the
    capture."""
    statuses: Mapping[str, str] = field(default_factory=dict)
    """Status of each listed person by id, also of people without a prediction."""
    status: str = 'OK'
    """Status of the whole message."""
    age_ms: float = float('nan')
    """Time from the capture until the prediction was published."""
    latency_ms: float = float('nan')
    """Time from the capture until the prediction arrived in this process."""
    robot: Robot | None = None
    unpredicted: Mapping[str, FloatArray] = field(default_factory=dict)
    """Joints (J, 3) as last seen, by id, of people who are not predicted; NaN if not seen."""

    @property
    def time_s(self) -> float:
        """Time at which the observation was captured."""
        return self.outlook.stamp_ns * 1e-9

    @cached_property
    def poses(self) -> dict[str, FloatArray]:
        """Joints (J, 3) of each predicted person at the capture, by id, metres.

        These poses are the predicted mean, extrapolated back to the time of the capture. Thus
        they include joints that were hidden at the capture.
        """
        return {person.id: person.mean[0] for person in self.at(0.0).people}

    def at(self, ahead_s: float) -> Outlook:
        """Return the prediction for the time `ahead_s` after the capture, as one frame (F = 1).

        For a time beyond the horizon, return the prediction at the horizon.
        """
        return self.outlook.at([min(max(ahead_s, 0.0), max(self.outlook.horizon_s, 0.0))])
