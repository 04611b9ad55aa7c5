"""Judges predictions by later observations, and corrects the radii of later predictions."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from motion_predictor.prediction import Prediction
from motion_predictor.self_check.memory import GUESSES, Memory, Past
from motion_predictor.self_check.slots import Slots
from motion_predictor.tracking.scene import Person
from motion_predictor.uncertainty.adaptive import Adaptation

FloatArray = NDArray[np.floating]
HORIZONS_S = (0.1, 0.2, 0.5, 1.0, 2.0)
RUNNING_S = 20.0
"""Time constant of the running averages."""
CORRECTIONS = ('none', 'widen', 'both')


@dataclass(frozen=True)
class Quality:
    """Tells how well one person was predicted recently, at H horizons.

    Values are NaN at horizons at which no prediction was judged.
    """

    id: str
    seconds: FloatArray
    """Seconds of evidence, in which recent seconds have more weight, (H,)."""
    coverage: FloatArray
    """Share of the observed joints that were within the published radius, (H,)."""
    error_m: FloatArray
    """Mean distance between observed joints and three predictions: the mean of the samples, zero
    velocity, and constant velocity, (3, H)."""
    factor: FloatArray
    """Factors by which the radii of this person are multiplied, (H,)."""


class SelfCheck:
    """Keeps predictions until people are observed at the predicted times, and then judges them.

    Args:
        times: times of the F predicted frames, in seconds after the last observation, (F,).
        correction: 'none'; 'widen', which never makes radii smaller than calibrated; or 'both',
            which may also make radii smaller than calibrated.

    Raises:
        ValueError: if `correction` is not one of CORRECTIONS.
    """

    def __init__(self, times: FloatArray, correction: str = 'widen') -> None:
        self.correct(correction)
        rate_hz = 1 / float(times[0])
        reached = [h for h in HORIZONS_S if h <= times[-1] + 0.5 / rate_hz]
        self.horizons_s: FloatArray = np.array(reached or [float(times[-1])])
        logs = np.log(self.horizons_s)
        self._spread = np.stack(  # (H, F) weights of the horizons for each frame
            [np.interp(np.log(times), logs, row) for row in np.eye(len(logs))]
        ).astype(np.float32)
        self._lock = threading.Lock()
        self._memory = Memory(self.horizons_s, len(times), rate_hz)
        self._adaptation = Adaptation(len(logs))
        self._sums: FloatArray = np.zeros((0, len(logs), GUESSES + 3))
        self._factors: FloatArray = np.zeros((0, len(logs)))
        self._slots = Slots()

    def correct(self, correction: str) -> None:
        """Change the kind of correction: 'none', 'widen' or 'both'.

        Raises:
            ValueError: if `correction` is not one of CORRECTIONS.
        """
        if correction not in CORRECTIONS:
            raise ValueError(
                f"self_correction must be one of {', '.join(CORRECTIONS)}, got '{correction}'"
            )
        self.correction = correction

    def step(self, stamp_ns: int, people: Sequence[Person], prediction: Prediction) -> Prediction:
        """Judge earlier predictions by the newest observation, and correct the newest prediction.

        Args:
            stamp_ns: stamp of the newest observation.
            people: people of the prediction, in the order of the prediction's first dimension, P.
                Each person must have a window of observed positions.
            prediction: newest prediction, with calibrated radii.

        Returns:
            The newest prediction, with corrected radii.
        """
        with self._lock:
            return self._step(stamp_ns, people, prediction)

    def _step(self, stamp_ns: int, people: Sequence[Person], prediction: Prediction) -> Prediction:
        windows = [person.window for person in people if person.window is not None]
        history = np.array([window.positions for window in windows])
        hidden = np.array([window.doubt_m for window in windows]) > 0  # (P, J)
        tracks = np.array([person.track for person in people])
        columns = self._memory.columns(stamp_ns, tracks, hidden.shape[1])
        for slot in self._slots.forget(stamp_ns):
            self._clear(slot)
        slots, elapsed_s, freed = self._slots.recognise(stamp_ns, people)
        for slot in freed:
            self._clear(slot)
        self._reserve(max(slots.tolist(), default=-1) + 1)
        coverage = prediction.coverage
        past = self._memory.recall(stamp_ns, columns)
        if past is not None:
            seen = np.where(hidden[..., None], np.float32(np.nan), history[:, -1])
            self._judge(past, seen, slots, elapsed_s, coverage)
        factor: FloatArray = np.zeros((len(people), len(self.horizons_s)))
        if self.correction != 'none' and np.isfinite(coverage):
            narrows = self.correction == 'both'
            factor = self._adaptation.adapt(slots, elapsed_s, coverage, narrows)
            factor = np.where(prediction.unfamiliar[:, None], 0, factor)
        self._factors[slots] = factor
        self._memory.keep(stamp_ns, columns, history, prediction, np.exp(factor))
        if not factor.any():
            return prediction
        scale = np.exp(factor.astype(np.float32) @ self._spread)  # (P, F)
        # A radius does not shrink with the horizon.
        radius = np.maximum.accumulate(prediction.radius * scale[..., None], axis=1)
        return replace(prediction, radius=radius)

    def report(self) -> list[Quality]:
        """Return the quality of recent predictions, for each person who was seen recently."""
        with self._lock:
            found = []
            for person_id, slot in self._slots.of_ids.items():
                sums = self._sums[slot]
                with np.errstate(invalid='ignore', divide='ignore'):
                    error_m = (sums[:, 1 : GUESSES + 1] / sums[:, :1]).T
                    held = sums[:, -1] / sums[:, -2]
                factor = np.exp(self._factors[slot])
                found.append(Quality(person_id, sums[:, 0].copy(), held, error_m, factor))
            return found

    def _reserve(self, slots: int) -> None:
        """Make room for at least this number of slots. Spare slots make later calls quick."""
        more = slots + 8 - len(self._sums)
        if slots <= len(self._sums):
            return
        self._adaptation.reserve(slots + 8)
        self._sums = np.concatenate([self._sums, np.zeros((more, *self._sums.shape[1:]))])
        self._factors = np.concatenate([self._factors, np.zeros((more, self._factors.shape[1]))])

    def _clear(self, slot: int) -> None:
        self._adaptation.forget(slot)
        self._sums[slot] = self._factors[slot] = 0

    def _judge(
        self,
        past: Past,
        seen: FloatArray,
        slots: NDArray[np.int64],
        elapsed_s: FloatArray,
        coverage: float,
    ) -> None:
        """Compare earlier predictions for the present with the seen positions (P, J, 3).

        The positions of joints that were not observed are NaN.
        """
        off = past.guesses - seen[:, None, None]  # (P, H, 3, J, 3)
        errors_m = np.sqrt(np.einsum('...i,...i', off, off))
        told = errors_m[:, :, 0] == errors_m[:, :, 0]  # True where the error is a number
        ratio = errors_m[:, :, 0] / past.radius  # (P, H, J)
        known = (ratio == ratio).sum(-1)
        missed = (ratio > past.factor[..., None]).sum(-1) / np.maximum(known, 1)
        self._record(slots, elapsed_s, errors_m, told, missed, known > 0)
        if np.isfinite(coverage):
            ratio *= past.learnt[..., None]
            self._adaptation.learn(slots, ratio, missed, elapsed_s, coverage)

    def _record(
        self,
        slots: NDArray[np.int64],
        elapsed_s: FloatArray,
        errors_m: FloatArray,
        told: NDArray[np.bool_],
        missed: FloatArray,
        promised: NDArray[np.bool_],
    ) -> None:
        """Add errors (P, H, 3, J) to the running averages, for judged joints (`told`, P, H, J)."""
        count = told.sum(-1)
        weight = np.where(count > 0, elapsed_s[:, None], 0)  # (P, H)
        errors_m = np.where(told[:, :, None], errors_m, 0)
        new = np.empty((*count.shape, GUESSES + 3))
        new[..., 0] = weight
        new[..., 1:-2] = errors_m.sum(-1) * (weight / np.maximum(count, 1))[..., None]
        new[..., -2] = weight * promised
        new[..., -1] = new[..., -2] * (1 - missed)
        new += self._sums[slots] * np.exp(-weight / RUNNING_S)[..., None]
        self._sums[slots] = new
