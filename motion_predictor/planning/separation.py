"""Speed and separation monitoring: how fast a robot may move, given how near people will come.

The protective separation distance of ISO/TS 15066, now in ISO 10218-2:2025, is
S_p = S_h + S_r + S_s + C + Z_d + Z_r:

- S_h: distance that the person moves until the robot has stopped;
- S_r: distance that the robot moves until it reacts;
- S_s: distance that the robot moves while it brakes;
- C: allowance for reaching in;
- Z_d and Z_r: uncertainty of the positions of the person and of the robot.

If the robot moves at a share s of its full speed, the reaction time of the robot stays the same
and the distance S_r is multiplied by s. The braking time is then multiplied by s, and the braking
distance S_s by s^2.

This module replaces S_h by the prediction: people move as predicted, instead of at 1.6 m/s towards
the robot. The standard does not allow a prediction in place of S_h. The module is not
safety-rated.
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
    """Speed and stopping behaviour of a robot at full speed."""

    speed_m_per_s: float = 1.0
    """Speed of the robot's fastest point. S_r is this speed times the reaction time."""
    reaction_s: float = 0.1
    """T_r: time from the observation to the start of braking; includes sensor, prediction and
    controller."""
    stop_s: float = 0.3
    """T_s: time from the start of braking to standstill."""
    stop_m: float = 0.15
    """S_s: distance that the robot moves while it brakes."""
    reach_in_m: float = 0.0
    """C: allowance for reaching in."""
    uncertainty_m: float = 0.05
    """Z_d + Z_r: uncertainty of the measured positions. (The samples cover the uncertainty of the
    future.)"""

    def until_stopped_s(self, scale: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the time until the robot has stopped, T_r + T_s, at a share of full speed."""
        return self.reaction_s + self.stop_s * scale

    def needed_m(self, scale: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distance the robot needs at a share of full speed, S_p without S_h."""
        way = self.speed_m_per_s * self.reaction_s * scale + self.stop_m * scale**2
        return way + self.reach_in_m + self.uncertainty_m

    def allowed(self, times_s: NDArray[np.float64], distances_m: NDArray[np.float64]) -> float:
        """Return the largest share of full speed that keeps the needed distance, 0 if none does.

        Args:
            times_s: ascending times from now, up to `reaction_s + stop_s` at least (T,).
            distances_m: distances of people from the present pose of the robot (T,).
        """
        scale = np.linspace(0, 1, STEPS + 1, dtype=np.float64)
        least = np.minimum.accumulate(distances_m)
        # The robot may stop between two of the times in `times_s`. Then the distance at the later
        # time is used. This is the smaller one, since `least` never rises with time.
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
    """Return times of a span that begins now (T,), and the least distance to people at each (T,).

    Args:
        outlook: the predictions, in the frame of the robot.
        robot: capsules of the robot in its present pose.
        span_s: length of the span of time, which begins now.
        limbs: limbs of the people; by default, the limbs that the package has for their layout.
        by_samples: True to measure the distance of every sample; False to measure the distance of
            the mean, with limbs thickened by the predicted radius. For unfamiliar people the mean
            is always used.

    Raises:
        HorizonError: if the predicted times end before `span_s`.
        FleshError: if there are no limbs for the layout, no samples, or no radius.
    """
    times = outlook.instants(0.0, span_s)
    found = np.full(len(times), np.inf)
    if not outlook.is_empty:
        limbs = limbs or Limbs.for_outlook(outlook)
        for person in outlook.at(times).people:
            found = np.minimum(found, nearest(Bodies.of(person, limbs, by_samples), robot)[0])
        for ball in outlook.unpredicted:
            apart_m = ball.apart_m(robot, times, limbs.ends, limbs.radii)
            found = np.minimum(found, apart_m.min(1))
    return times, found


def walking(
    distance_m: float, span_s: float, speed: float = BODY_M_S
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times and distances of people who walk straight at the robot, as standards assume.

    Args:
        distance_m: distance of the people from the robot now.
        span_s: length of the span of time, which begins now.
        speed: speed of the people, metres per second; 0 for people who stand still.
    """
    times: NDArray[np.float64] = np.linspace(0, span_s, STEPS + 1, dtype=np.float64)
    return times, np.asarray(distance_m - speed * times, np.float64)


class Governor:
    """Turns the allowed speed into the commanded speed, which falls at once and rises slowly.

    Speeds are given as scales, shares of full speed: 1 is full speed.

    Args:
        rise_per_s: greatest rise of the scale per second.
        hysteresis: margin by which the allowed scale must exceed the present scale before the
            scale rises.
        hold_s: how long the allowed scale must exceed the present scale by `hysteresis` before
            the scale rises, seconds.
        asleep_after_s: after this time without an update, the scale starts from 0 again. If a
            process is suspended, receivers of the scale treat missing commands as a scale of 0.
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
            allowed: upper limit of the scale to command. A limit above 1 counts as 1; a negative
                limit or NaN counts as 0.
            now_s: present time of the monotonic clock.
        """
        allowed = min(allowed, 1.0) if allowed >= 0 else 0.0  # `NaN >= 0` is false
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
