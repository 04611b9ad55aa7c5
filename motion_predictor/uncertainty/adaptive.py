"""Adaptive conformal inference: corrects radii by how often they held a person's joints recently.

For each person and horizon, this module keeps a distribution of the ratio of error to radius.
Recent ratios have more weight. The quantile of this distribution at 1 - a is the factor by which
the radius is multiplied.

The level a, the allowed share of misses, changes with time. While more joints than promised are
outside their balls, the level a falls. While fewer joints than promised are outside their balls,
the level a rises (Gibbs and Candes 2021). So the coverage is right in the long run, whatever the
person does.

Until a horizon has been judged for some seconds, it uses the factor of the next shorter horizon.
The factor of the shorter horizon is a good guess, since a person who is predicted badly at 0.5 s
is also predicted badly at 2 s.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
MEMORY_S = 8.0
"""Time constant with which old evidence loses weight exponentially."""
PRIOR_S = 2.0
"""Weight of the calibration, expressed as seconds of evidence."""
STEP_PER_S = 0.3
"""Fall of the level a per second while all joints are outside (gamma of Gibbs and Candes)."""
SHARES = (0.2, 2.0)
"""Limits of the level a, as multiples of 1 - coverage. Factors rise at once and fall slowly. So
the upper limit must be above 1: with a limit of 1, balls would hold their joints too often."""
NARROWS_PER_S = 0.05
"""Greatest fall of a factor: 5 % per second. The rise of a factor is not limited."""
BOUNDS = (0.5, 8.0)
"""Limits of the factors. If radii may not become smaller than calibrated, the lower limit is 1."""
EDGES = np.linspace(np.log(1 / 16), np.log(16), 129)
"""Edges of the bins: logarithms of the ratio of error to radius. One edge is 0."""
UNIT = len(EDGES) // 2
BINS = len(EDGES) + 1
_RATIOS = np.exp(EDGES)


class Adaptation:
    """Factors for the radii of people. Each person has a slot (a row of the arrays).

    Args:
        horizons: number of horizons, H, in ascending order of time.
    """

    def __init__(self, horizons: int) -> None:
        # Seconds of evidence in each of B bins, for C slots (C, H, B).
        self._evidence: FloatArray = np.zeros((0, horizons, BINS))
        # The level a, as a multiple of 1 - coverage (C, H).
        self._share: FloatArray = np.zeros((0, horizons))
        # Logarithms of the factors (C, H).
        self._logs: FloatArray = np.zeros((0, horizons))

    def reserve(self, slots: int) -> None:
        """Add empty slots until the number of slots is at least `slots`."""
        more = max(0, slots - len(self._logs))
        horizons = self._logs.shape[1]
        fresh = np.zeros((more, horizons, BINS)), np.ones((more, horizons))
        self._evidence = np.concatenate([self._evidence, fresh[0]])
        self._share = np.concatenate([self._share, fresh[1]])
        self._logs = np.concatenate([self._logs, np.zeros((more, horizons))])

    def forget(self, slot: int) -> None:
        """Clear a slot, so that a new person can use it."""
        self._evidence[slot], self._share[slot], self._logs[slot] = 0, 1, 0

    def learn(
        self,
        slots: NDArray[np.int64],
        ratio: FloatArray,
        missed: FloatArray,
        elapsed_s: FloatArray,
        coverage: float,
    ) -> None:
        """Learn from the prediction errors of n people.

        Args:
            slots: slots of the n people, (n,).
            ratio: errors divided by calibrated radii, (n, H, J). Unknown ratios are NaN.
            missed: share of the joints that were outside the published radii, (n, H).
            elapsed_s: seconds since each person was last seen, (n,).
            coverage: promised coverage.
        """
        known = ratio == ratio  # True where the ratio is a number
        count = known.sum(-1)  # (n, H)
        told = np.where(count > 0, elapsed_s[:, None], 0.0)
        bins = np.searchsorted(_RATIOS, ratio)
        bins += BINS * np.arange(count.size).reshape(*count.shape, 1)
        weight = known * (told / np.maximum(count, 1))[..., None]
        added = np.bincount(bins.reshape(-1), weight.reshape(-1), BINS * count.size)
        evidence = self._evidence[slots]
        evidence *= np.exp(-told / MEMORY_S)[..., None]
        evidence += added.reshape(evidence.shape)
        self._evidence[slots] = evidence
        promised = 1 - coverage
        share = self._share[slots] + STEP_PER_S / promised * told * (promised - missed)
        self._share[slots] = np.minimum(np.maximum(share, SHARES[0]), SHARES[1])

    def adapt(
        self,
        slots: NDArray[np.int64],
        elapsed_s: FloatArray,
        coverage: float,
        narrows: bool,
    ) -> FloatArray:
        """Return the logarithms (n, H) of the factors for the next predictions of n people.

        Args:
            slots: slots of the n people, (n,).
            elapsed_s: seconds since each person was last seen, (n,).
            coverage: promised coverage.
            narrows: whether radii may become smaller than calibrated.
        """
        heard = self._evidence[slots].cumsum(-1)  # (n, H, B)
        level = (1 - (1 - coverage) * self._share[slots]) * (1 - 1e-9)  # (n, H)
        lacking = np.maximum(PRIOR_S - heard[..., -1], 0)
        bins = (heard < (level * heard[..., -1])[..., None]).sum(-1)
        for person in np.flatnonzero(lacking.any(-1)):
            before = UNIT  # index of the bin whose upper edge is the factor
            for horizon, prior_s in enumerate(lacking[person]):
                own = heard[person, horizon].copy()
                own[before:] += prior_s * coverage
                own[before + 1 :] += prior_s * (1 - coverage)
                before = min(int((own < level[person, horizon] * own[-1]).sum()), BINS - 2)
                bins[person, horizon] = before
        least, most = np.log(BOUNDS)
        wanted = EDGES[np.minimum(bins, len(EDGES) - 1)]
        wanted = np.minimum(np.maximum(wanted, least if narrows else 0.0), most)
        slowly = self._logs[slots] - NARROWS_PER_S * elapsed_s[:, None]
        self._logs[slots] = logs = np.maximum(wanted, slowly)
        return logs
