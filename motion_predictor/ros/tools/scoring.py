"""Scores published predictions against the motion that then followed."""

import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
HORIZONS_S = (0.1, 0.2, 0.5, 1.0, 2.0)


@dataclass
class Track:
    """The observed motion of one person: stamps and poses in the layout of the predictions."""

    stamps_s: list[float] = field(default_factory=list)
    poses: list[FloatArray] = field(default_factory=list)

    def at(self, times_s: NDArray[np.floating]) -> FloatArray | None:
        """Return poses (T, J, 3) at T times, interpolated linearly; None if a pose is unknown."""
        stamps = np.array(self.stamps_s)
        if len(stamps) < 2 or times_s[0] < stamps[0] or times_s[-1] > stamps[-1]:
            return None
        right = np.searchsorted(stamps, times_s).clip(1, len(stamps) - 1)
        left = right - 1
        share = (times_s - stamps[left]) / (stamps[right] - stamps[left])
        poses = np.stack(self.poses)
        share = share.astype(np.float32)[:, None, None]
        return poses[left] * (1 - share) + poses[right] * share


@dataclass(frozen=True)
class Claim:
    """A published prediction of one person, to score when all its predicted times are past."""

    person_id: str
    stamp_s: float
    times_s: NDArray[np.floating]  # (F,) after the stamp
    samples: FloatArray  # (S, F, J, 3)
    mean: FloatArray  # (F, J, 3)
    radius: FloatArray  # (F, J)


@dataclass(frozen=True)
class Example:
    """A scored prediction and the true motion, for the picture."""

    claim: Claim
    observed: FloatArray  # (H, J, 3) the half second before the prediction
    truth: FloatArray  # (F, J, 3) what then happened


def gesture_m(poses: FloatArray) -> float:
    """Return how much the joints move relative to the root in poses (F, J, 3).

    Each coordinate of each joint has a range over the frames. The result is the sum of all ranges.
    """
    return float(np.ptp(poses - poses[:, :1], axis=0).sum())


class Scorer:
    """Collects observed poses and predictions, and scores the predictions.

    A prediction is scored when all its predicted times are past.

    Errors are distances of joints in the frame of the predictions, averaged over the joints.
    """

    def __init__(self, keep_s: float = 6.0) -> None:
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._tracks: defaultdict[str, Track] = defaultdict(Track)
        self._claims: deque[Claim] = deque()
        self._rows: list[dict[str, float]] = []
        self.examples: list[Example] = []

    def saw(self, person_id: str, stamp_s: float, pose: FloatArray) -> None:
        """Add an observed pose (J, 3) of a person."""
        with self._lock:
            track = self._tracks[person_id]
            track.stamps_s.append(stamp_s)
            track.poses.append(pose)
            while track.stamps_s[0] < stamp_s - self._keep_s:
                track.stamps_s.pop(0)
                track.poses.pop(0)

    def predicted(self, claim: Claim) -> None:
        """Add a prediction that will be scored later."""
        with self._lock:
            self._claims.append(claim)

    def score_due(self, now_s: float) -> None:
        """Score the predictions that end before `now_s`.

        A prediction is dropped if the person was not observed until the end of the prediction.
        """
        while True:
            with self._lock:
                if not self._claims:
                    return
                claim = self._claims[0]
                if claim.stamp_s + claim.times_s[-1] > now_s:
                    return
                self._claims.popleft()
                track = self._tracks[claim.person_id]
                truth = track.at(claim.stamp_s + claim.times_s)
                last = track.at(np.array([claim.stamp_s]))
                observed = track.at(claim.stamp_s + np.linspace(-0.5, 0, 16))
            if truth is not None and last is not None and np.isfinite(truth).all():
                self._rows.append(self._row(claim, truth, last[0]))
                if observed is not None:
                    self.examples.append(Example(claim, observed, truth))
                    # Keep the three predictions with the most motion, for the picture.
                    self.examples.sort(key=lambda e: -gesture_m(e.truth))
                    del self.examples[3:]

    @staticmethod
    def _row(claim: Claim, truth: FloatArray, last: FloatArray) -> dict[str, float]:
        row: dict[str, Any] = {}
        for horizon in (h for h in HORIZONS_S if h <= claim.times_s[-1] + 1e-6):
            at = int(np.argmin(np.abs(claim.times_s - horizon)))
            mean, still, samples = (
                np.linalg.norm(poses - truth[at], axis=-1)
                for poses in (claim.mean[at], last, claim.samples[:, at])
            )
            row |= {
                f'mean at {horizon:g} s': mean.mean(),
                f'standing still at {horizon:g} s': still.mean(),
                f'nearest sample at {horizon:g} s': samples.mean(1).min(),
                f'in balls at {horizon:g} s': (mean <= claim.radius[at]).mean(),
            }
        return {name: float(value) for name, value in row.items()}

    def summary(self) -> dict[str, Any]:
        """Return the averages over all scored predictions."""
        if not self._rows:
            return {'scored predictions': 0}
        means = {name: float(np.mean([r[name] for r in self._rows])) for name in self._rows[0]}
        return {'scored predictions': len(self._rows), **means}
