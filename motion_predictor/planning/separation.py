"""Speed and separation monitoring: how fast a robot may move, given how near people will come.

The protective separation distance of ISO/TS 15066, now in ISO 10218-2:2025, is
S_p = S_h + S_r + S_s + C + Z_d + Z_r: the way of the person until the robot has stopped, that of
the robot until it reacts and while it stops, an allowance for reaching in, and the uncertainty of
both places. Scaled to a share s of its speed the robot reacts in the same time, goes s times as
far, stops in s times the time and within s^2 of the distance.

S_h is what a prediction replaces: instead of 1.6 m/s towards the robot, people go where they are
predicted to go. That is not what the standard allows; nothing here is safety-rated.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor.planning.approach import nearest
from motion_predictor.planning.capsules import Capsules
from motion_predictor.planning.flesh import Bodies, Limbs
from motion_predictor.planning.outlook import Outlook
from motion_predictor.uncertainty.reach import BODY_M_S

STEPS = 100


@dataclass(frozen=True)
class Robot:
    """What has to be known of a robot at full speed."""

    speed_m_per_s: float = 1.0
    """S_r: the fastest that any point of it moves."""
    reaction_s: float = 0.1
    """T_r: from what is seen to the first braking; all of sensor, prediction and controller."""
    stop_s: float = 0.3
    """T_s: from then to standing still."""
    stop_m: float = 0.15
    """S_s: how far it goes meanwhile."""
    reach_in_m: float = 0.0
    """C"""
    uncertainty_m: float = 0.05
    """Z_d + Z_r: of places as they are measured; not of the future, which the samples show."""

    def until_stopped_s(self, scale: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return T_r + T_s at a share of full speed."""
        return self.reaction_s + self.stop_s * scale

    def needed_m(self, scale: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return S_r + S_s + C + Z_d + Z_r at a share of full speed."""
        way = self.speed_m_per_s * self.reaction_s * scale + self.stop_m * scale**2
        return way + self.reach_in_m + self.uncertainty_m

    def allowed(self, times_s: NDArray[np.float64], distances_m: NDArray[np.float64]) -> float:
        """Return the largest share of full speed that keeps the distance, 0 if none does.

        Args:
            times_s: (T,) from now, ascending, up to `reaction_s + stop_s` at least.
            distances_m: (T,) of people from where the robot is now.
        """
        scale = np.linspace(0, 1, STEPS + 1, dtype=np.float64)
        least = np.minimum.accumulate(distances_m)
        # Of two times the nearer distance holds for all between.
        at = np.searchsorted(times_s, self.until_stopped_s(scale)).clip(0, len(times_s) - 1)
        keeps = least[at] >= self.needed_m(scale)
        return float(scale[keeps].max(initial=0.0))


def distances(
    outlook: Outlook,
    robot: Capsules,
    span_s: float,
    limbs: Limbs | None = None,
    by_samples: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times (T,) from now to the end of a span, and the distance of anybody at each.

    Args:
        outlook: who is there, in the frame of the robot.
        robot: where it is now.
        span_s: how far from now.
        limbs: of the people; those that ship for their layout unless given.
        by_samples: every sample, or else the mean inflated by the radius.

    Raises:
        HorizonError: if the span is not within what is predicted.
        FleshError: if there are no limbs for the layout, no samples, or no radius.
    """
    times = outlook.instants(0.0, span_s)
    found = np.full(len(times), np.inf)
    if not outlook.is_empty:
        limbs = limbs or Limbs.for_outlook(outlook)
        make = Bodies.of_samples if by_samples else Bodies.of_mean
        for person in outlook.at(times).people:
            found = np.minimum(found, nearest(make(person, limbs), robot)[0])
        for ball in outlook.unpredicted:
            apart_m = ball.apart_m(robot, times, limbs.radii.max())
            found = np.minimum(found, apart_m.min(1))
    return times, found


def walking(
    distance_m: float, span_s: float, speed: float = BODY_M_S
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times and distances of people who come straight at the robot, as standards have it.

    Args:
        distance_m: of where they are now.
        span_s: how far from now.
        speed: metres per second; 0 for people who stay where they are.
    """
    times: NDArray[np.float64] = np.linspace(0, span_s, STEPS + 1, dtype=np.float64)
    return times, np.asarray(distance_m - speed * times, np.float64)


class Governor:
    """Turns the allowed speed into the commanded one: it falls at once, and rises slowly.

    Args:
        rise_per_s: how fast the scale may rise.
        hysteresis: how much more than now must be allowed before it rises at all.
        hold_s: for how long.
        asleep_after_s: without an update for so long, as when the process was stopped, it starts
            from standing again: whoever listens took the silence for 0 meanwhile.
    """

    def __init__(
        self,
        rise_per_s: float = 0.5,
        hysteresis: float = 0.1,
        hold_s: float = 0.3,
        asleep_after_s: float = 0.2,
    ) -> None:
        self.rise_per_s, self.hysteresis, self.hold_s = rise_per_s, hysteresis, hold_s
        self.asleep_after_s = asleep_after_s
        self.scale = 0.0
        self._since_s: float | None = None
        self._before_s: float | None = None
        self._rising = False

    def update(self, allowed: float, now_s: float) -> float:
        """Return the scale to command now.

        Args:
            allowed: at most this; anything that is no number in 0..1 is 0.
            now_s: a clock that nobody sets.
        """
        allowed = min(allowed, 1.0) if allowed >= 0 else 0.0  # NaN is not >= 0
        spent_s = 0.0 if self._before_s is None else max(0.0, now_s - self._before_s)
        self._before_s = now_s
        if spent_s > self.asleep_after_s:
            self.scale, self._since_s, self._rising, spent_s = 0.0, None, False, 0.0
        if allowed <= self.scale:
            self.scale, self._since_s, self._rising = allowed, None, False
            return self.scale
        enough = allowed >= min(self.scale + self.hysteresis, 1.0)
        if not enough and not self._rising:
            self._since_s = None
            return self.scale
        self._since_s = now_s if self._since_s is None else self._since_s
        if now_s - self._since_s >= self.hold_s:
            self._rising = True
            self.scale = min(allowed, self.scale + self.rise_per_s * spent_s)
        return self.scale
