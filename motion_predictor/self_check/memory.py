"""Keeps predictions until their time has come."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor.prediction import Prediction

FloatArray = NDArray[np.floating]
AROUND = 5
"""Number of frames kept around each horizon, since observations come between frames."""
APART_S = 0.02
"""Of predictions closer together than this, not all are kept."""
LATE_S = 0.1
"""How long predictions are kept after their last horizon."""
SLOPE_S = 0.1
"""Constant velocity is the average over this time."""
GUESSES = 3
"""Number of predictions compared: the mean, zero velocity, constant velocity."""


@dataclass(frozen=True)
class _Kept:
    """A prediction that is to be judged."""

    stamp_ns: int
    tracks: NDArray[np.int64]  # (P,)
    balls: FloatArray  # (H, P, n, J, 4) means and radii as calibrated, at frames about horizons
    factor: FloatArray  # (H, P) that was published with it
    learnt: FloatArray  # (P,) 1 for a learnt radius, 0 for a reach
    seen: FloatArray  # (2, P, J, 3) the newest positions and their velocities


@dataclass(frozen=True)
class Past:
    """Earlier predictions for the present time, at each horizon."""

    guesses: FloatArray  # (P, H, 3, J, 3) metres, NaN where there is none
    radius: FloatArray  # (P, H, J) likewise
    factor: FloatArray  # (P, H) that was published with it
    learnt: FloatArray  # (P, H) 1 where the radius was learnt


class Memory:
    """Predictions of the last seconds, about some horizons.

    Args:
        horizons_s: (H,) ascending.
        frames: F, that are predicted.
        rate_hz: frames per second.
    """

    def __init__(self, horizons_s: FloatArray, frames: int, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        around = min(AROUND, frames)
        nearest = np.round(horizons_s * rate_hz).astype(int) - 1
        first = (nearest - around // 2).clip(0, frames - around)  # (H,)
        self._frames = first[:, None] + np.arange(around)  # (H, n)
        self._middle_s = (self._frames.mean(1) + 1) / rate_hz
        self._kept: deque[_Kept] = deque()

    def forget_the_future(self, stamp_ns: int) -> None:
        """Forget everything if time went back, since the predicted times will not come."""
        if self._kept and stamp_ns <= self._kept[-1].stamp_ns:
            self._kept.clear()

    def keep(
        self,
        stamp_ns: int,
        tracks: NDArray[np.int64],
        history: FloatArray,
        prediction: Prediction,
        factor: FloatArray,
    ) -> None:
        """Keep a prediction of people of histories (P, H', J, 3), and forget the oldest.

        Args:
            stamp_ns: of the newest observation.
            tracks: (P,) numbers that identify people, whatever their ids.
            history: that was predicted from.
            prediction: as calibrated.
            factor: (P, H) logarithms of the factors of its radii.
        """
        oldest_ns = stamp_ns - round((self._middle_s[-1] + LATE_S) * 1e9)
        while self._kept and self._kept[0].stamp_ns < oldest_ns:
            self._kept.popleft()
        if self._kept and stamp_ns - self._kept[-1].stamp_ns < APART_S * 1e9:
            return
        span = min(history.shape[1] - 1, max(1, round(SLOPE_S * self._rate_hz)))
        velocity = (history[:, -1] - history[:, -1 - span]) * (self._rate_hz / span)
        people, _, joints, _ = prediction.mean.shape
        balls = np.empty((*self._frames.shape, people, joints, 4), np.float32)
        balls[..., :3] = prediction.mean.swapaxes(0, 1)[self._frames]
        balls[..., 3] = prediction.radius.swapaxes(0, 1)[self._frames]
        self._kept.append(
            _Kept(
                stamp_ns,
                self._same(tracks),
                balls.swapaxes(1, 2),
                factor.T,
                1.0 - prediction.unfamiliar,
                np.stack([history[:, -1], velocity]),
            )
        )

    def _same(self, tracks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the last object if it is equal, since the same object is quicker to compare."""
        if self._kept and np.array_equal(self._kept[-1].tracks, tracks):
            return self._kept[-1].tracks
        return tracks

    def recall(self, stamp_ns: int, tracks: NDArray[np.int64]) -> Past | None:
        """Return the earlier predictions for now of each person; NaN where there are none.

        None if there are none of anybody.
        """
        if not self._kept:
            return None
        ages_s = (stamp_ns - np.array([kept.stamp_ns for kept in self._kept])) * 1e-9
        nearest = np.abs(ages_s - self._middle_s[:, None]).argmin(1)  # (H,)
        places = ages_s[nearest] * self._rate_hz - 1 - self._frames[:, 0]
        last = self._frames.shape[1] - 1
        horizons = np.flatnonzero((places >= -1e-3) & (places <= last + 1e-3))
        if not len(horizons):
            return None
        lefts = np.minimum(np.maximum(places[horizons], 0).astype(int), max(last - 1, 0))
        share = (places[horizons] - lefts).clip(0, 1).astype(np.float32)
        age_s = ages_s[nearest[horizons]].astype(np.float32)
        tracks = self._same(tracks)
        balls, seen, factors, learnt = [], [], [], []
        for index, horizon, left in zip(nearest[horizons], horizons, lefts, strict=True):
            kept, right = self._kept[index], min(left + 1, last)
            own = _rows(kept.tracks, tracks)
            balls.append(_of(kept.balls[horizon, :, left : right + 1], own))
            seen.append(_of(kept.seen.swapaxes(0, 1), own))
            factors.append(_of(kept.factor[horizon], own))
            learnt.append(_of(kept.learnt, own))
        pairs, newest = np.array(balls), np.array(seen)  # (H', P, 2, J, 4), (H', P, 2, J, 3)
        first = pairs[:, :, 0]
        ball = first + (pairs[:, :, -1] - first) * share[:, None, None, None]
        guesses = np.empty((*newest.shape[:2], GUESSES, *newest.shape[3:]), np.float32)
        guesses[:, :, 0] = ball[..., :3]
        guesses[:, :, 1] = newest[:, :, 0]
        guesses[:, :, 2] = newest[:, :, 0] + newest[:, :, 1] * age_s[:, None, None, None]
        return Past(
            *(
                self._by_person(np.asarray(values), horizons)
                for values in (guesses, ball[..., 3], factors, learnt)
            )
        )

    def _by_person(self, values: FloatArray, horizons: NDArray[np.int64]) -> FloatArray:
        """Return values (H', P, ...) of some horizons as (P, H, ...), NaN at the others."""
        count = len(self._middle_s)
        if len(horizons) < count:
            some, values = values, np.full((count, *values.shape[1:]), np.nan, values.dtype)
            values[horizons] = some
        return values.swapaxes(0, 1)


def _rows(kept: NDArray[np.int64], tracks: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the index of each track (P,) among those kept, or -1; None if all are equal."""
    if kept is tracks or np.array_equal(kept, tracks):
        return None
    same = kept == tracks[:, None]  # (P, P')
    return np.where(same.any(1), same.argmax(1), -1)


def _of(values: FloatArray, own: NDArray[np.int64] | None) -> FloatArray:
    """Return the values of some rows, NaN where there is none."""
    if own is None:
        return values
    chosen = values[own]
    chosen[own < 0] = np.nan
    return chosen
