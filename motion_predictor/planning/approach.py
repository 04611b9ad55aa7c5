"""Finds how near people come to a robot: which person, when, which limb, which robot capsule."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor.planning.capsules import Capsules
from motion_predictor.planning.flesh import Bodies, Limbs
from motion_predictor.planning.outlook import Outlook
from motion_predictor.planning.sweep import Pairs, Sweep

FIRST = 64
"""Number of pairs (limb, capsule) to measure first. These pairs have the smallest lower bounds."""


@dataclass(frozen=True)
class Closest:
    """The least distance between a person and the robot."""

    distance_m: float
    """Distance between the surfaces; negative if they overlap, infinite if nobody is there."""
    time_s: float = float('nan')
    """Time at which the distance is least, seconds from now."""
    person: str = ''
    limb: str = ''
    """Name of the limb; empty for a person who is not predicted."""
    capsule: int = -1
    """Index of the robot's capsule; -1 if nobody is there."""
    sample: int = -1
    """Index of the person's sample; 0 for the mean, -1 for a person who is not predicted."""


NOBODY = Closest(float('inf'))


def nearest(bodies: Bodies, robot: Capsules) -> tuple[NDArray[np.float64], Pairs]:
    """Return the least distance at each time (T,), with the nearest limb and capsule.

    Args:
        bodies: N futures of one person at T times.
        robot: capsules, either in one pose or in T poses, one for each time.
    """
    return _nearest(bodies, robot, each=True)


def _nearest(bodies: Bodies, robot: Capsules, each: bool) -> tuple[NDArray[np.float64], Pairs]:
    """Return the least distance, with the nearest limb and capsule.

    If `each` is true, the results are per time (T,), otherwise over all times (1,).
    """
    sweep = Sweep(bodies, robot)
    least = sweep.at_least()
    by_span = least.reshape(len(least), -1)
    limit = sweep.of_spans(sweep.at_most().reshape(len(least), -1).min(1))
    found: list[tuple[Pairs, NDArray[np.float64]]] = []

    def measure(spans: Pairs) -> None:
        pairs = sweep.over_times(spans)
        distance_m = sweep.measure(pairs)
        np.minimum.at(limit, pairs.t, distance_m)
        found.append((pairs, distance_m))

    def limits() -> NDArray[np.float64]:
        """Return an upper bound of the least distance for each span (B,)."""
        return sweep.most_in_spans(limit if each else np.full_like(limit, limit.min()))

    # Pairs with the smallest lower bounds of distance are measured first, since their distances
    # exclude most of the other pairs.
    rest = np.flatnonzero(by_span <= limits()[:, None])
    if len(rest) > FIRST:
        measure(sweep.pairs(rest[np.argpartition(least.ravel()[rest], FIRST)[:FIRST]]))
        rest = rest[least.ravel()[rest] <= limits()[sweep.pairs(rest).t]]
    spans = sweep.pairs(rest)
    closer = sweep.closer(spans)
    order = np.lexsort((closer, spans.t))
    _, first = np.unique(spans.t[order], return_index=True)
    for some in (order[first], np.delete(order, first)):
        measure(spans[some[closer[some] <= limits()[spans.t[some]]]])
    pairs = Pairs(*(np.concatenate([getattr(p, x) for p, _ in found]) for x in 'ntcr'))
    distance_m = np.concatenate([distances_m for _, distances_m in found])
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
        outlook: the predictions, in the frame of the robot.
        robot: capsules of the robot. For a moving robot, give one pose per time of
            `outlook.instants(start_s, end_s)`.
        start_s: start of the span, seconds from now.
        end_s: end of the span, seconds from now.
        limbs: limbs of the people; by default, the limbs that the package has for their layout.
        by_samples: True to measure the distance of every sample; False to measure the distance of
            the mean, with limbs thickened by the predicted radius. For unfamiliar people the mean
            is always used.

    Raises:
        HorizonError: if the span from `start_s` to `end_s` is not within the predicted times.
        FleshError: if there are no limbs for the layout, no samples, or no radius.
    """
    if outlook.is_empty:
        return NOBODY
    return over(outlook.at(outlook.instants(start_s, end_s)), robot, limbs, by_samples)


def over(
    outlook: Outlook, robot: Capsules, limbs: Limbs | None = None, by_samples: bool = True
) -> Closest:
    """Return the least distance between people and the robot over all times of an outlook.

    The arguments are the same as in `closest`.
    """
    if outlook.is_empty:
        return NOBODY
    limbs = limbs or Limbs.for_outlook(outlook)
    best = NOBODY
    for person in outlook.people:
        distances, pairs = _nearest(Bodies.of(person, limbs, by_samples), robot, each=False)
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
