"""People who are there but not predicted: only a limit of their movement is known."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion_predictor.common.rigid import Rigid
from motion_predictor.planning.capsules import Capsules, point_to_segment, segment_to_segment

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Unpredicted:
    """A person who is not predicted: only the last observation and the greatest speed are known.

    If the last observation had all joints, each joint is in a ball of its own, around its last
    position. Otherwise all joints of the person are in one ball.
    """

    id: str
    place: Array
    """(3,) centre of the ball around all joints, metres"""
    reach_m: float
    """radius of the ball around all joints, now"""
    speed_m_per_s: float
    """speed at which the radius grows"""
    pose: Array | None = None
    """(J, 3) joints as last seen, metres; None unless all joints were seen"""
    walked_m: float = 0.0
    """greatest distance that the person can have moved from `pose` until now"""

    @classmethod
    def of(
        cls, message: Any, motion: Any, age_s: float, speed_m_per_s: float = float('inf')
    ) -> 'Unpredicted':
        """Return the person that a PredictedMotion without a prediction describes.

        Args:
            message: the PredictedMotionArray with `motion`.
            motion: the PredictedMotion of a person who is not predicted.
            age_s: time since the stamp of the message.
            speed_m_per_s: greatest speed of the person, if less than `max_speed` of the message.
        """
        speed = min(float(message.max_speed), speed_m_per_s)
        before_s = max(0.0, _seconds(message.header.stamp) - _seconds(motion.last_seen))
        reach_m = max(0.0, float(motion.reach) - float(message.max_speed) * before_s)
        walked_m = speed * (before_s + age_s)
        pose = np.asarray(motion.last_pose, np.float64)
        whole = len(pose) == 3 * len(message.joint_names) and bool(np.isfinite(pose).all())
        return cls(
            motion.id,
            np.asarray(motion.place, np.float64),
            reach_m + walked_m,
            speed,
            pose.reshape(-1, 3) if whole else None,
            walked_m,
        )

    def radius_m(self, times_s: ArrayLike) -> Array:
        """Return the radius (T,) of the ball around all joints, at times from now."""
        return self.reach_m + self.speed_m_per_s * np.asarray(times_s, np.float64)

    def apart_m(
        self, robot: Capsules, times_s: ArrayLike, limbs: NDArray[np.int64], flesh_m: Array
    ) -> Array:
        """Return the distance between each capsule and the space the person can reach (T, R).

        A negative distance means that the capsule overlaps the space the person can reach.

        Args:
            robot: capsules, either in one pose or in T poses, one for each time.
            times_s: seconds from now (T,).
            limbs: indices of the joints at the ends of the limbs (C, 2).
            flesh_m: radii of the limbs, metres (C,). The space that the person can reach is larger
                by the radii of the limbs.
        """
        times = np.asarray(times_s, np.float64)
        starts, ends = (x.reshape(-1, 3) for x in robot.over(len(times)))  # (T * R, 3)
        if self.pose is None:
            square = point_to_segment(np.broadcast_to(self.place, starts.shape), starts, ends)
            axes, grown = np.sqrt(square) - flesh_m.max(), self.radius_m(times)
        else:
            axes = np.full(len(starts), np.inf)
            for (a, b), radius_m in zip(self.pose[limbs], flesh_m, strict=True):
                first, last = (np.broadcast_to(x, starts.shape) for x in (a, b))
                limb_m = segment_to_segment(first, last, starts, ends)
                axes = np.minimum(axes, limb_m - radius_m)
            grown = self.walked_m + self.speed_m_per_s * times
        apart = axes.reshape(len(times), -1) - robot.radii - grown[:, None]
        return np.asarray(apart, np.float64)

    def moved(self, transform: Rigid) -> 'Unpredicted':
        """Return the same person in another coordinate frame."""
        pose = None if self.pose is None else np.asarray(transform(self.pose), np.float64)
        return replace(self, place=np.asarray(transform(self.place), np.float64), pose=pose)


def _seconds(stamp: Any) -> float:
    return float(stamp.sec + stamp.nanosec * 1e-9)
