"""The probability that somebody touches a robot within a time span, estimated from samples."""

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from motion_predictor.planning.capsules import Capsules
from motion_predictor.planning.flesh import Bodies, Limbs
from motion_predictor.planning.outlook import Outlook
from motion_predictor.planning.sweep import Sweep

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Touch:
    """The probability that capsules of the robot are touched, estimated from the samples.

    The estimate is rough: if none of 50 samples touches, the probability may still be 6 %. The
    probability comes from the model alone and is not calibrated.
    """

    share: float
    """Probability that any part of the robot is touched."""
    at_most: float
    """Upper bound of the probability, with 95 % confidence (Clopper and Pearson)."""
    of_capsule: NDArray[np.float64]
    """(R,) probability that each capsule is touched."""


def touching(bodies: Bodies, robot: Capsules, margin_m: float = 0.0) -> NDArray[np.bool_]:
    """Return whether each sample touches each capsule at any of the times (R, N).

    Args:
        bodies: N samples of one person at T times.
        robot: capsules, either in one pose or in T poses, one for each time.
        margin_m: a distance of at most `margin_m` counts as touching.
    """
    sweep = Sweep(bodies, robot)
    touched = np.asarray((sweep.at_most() <= margin_m).any(0))
    # Samples whose upper bound of the distance already shows a touch need no exact distance.
    spans = sweep.pairs(np.flatnonzero((sweep.at_least() <= margin_m) & ~touched[..., None]))
    closer = sweep.closer(spans)
    order = closer.argsort()
    order = order[closer[order] <= margin_m]
    _, first = np.unique(spans.r[order] * touched.shape[1] + spans.n[order], return_index=True)
    for some in (order[first], np.delete(order, first)):
        part = spans[some[~touched[spans.r[some], spans.n[some]]]]
        pairs = sweep.over_times(part)
        hit = sweep.measure(pairs) <= margin_m
        touched[pairs.r[hit], pairs.n[hit]] = True
    return touched


def at_most(hits: int, of: int) -> float:
    """Return the one-sided 95 % upper bound of a probability after `hits` in `of` draws."""
    if hits >= of:
        return 1.0
    low, high = hits / of, 1.0
    for _ in range(40):  # bisection: 40 halvings make the interval shorter than 1e-12
        p = (low + high) / 2
        few = sum(comb(of, k) * p**k * (1 - p) ** (of - k) for k in range(hits + 1))
        low, high = (p, high) if few > 1 - CONFIDENCE else (low, p)
    return high


def touch(
    outlook: Outlook,
    robot: Capsules,
    start_s: float,
    end_s: float,
    limbs: Limbs | None = None,
    margin_m: float = 0.0,
) -> Touch:
    """Return the probability that anybody touches the robot within a time span.

    People are assumed to move independently of each other. A person who is unfamiliar or not
    predicted counts as touching everything that this person can reach.

    Args:
        outlook: the predictions, in the frame of the robot.
        robot: capsules of the robot. For a moving robot, give one pose per time of
            `outlook.instants(start_s, end_s)`.
        start_s: start of the span, seconds from now.
        end_s: end of the span, seconds from now.
        limbs: limbs of the people; by default, the limbs that the package has for their layout.
        margin_m: a distance of at most `margin_m` counts as touching.

    Raises:
        HorizonError: if the span from `start_s` to `end_s` is not within the predicted times.
        FleshError: if there are no limbs for the layout, or no samples.
    """
    spared, spared_at_least = 1.0, 1.0
    capsules = np.ones(len(robot.radii))
    if outlook.is_empty:
        return Touch(0.0, 0.0, 1 - capsules)
    limbs = limbs or Limbs.for_outlook(outlook)
    outlook = outlook.at(outlook.instants(start_s, end_s))
    # Capsules that unfamiliar or unpredicted people can reach.
    reached = np.zeros(len(capsules), bool)
    for person in outlook.people:
        touched = touching(Bodies.of(person, limbs), robot, margin_m)
        if person.unfamiliar:
            reached |= touched.any(1)
            continue
        samples = touched.shape[1]
        hits = int(touched.any(0).sum())
        spared *= 1 - hits / samples
        spared_at_least *= 1 - at_most(hits, samples)
        capsules *= 1 - touched.mean(1)
    for ball in outlook.unpredicted:
        within = ball.apart_m(robot, outlook.times, limbs.ends, limbs.radii) <= margin_m
        reached |= within.any(0)
    capsules[reached] = 0
    if reached.any():
        spared = spared_at_least = 0.0
    return Touch(1 - spared, 1 - spared_at_least, 1 - capsules)
