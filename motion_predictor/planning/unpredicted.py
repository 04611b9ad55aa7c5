"""Somebody who is there but not predicted: only their greatest possible distance is known."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion_predictor.common.rigid import Rigid
from motion_predictor.planning.capsules import Capsules, point_to_segment

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Unpredicted:
    """A person whose joints are anywhere in a ball, which grows with time."""

    id: str
    place: Array
    """(3,) metres, the middle of the ball"""
    reach_m: float
    """its radius now"""
    speed_m_per_s: float
    """how fast it grows"""

    @classmethod
    def of(cls, motion: Any, max_speed: float, age_s: float) -> 'Unpredicted':
        """Return what a PredictedMotion says.

        Args:
            motion: of somebody who is not predicted.
            max_speed: of the message, metres per second.
            age_s: time since its header's stamp.
        """
        place = np.asarray(motion.place, np.float64)
        return cls(motion.id, place, float(motion.reach) + max_speed * age_s, float(max_speed))

    def radius_m(self, times_s: ArrayLike) -> Array:
        """Return the radius of the ball (T,) at times from now."""
        return self.reach_m + self.speed_m_per_s * np.asarray(times_s, np.float64)

    def apart_m(self, robot: Capsules, times_s: ArrayLike, flesh_m: float) -> Array:
        """Return the distance (T, R) of the ball from each capsule; negative where they overlap.

        Args:
            robot: still, or at the same times.
            times_s: (T,) seconds from now.
            flesh_m: radius of the thickest limb, which is added.
        """
        radius_m = self.radius_m(times_s) + flesh_m
        starts, ends = (x.reshape(-1, 3) for x in robot.over(len(radius_m)))
        square = point_to_segment(np.broadcast_to(self.place, starts.shape), starts, ends)
        axes = np.sqrt(square).reshape(len(radius_m), -1)
        return np.asarray(axes - robot.radii - radius_m[:, None], np.float64)

    def moved(self, transform: Rigid) -> 'Unpredicted':
        """Return it in another frame."""
        return replace(self, place=np.asarray(transform(self.place), np.float64))
