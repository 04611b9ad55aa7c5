"""Adaptive conformal inference: how much wider somebody's balls must be, learnt from what happens.

For each person and horizon the distribution of errors over radii is kept, recent ones counting
more. The radius is multiplied by the quantile at 1 - a, where a is no constant: it falls while
more than promised is missed and rises while less is (Gibbs and Candes 2021), which makes the
coverage right in the long run whatever the person does. Until a horizon has been judged for some
seconds it takes after the next shorter one: whoever is badly predicted at half a second will be at
two.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
MEMORY_S = 8.0
"""Evidence of so long counts; older fades exponentially."""
PRIOR_S = 2.0
"""Seconds of evidence that replace what is believed before there is any."""
STEP_PER_S = 0.3
"""Gamma of Gibbs and Candes: what a changes by in a second of missing everything."""
LEAST_SHARE = 0.2
"""a falls to this share of what is promised at most."""
NARROWS_PER_S = 0.05
"""A factor falls by five percent in a second at most; it may rise at once."""
BOUNDS = (0.5, 8.0)
"""Of factors; the first counts only where radii may become narrower than calibrated."""
EDGES = np.linspace(np.log(1 / 16), np.log(16), 129)
"""Of the bins, logarithms of errors over radii. One lies at 0."""
UNIT = len(EDGES) // 2
BINS = len(EDGES) + 1


class Adaptation:
    """Factors for the radii of people, in slots that are reused.

    Args:
        horizons: H, ascending in time.
    """

    def __init__(self, horizons: int) -> None:
        # Of C slots: seconds in each bin (C, H, B), a as a share of what is promised (C, H), and
        # logarithms of the factors (C, H).
        self._evidence: FloatArray = np.zeros((0, horizons, BINS))
        self._share: FloatArray = np.zeros((0, horizons))
        self._logs: FloatArray = np.zeros((0, horizons))

    def reserve(self, slots: int) -> None:
        """Make room for so many slots, all new ones knowing nothing."""
        more = max(0, slots - len(self._logs))
        horizons = self._logs.shape[1]
        fresh = np.zeros((more, horizons, BINS)), np.ones((more, horizons))
        self._evidence = np.concatenate([self._evidence, fresh[0]])
        self._share = np.concatenate([self._share, fresh[1]])
        self._logs = np.concatenate([self._logs, np.zeros((more, horizons))])

    def forget(self, slot: int) -> None:
        """Let a slot be somebody else's."""
        self._evidence[slot], self._share[slot], self._logs[slot] = 0, 1, 0

    def learn(
        self,
        slots: NDArray[np.int64],
        horizon: int,
        ratio: FloatArray,
        missed: FloatArray,
        elapsed_s: FloatArray,
        coverage: float,
    ) -> None:
        """Take what became of predictions of n people for one horizon.

        Args:
            slots: (n,) theirs.
            horizon: which.
            ratio: (n, J) errors over radii as calibrated; NaN where there is nothing to tell.
            missed: (n,) share of the joints that were outside of the radii as published.
            elapsed_s: (n,) how long since the last time.
            coverage: that is promised.
        """
        known = np.isfinite(ratio)
        count = known.sum(1)
        bins = np.searchsorted(EDGES, np.log(np.maximum(ratio, 1e-9))) + BINS * np.arange(
            len(slots)
        ).reshape(-1, 1)
        weight = elapsed_s / np.maximum(count, 1)
        added = np.bincount(
            bins[known],
            weights=np.broadcast_to(weight[:, None], ratio.shape)[known],
            minlength=BINS * len(slots),
        ).reshape(-1, BINS)
        told = count > 0
        fade = np.where(told, np.exp(-elapsed_s / MEMORY_S), 1.0)
        self._evidence[slots, horizon] = self._evidence[slots, horizon] * fade[:, None] + added
        promised = 1 - coverage
        step = np.where(told, STEP_PER_S * elapsed_s * (promised - missed) / promised, 0.0)
        share = self._share[slots, horizon] + step
        self._share[slots, horizon] = share.clip(LEAST_SHARE, 1.0)

    def adapt(
        self,
        slots: NDArray[np.int64],
        elapsed_s: FloatArray,
        coverage: float,
        narrows: bool,
    ) -> FloatArray:
        """Return the logarithms (n, H) of the factors of people from now on.

        Args:
            slots: (n,) theirs.
            elapsed_s: (n,) since the last time.
            coverage: that is promised.
            narrows: whether radii may become narrower than calibrated.
        """
        evidence, share = self._evidence[slots], self._share[slots]  # (n, H, B), (n, H)
        rows = np.arange(len(slots))
        before = np.full(len(slots), UNIT)  # bin whose upper edge is believed in
        wanted = np.empty(share.shape)
        for horizon in range(share.shape[1]):
            own = evidence[:, horizon].copy()
            prior_s = (PRIOR_S - own.sum(1)).clip(0)
            own[rows, before] += prior_s * coverage
            own[rows, np.minimum(before + 1, BINS - 1)] += prior_s * (1 - coverage)
            heard = np.cumsum(own, 1)
            level = (1 - (1 - coverage) * share[:, horizon]) * heard[:, -1]
            before = (heard < level[:, None] * (1 - 1e-9)).sum(1)
            wanted[:, horizon] = EDGES[np.minimum(before, len(EDGES) - 1)]
        least, most = np.log(BOUNDS)
        wanted = wanted.clip(least if narrows else 0.0, most)
        slowly = self._logs[slots] - NARROWS_PER_S * elapsed_s[:, None]
        self._logs[slots] = np.maximum(wanted, slowly)
        return self._logs[slots]
