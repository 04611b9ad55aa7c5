"""How near people come to a robot in a time span: when, who, which limb, and which part of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor.planning.capsules import Capsules
from motion_predictor.planning.flesh import Bodies, Limbs
from motion_predictor.planning.outlook import Outlook
from motion_predictor.planning.sweep import Pairs, Sweep

FIRST = 512
"""Number of pairs that are measured first: those that look nearest."""


@dataclass(frozen=True)
class Closest:
    """The least distance between a person and the robot."""

    distance_m: float
    """Between surfaces; negative if they overlap, infinite if nobody is there."""
    time_s: float = float('nan')
    """Seconds from now."""
    person: str = ''
    limb: str = ''
    """Empty for somebody who is not predicted."""
    capsule: int = -1
    """Of the robot."""
    sample: int = -1
    """Sample of the person; 0 for the mean, -1 for somebody who is not predicted."""


NOBODY = Closest(float('inf'))


def nearest(bodies: Bodies, robot: Capsules) -> tuple[NDArray[np.float64], Pairs]:
    """Return the distance at each time (T,), and what it is between.

    Args:
        bodies: N versions of a person at T times.
        robot: still, or at the same times.
    """
    return _nearest(bodies, robot, each=True)


def _nearest(bodies: Bodies, robot: Capsules, each: bool) -> tuple[NDArray[np.float64], Pairs]:
    """Return the distance and the pair at each time, or (1,) over all of them."""
    sweep = Sweep(bodies, robot)

    def lower(at: NDArray[np.int64], distance_m: NDArray[np.floating]) -> None:
        np.minimum.at(limit, at, distance_m)
        if not each:
            limit[:] = limit.min()

    def measured(pairs: Pairs) -> Pairs:
        """Measure the pairs that look nearest; return those that may still be nearer."""
        best = pairs
        if len(pairs) > FIRST:
            best = pairs[np.argpartition(pairs.least, FIRST)[:FIRST]]
        lower(best.t, sweep.measure(best))
        return pairs[pairs.least <= limit[pairs.t]]

    # The distance of the pose that looks nearest excludes most of the others.
    times = np.arange(bodies.joints.shape[1])
    limit = np.full(len(times), np.inf)
    look = sweep.look(times, sweep.promising())
    lower(times, look.at_most().min(0))
    measured(look.in_question(limit))
    sweep.narrow(float(limit.max(initial=-np.inf)))
    found = []
    for look in sweep.looks(sweep.poses_at_least() <= limit[:, None]):
        lower(look.t, look.at_most().min(0))
        found.append(look.in_question(limit[look.t]))
    pairs = Pairs.all_of(found)
    if len(pairs) > FIRST:
        pairs = measured(pairs)
    distance_m = sweep.measure(pairs)
    if not each:
        only = np.array([distance_m.argmin()])
        return distance_m[only], pairs[only]
    order = np.lexsort((distance_m, pairs.t))
    _, starts = np.unique(pairs.t[order], return_index=True)
    return distance_m[order[starts]], pairs[order[starts]]


def closest(
    outlook: Outlook,
    robot: Capsules,
    start_s: float,
    end_s: float,
    limbs: Limbs | None = None,
    by_samples: bool = True,
) -> Closest:
    """Return the least distance between people and the robot within a time span.

    Distances are computed at both ends of the span and at every published frame in between.

    Args:
        outlook: who is there, in the frame of the robot.
        robot: still; or moving, and then given at `outlook.instants(start_s, end_s)`.
        start_s: of the span, seconds from now.
        end_s: of the span.
        limbs: of the people; those that ship for their layout unless given.
        by_samples: every sample, or else the mean inflated by the radius.

    Raises:
        HorizonError: if the span is not within what is predicted.
        FleshError: if there are no limbs for the layout, no samples, or no radius.
    """
    if outlook.is_empty:
        return NOBODY
    return over(outlook.at(outlook.instants(start_s, end_s)), robot, limbs, by_samples)


def over(
    outlook: Outlook, robot: Capsules, limbs: Limbs | None = None, by_samples: bool = True
) -> Closest:
    """Return the least distance at the times of an outlook; see `closest`."""
    if outlook.is_empty:
        return NOBODY
    limbs = limbs or Limbs.for_outlook(outlook)
    make = Bodies.of_samples if by_samples else Bodies.of_mean
    best = NOBODY
    for person in outlook.people:
        distances, pairs = _nearest(make(person, limbs), robot, each=False)
        if distances[0] < best.distance_m:
            best = Closest(
                float(distances[0]),
                float(outlook.times[pairs.t[0]]),
                person.id,
                limbs.names[pairs.c[0]],
                int(pairs.r[0]),
                int(pairs.n[0]),
            )
    for ball in outlook.unpredicted:
        apart_m = ball.apart_m(robot, outlook.times, limbs.ends, limbs.radii)
        t, r = divmod(int(apart_m.argmin()), len(robot.radii))
        if apart_m[t, r] < best.distance_m:
            best = Closest(float(apart_m[t, r]), float(outlook.times[t]), ball.id, '', r)
    return best
