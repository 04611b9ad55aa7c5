"""What became of predictions: the node judges itself by what it sees, and corrects its radii."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from motion_predictor.predictor import Prediction
from motion_predictor.tracking.scene import Person
from motion_predictor.uncertainty.adaptive import Adaptation

FloatArray = NDArray[np.floating]
HORIZONS_S = (0.1, 0.2, 0.5, 1.0, 2.0)
AROUND = 5
"""Frames that are kept about each horizon, since observations do not come at frames."""
APART_S = 0.02
"""Predictions nearer to each other than this are not all kept."""
LONGEST_S = 0.1
"""A longer time between two messages counts as much evidence as this."""
SLOPE_S = 0.1
"""What constant velocity goes on with: the velocity of the last so many seconds."""
RUNNING_S = 20.0
"""Figures are averages over so long, the recent counting more."""
KEPT_S = 60.0
"""Somebody who was not seen for so long is somebody else, whatever the id."""
CORRECTIONS = ('off', 'widen', 'both')
MOST_TRACKS = 1000
"""With more, those of people who were forgotten are forgotten too."""
GUESSES = 3
"""Whose errors are measured: the mean, zero velocity, constant velocity."""


@dataclass(frozen=True)
class Quality:
    """How well one person was predicted lately, at H horizons; NaN where nothing was judged."""

    id: str
    seconds: FloatArray
    """(H,) of evidence, recent ones counting more."""
    coverage: FloatArray
    """(H,) share of the observed joints that were in the radius as it was published."""
    error_m: FloatArray
    """(3, H) mean distance of the joints from the mean, from where they were last seen (zero
    velocity), and from where they were going (constant velocity)."""
    factor: FloatArray
    """(H,) what radii are multiplied by."""


@dataclass(frozen=True)
class _Kept:
    """A prediction that is to be judged."""

    stamp_ns: int
    tracks: NDArray[np.int64]  # (P,)
    mean: FloatArray  # (P, H, n, J, 3) the frames about each horizon
    radius: FloatArray  # (P, H, n, J) as calibrated
    factor: FloatArray  # (P, H) that was published with it
    learnt: NDArray[np.bool_]  # (P,) whether the radius was learnt, not what can be reached
    newest: FloatArray  # (P, J, 3)
    velocity: FloatArray  # (P, J, 3)


@dataclass(frozen=True)
class _Past:
    """What was predicted for now at each horizon."""

    guesses: FloatArray  # (P, H, 3, J, 3) metres, NaN where there is none
    radius: FloatArray  # (P, H, J) likewise
    factor: FloatArray  # (P, H)
    learnt: NDArray[np.bool_]  # (P, H)


class SelfCheck:
    """Keeps predictions until what they were of has happened.

    Args:
        times: (F,) seconds, of the frames that are predicted.
        correction: 'off'; 'widen', which never makes a radius narrower than calibrated; 'both'.

    Raises:
        ValueError: if the correction is none of them.
    """

    def __init__(self, times: FloatArray, correction: str = 'widen') -> None:
        self.correct(correction)
        frames, self._rate_hz = len(times), 1 / float(times[0])
        reached = [h for h in HORIZONS_S if h <= times[-1] + 0.5 / self._rate_hz]
        self.horizons_s: FloatArray = np.array(reached or [float(times[-1])])
        around = min(AROUND, frames)
        nearest = np.round(self.horizons_s * self._rate_hz).astype(int) - 1
        first = (nearest - around // 2).clip(0, frames - around)  # (H,)
        self._frames = first[:, None] + np.arange(around)  # (H, n)
        self._middle_s = (self._frames.mean(1) + 1) / self._rate_hz
        logs = np.log(self.horizons_s)
        self._spread = np.stack(  # (H, F) what each frame takes from each horizon
            [np.interp(np.log(times), logs, row) for row in np.eye(len(logs))]
        ).astype(np.float32)
        self._lock = threading.Lock()
        self._kept: deque[_Kept] = deque()
        self._adaptation = Adaptation(len(logs))
        self._sums: FloatArray = np.zeros((0, len(logs), GUESSES + 3))
        self._factors: FloatArray = np.zeros((0, len(logs)))
        self._slots: dict[str, int] = {}  # of ids
        self._tracks: dict[int, str] = {}  # ids of tracks
        self._seen_ns: dict[str, int] = {}

    def correct(self, correction: str) -> None:
        """Correct radii in another way from now on; raises as the constructor."""
        if correction not in CORRECTIONS:
            raise ValueError(
                f"self_correction must be one of {', '.join(CORRECTIONS)}, got '{correction}'"
            )
        self.correction = correction

    def step(self, stamp_ns: int, people: Sequence[Person], prediction: Prediction) -> Prediction:
        """Judge earlier predictions by the newest observation, and correct the newest.

        Args:
            stamp_ns: of the observation.
            people: those of the prediction, in order; all of them have a window.
            prediction: of them, not corrected.
        """
        with self._lock:
            return self._step(stamp_ns, people, prediction)

    def _step(self, stamp_ns: int, people: Sequence[Person], prediction: Prediction) -> Prediction:
        if self._kept and stamp_ns <= self._kept[-1].stamp_ns:
            self._kept.clear()  # time went back: what was predicted is not to come
        windows = [person.window for person in people if person.window is not None]
        history = np.stack([window.positions for window in windows])
        observed = np.stack([window.doubt_m for window in windows]) == 0
        tracks = np.array([person.track for person in people])
        slots, elapsed_s = self._recognise(stamp_ns, people)
        coverage = prediction.coverage
        self._judge(stamp_ns, tracks, slots, elapsed_s, history[:, -1], observed, coverage)
        factor: FloatArray = np.zeros((len(people), len(self.horizons_s)))
        if self.correction != 'off' and np.isfinite(coverage):
            narrows = self.correction == 'both'
            factor = self._adaptation.adapt(slots, elapsed_s, coverage, narrows)
            factor = np.where(prediction.unfamiliar[:, None], 0, factor)
        self._factors[slots] = factor
        self._keep(stamp_ns, tracks, history, prediction, factor)
        if not factor.any():
            return prediction
        scale = np.exp(factor.astype(np.float32) @ self._spread)  # (P, F)
        # Whoever has had more time is no nearer.
        radius = np.maximum.accumulate(prediction.radius * scale[..., None], axis=1)
        return replace(prediction, radius=radius)

    def report(self) -> list[Quality]:
        """Return how well everybody seen lately was predicted."""
        with self._lock:
            found = []
            for person_id, slot in self._slots.items():
                sums = self._sums[slot]
                with np.errstate(invalid='ignore', divide='ignore'):
                    error_m = (sums[:, 1 : GUESSES + 1] / sums[:, :1]).T
                    held = sums[:, -1] / sums[:, -2]
                factor = np.exp(self._factors[slot])
                found.append(Quality(person_id, sums[:, 0].copy(), held, error_m, factor))
            return found

    def _recognise(
        self, stamp_ns: int, people: Sequence[Person]
    ) -> tuple[NDArray[np.int64], FloatArray]:
        """Return the slot of each person, and how long ago (P,) they were seen: LONGEST_S at most.

        Whoever goes on under another id keeps what was learnt; so does an id that comes back.
        """
        for person_id in list(self._slots):
            if not -KEPT_S <= (stamp_ns - self._seen_ns[person_id]) * 1e-9 <= KEPT_S:
                self._release(person_id)
        slots, elapsed_s = [], []
        for person in people:
            before = self._tracks.get(person.track, person.id)
            if before != person.id and before in self._slots:
                self._release(person.id)
                self._slots[person.id] = self._slots.pop(before)
                self._seen_ns[person.id] = self._seen_ns.pop(before)
            if person.id not in self._slots:
                self._slots[person.id] = self._free_slot()
            since_s = (stamp_ns - self._seen_ns.get(person.id, stamp_ns)) * 1e-9
            elapsed_s.append(min(max(since_s, 0.0), LONGEST_S))
            slots.append(self._slots[person.id])
            self._seen_ns[person.id] = stamp_ns
        self._tracks |= {person.track: person.id for person in people}
        if len(self._tracks) > MOST_TRACKS:
            self._tracks = {t: i for t, i in self._tracks.items() if i in self._slots}
        return np.array(slots), np.array(elapsed_s)

    def _release(self, person_id: str) -> None:
        slot = self._slots.pop(person_id, None)
        self._seen_ns.pop(person_id, None)
        if slot is not None:
            self._adaptation.forget(slot)
            self._sums[slot] = self._factors[slot] = 0

    def _free_slot(self) -> int:
        slot = next(i for i in range(len(self._slots) + 1) if i not in self._slots.values())
        if slot >= len(self._sums):
            more = len(self._sums) + 8
            self._adaptation.reserve(more)
            self._sums = np.concatenate([self._sums, np.zeros((8, *self._sums.shape[1:]))])
            self._factors = np.concatenate([self._factors, np.zeros((8, self._factors.shape[1]))])
        return slot

    def _judge(
        self,
        stamp_ns: int,
        tracks: NDArray[np.int64],
        slots: NDArray[np.int64],
        elapsed_s: FloatArray,
        positions: FloatArray,
        observed: NDArray[np.bool_],
        coverage: float,
    ) -> None:
        """Compare the predictions for now with positions (P, J, 3)."""
        if not self._kept:
            return
        past = self._past(stamp_ns, tracks)
        seen = observed[:, None]  # (P, 1, J)
        off = past.guesses - positions[:, None, None]  # (P, H, 3, J, 3)
        errors_m = np.sqrt((off * off).sum(-1))
        ratio = np.where(seen, errors_m[:, :, 0] / past.radius, np.nan)  # (P, H, J)
        known = ratio == ratio  # not NaN
        missed = (ratio > np.exp(past.factor)[..., None]).sum(-1) / np.maximum(known.sum(-1), 1)
        there = past.radius.shape[:2] + seen.shape[-1:]
        told = np.broadcast_to(seen, there) & (errors_m[:, :, 0] == errors_m[:, :, 0])
        self._record(slots, elapsed_s, errors_m, told, missed, known.any(-1))
        if np.isfinite(coverage):
            ratio[~past.learnt] = np.nan
            self._adaptation.learn(slots, ratio, missed, elapsed_s, coverage)

    def _past(self, stamp_ns: int, tracks: NDArray[np.int64]) -> _Past:
        """Return what was predicted for now of each person, NaN where nothing was."""
        people, horizons = len(tracks), len(self.horizons_s)
        joints = self._kept[-1].mean.shape[3]
        past = _Past(
            np.full((people, horizons, GUESSES, joints, 3), np.nan, np.float32),
            np.full((people, horizons, joints), np.nan, np.float32),
            np.zeros((people, horizons)),
            np.zeros((people, horizons), bool),
        )
        ages_s = (stamp_ns - np.array([kept.stamp_ns for kept in self._kept])) * 1e-9
        nearest = np.abs(ages_s - self._middle_s[:, None]).argmin(1)  # (H,)
        places = ages_s[nearest] * self._rate_hz - 1 - self._frames[:, 0]
        last = self._frames.shape[1] - 1
        for h, (index, place) in enumerate(zip(nearest.tolist(), places.tolist(), strict=True)):
            if not -1e-3 <= place <= last + 1e-3:
                continue
            kept = self._kept[index]
            now: NDArray[np.int64] | slice = slice(None)
            then: NDArray[np.int64] | slice = slice(None)
            if not np.array_equal(tracks, kept.tracks):
                _, now, then = np.intersect1d(tracks, kept.tracks, return_indices=True)
            left = min(int(max(place, 0)), max(last - 1, 0))
            right, share = min(left + 1, last), np.float32(min(max(place - left, 0.0), 1.0))
            rest, newest = np.float32(1) - share, kept.newest[then]
            mean, radius = kept.mean[then, h], kept.radius[then, h]
            past.guesses[now, h, 0] = mean[:, left] * rest + mean[:, right] * share
            past.guesses[now, h, 1] = newest
            past.guesses[now, h, 2] = newest + kept.velocity[then] * np.float32(ages_s[index])
            past.radius[now, h] = radius[:, left] * rest + radius[:, right] * share
            past.factor[now, h] = kept.factor[then, h]
            past.learnt[now, h] = kept.learnt[then]
        return past

    def _record(
        self,
        slots: NDArray[np.int64],
        elapsed_s: FloatArray,
        errors_m: FloatArray,
        told: NDArray[np.bool_],
        missed: FloatArray,
        promised: NDArray[np.bool_],
    ) -> None:
        """Add errors (P, H, 3, J) of the joints that can be judged (P, H, J) to the figures."""
        count = told.sum(-1)
        weight = np.where(count > 0, elapsed_s[:, None], 0)  # (P, H)
        errors_m = np.where(told[:, :, None], errors_m, 0)
        new = np.empty((*count.shape, GUESSES + 3))
        new[..., 0] = weight
        new[..., 1:-2] = errors_m.sum(-1) * (weight / np.maximum(count, 1))[..., None]
        new[..., -2] = weight * promised
        new[..., -1] = new[..., -2] * (1 - missed)
        self._sums[slots] = self._sums[slots] * np.exp(-weight / RUNNING_S)[..., None] + new

    def _keep(
        self,
        stamp_ns: int,
        tracks: NDArray[np.int64],
        history: FloatArray,
        prediction: Prediction,
        factor: FloatArray,
    ) -> None:
        oldest_ns = stamp_ns - round((self._middle_s[-1] + LONGEST_S) * 1e9)
        while self._kept and self._kept[0].stamp_ns < oldest_ns:
            self._kept.popleft()
        if self._kept and stamp_ns - self._kept[-1].stamp_ns < APART_S * 1e9:
            return
        span = min(history.shape[1] - 1, max(1, round(SLOPE_S * self._rate_hz)))
        velocity = (history[:, -1] - history[:, -1 - span]) * (self._rate_hz / span)
        self._kept.append(
            _Kept(
                stamp_ns,
                tracks,
                prediction.mean[:, self._frames],
                prediction.radius[:, self._frames],
                factor,
                ~prediction.unfamiliar,
                history[:, -1],
                velocity,
            )
        )
