"""What is drawn at one moment, from a node, an archive or a bag."""

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
    """A robot beside the people, in their frame."""

    capsules: Capsules
    speed_scale: float = float('nan')
    """The share of full speed that the monitor allows; NaN if it is not known."""


@dataclass(frozen=True)
class Moment:
    """Everybody at the capture of one observation, and what was predicted from it."""

    outlook: Outlook
    """Everybody who is predicted, with age 0, so that times count from the capture."""
    statuses: Mapping[str, str] = field(default_factory=dict)
    """Status of everybody who is listed, by id, those without a prediction included."""
    status: str = 'OK'
    """Of the whole."""
    age_ms: float = float('nan')
    """From the capture until the prediction was published."""
    latency_ms: float = float('nan')
    """From the capture until the prediction arrived here."""
    robot: Robot | None = None
    unpredicted: Mapping[str, FloatArray] = field(default_factory=dict)
    """For people who are not predicted: where their joints (J, 3) were last seen, else NaN."""

    @property
    def time_s(self) -> float:
        """When the observation was captured."""
        return self.outlook.stamp_ns * 1e-9

    @cached_property
    def poses(self) -> dict[str, FloatArray]:
        """Where the joints (J, 3) of everybody who is predicted were at the capture, metres.

        They are extrapolated from the prediction, so that hidden joints are there too.
        """
        return {person.id: person.mean[0] for person in self.at(0.0).people}

    def at(self, ahead_s: float) -> Outlook:
        """Return what was predicted for one time after the capture (F = 1), within the horizon."""
        return self.outlook.at([min(max(ahead_s, 0.0), max(self.outlook.horizon_s, 0.0))])
