"""Keeps predictions until people are observed at the predicted times."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor.prediction import Prediction
from motion_predictor.self_check.columns import Columns

FloatArray = NDArray[np.floating]
AROUND = 5
"""Number of frames that are kept around each horizon, since observations fall between frames."""
APART_S = 0.02
"""Shortest time between two predictions that are kept."""
LATE_S = 0.1
"""Time for which a prediction is kept after its last horizon."""
SLOPE_S = 0.1
"""Time over which velocities are averaged, for the prediction with constant velocity."""
GUESSES = 3
"""Number of compared predictions: the mean of the samples, zero velocity, constant velocity."""
NEVER_NS = -(2**60)
"""Stamp that marks rows without a prediction."""


@dataclass(frozen=True)
class Past:
    """Earlier predictions of the present time: for each horizon, a prediction of that age."""

    guesses: FloatArray
    """Predicted positions, (P, H, 3, J, 3) metres: the mean of the samples, zero velocity, and
    constant velocity. The mean is NaN where there is no prediction."""
    radius: FloatArray
    """Calibrated radii before correction, (P, H, J) metres. NaN where there is no prediction."""
    factor: FloatArray
    """Factors by which the radii were multiplied, (P, H)."""
    learnt: FloatArray
    """1 where the radius came from the calibration, NaN where the ball held everything
    reachable, (P, H)."""


class Memory:
    """Stores the predictions of the last seconds, at the frames around each horizon.

    Arrays have a row for each prediction and a column for each person. Since the row is the first
    index, one lookup gets the predictions of all people at all horizons.

    Args:
        horizons_s: horizons in seconds after the observation, ascending, (H,).
        frames: number of predicted frames, F.
        rate_hz: frames per second.
    """

    def __init__(self, horizons_s: FloatArray, frames: int, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        around = min(AROUND, frames)
        nearest = np.round(horizons_s * rate_hz).astype(int) - 1
        self._first = (nearest - around // 2).clip(0, frames - around)  # (H,)
        self._frames = self._first[:, None] + np.arange(around)  # (H, n)
        self._middle_s = (self._frames.mean(1, keepdims=True) + 1) / rate_hz  # (H, 1)
        self._horizons = np.arange(len(nearest))
        self._kept_s = float(self._middle_s[-1, 0]) + LATE_S
        self._stamps_ns = np.full(int(self._kept_s / APART_S) + 2, NEVER_NS)
        self._row = -1  # the row of the newest prediction
        self._clear(0)

    def _clear(self, joints: int) -> None:
        """Replace the arrays by empty arrays without people, for this number of joints."""
        self._columns = Columns(self._kept_s)
        horizons, around = self._frames.shape

        def nobody(*shape: int) -> FloatArray:
            return np.zeros((len(self._stamps_ns), 0, *shape), np.float32)

        self._balls = nobody(horizons, around, joints, 4)  # means and calibrated radii
        self._seen = nobody(2, joints, 3)  # last seen positions and velocities
        self._factor = nobody(horizons)
        self._learnt = nobody()

    def columns(self, stamp_ns: int, tracks: NDArray[np.int64], joints: int) -> NDArray[np.int64]:
        """Return the columns (P,) in which the predictions of these people are kept.

        If time went back, all stored predictions are dropped, since no observation will come at
        the predicted times.

        Args:
            stamp_ns: stamp of the newest observation.
            tracks: numbers that identify people even if their ids change, (P,).
            joints: number of joints per person.
        """
        if self._row >= 0 and stamp_ns <= self._stamps_ns[self._row]:
            self._stamps_ns[:] = NEVER_NS
        if joints != self._balls.shape[-2]:
            self._clear(joints)
        columns, fresh = self._columns.of(stamp_ns, tracks)
        more = self._columns.count - self._balls.shape[1]
        if more > 0:
            self._balls, self._seen = _with(self._balls, more), _with(self._seen, more)
            self._factor, self._learnt = _with(self._factor, more), _with(self._learnt, more)
        if fresh:
            self._balls[:, fresh] = np.nan  # forgets the people who had these columns before
        return columns

    def keep(
        self,
        stamp_ns: int,
        columns: NDArray[np.int64],
        history: FloatArray,
        prediction: Prediction,
        factor: FloatArray,
    ) -> None:
        """Store a prediction, unless the previous one was stored less than `APART_S` before.

        Args:
            stamp_ns: stamp of the newest observation.
            columns: columns of the people, (P,).
            history: histories from which the people were predicted, (P, H', J, 3) metres.
            prediction: the prediction, with calibrated radii.
            factor: factors by which the radii of the prediction are multiplied, (P, H).
        """
        if stamp_ns - self._stamps_ns[self._row] < APART_S * 1e9:
            return
        self._row = row = (self._row + 1) % len(self._stamps_ns)
        self._stamps_ns[row] = stamp_ns
        span = min(history.shape[1] - 1, max(1, round(SLOPE_S * self._rate_hz)))
        newest = history[:, -1]
        if len(columns) < self._balls.shape[1]:
            self._balls[row] = np.nan  # clears the columns of people who are not there now
        self._balls[row, columns, ..., :3] = prediction.mean[:, self._frames]
        self._balls[row, columns, ..., 3] = prediction.radius[:, self._frames]
        self._seen[row, columns, 0] = newest
        self._seen[row, columns, 1] = (newest - history[:, -1 - span]) * (self._rate_hz / span)
        self._factor[row, columns] = factor
        self._learnt[row, columns] = np.where(prediction.unfamiliar, np.nan, 1)

    def recall(self, stamp_ns: int, columns: NDArray[np.int64]) -> Past | None:
        """Return earlier predictions of each person for the present; None if there are none."""
        ages_s = (stamp_ns - self._stamps_ns) * 1e-9
        rows = np.abs(ages_s - self._middle_s).argmin(1)  # (H,)
        age_s = ages_s[rows]
        place = age_s * self._rate_hz - 1 - self._first
        last = self._frames.shape[1] - 1
        apart = (place < -1e-3) | (place > last + 1e-3)
        if apart.all():
            return None
        left = np.minimum(np.maximum(place, 0), max(last - 1, 0)).astype(int)
        share = np.minimum(np.maximum(place - left, 0), 1).astype(np.float32)
        whose = columns[:, None]
        before = self._balls[rows, whose, self._horizons, left]  # (P, H, J, 4)
        after = self._balls[rows, whose, self._horizons, np.minimum(left + 1, last)]
        ball = before + (after - before) * share[:, None, None]
        if apart.any():
            ball[:, apart] = np.nan
        seen = self._seen[rows, whose]  # (P, H, 2, J, 3)
        guesses = np.empty((*seen.shape[:2], GUESSES, *seen.shape[3:]), np.float32)
        guesses[:, :, 0] = ball[..., :3]
        guesses[:, :, 1] = seen[:, :, 0]
        np.multiply(seen[:, :, 1], age_s.astype(np.float32)[:, None, None], out=guesses[:, :, 2])
        guesses[:, :, 2] += seen[:, :, 0]
        return Past(
            guesses,
            ball[..., 3],
            self._factor[rows, whose, self._horizons],
            self._learnt[rows, whose],
        )


def _with(values: FloatArray, more: int) -> FloatArray:
    """Return values (N, C, ...) with `more` columns added, which are filled with zeros."""
    room = np.zeros((len(values), more, *values.shape[2:]), np.float32)
    return np.concatenate([values, room], 1)
