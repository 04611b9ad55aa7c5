"""The predictions of a usable message, at any time and in any frame."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion_predictor.common.rigid import Rigid
from motion_predictor.planning.unpredicted import Unpredicted

FloatArray = NDArray[np.float32]
SLACK_S = 1e-6
"""Tolerance for rounding at the end of the horizon."""


class HorizonError(ValueError):
    """A requested time lies outside the predicted times."""


@dataclass(frozen=True)
class Person:
    """The possible futures of one person, metres, in the frame of the outlook.

    The numbers are float32, as published. `Outlook.at` and `Outlook.moved` return float64.
    """

    id: str
    observed_fraction: float
    samples: NDArray[np.floating]
    """(S, F, J, 3) equally likely futures; S is 0 if samples are not published."""
    mean: NDArray[np.floating]
    """(F, J, 3) mean of the possible futures"""
    radius: NDArray[np.floating]
    """(F, J) radius of a ball around the mean; NaN if it is unknown. The ball holds the joint (a
    point) with probability `coverage`, on average over the joints of a frame."""
    unfamiliar: bool = False
    """Whether the person moves unlike everybody in the calibration data. The balls of an
    unfamiliar person hold every place that this person can reach. The samples of an unfamiliar
    person are not reliable."""


@dataclass(frozen=True)
class Outlook:
    """The possible futures of all people, at times counted from now.

    An empty outlook means that nobody is there.
    """

    stamp_ns: int
    """Time at which the newest observation was captured."""
    age_s: float
    """Time since the newest observation was captured."""
    frame_id: str
    layout: str
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    coverage: float
    times: NDArray[np.float64]
    """(F,) times of the frames, seconds from now; negative for frames that have passed."""
    people: tuple[Person, ...]
    degraded: bool = False
    """Whether the prediction came late, or lacks its radius."""
    unpredicted: tuple[Unpredicted, ...] = ()
    """People who are there but not predicted; empty unless `Limits.reachable_ok`."""

    @classmethod
    def of(
        cls, message: Any, age_s: float, unpredicted_m_per_s: float = float('inf')
    ) -> 'Outlook':
        """Return the outlook of a PredictedMotionArray, without a copy of its numbers.

        Args:
            message: a PredictedMotionArray in which every person is predicted, or has a place
                and a reach.
            age_s: time since the stamp in the header of the message.
            unpredicted_m_per_s: greatest speed of people without a prediction.
        """
        shape = (message.num_frames, message.num_joints)
        stamp = message.header.stamp
        people = tuple(
            Person(
                motion.id,
                motion.observed_fraction,
                np.asarray(motion.samples, np.float32).reshape(message.num_samples, *shape, 3),
                np.asarray(motion.mean, np.float32).reshape(*shape, 3),
                np.asarray(motion.radius, np.float32).reshape(shape),
                motion.unfamiliar,
            )
            for motion in message.motions
            if len(motion.mean)
        )
        unpredicted = tuple(
            Unpredicted.of(message, motion, age_s, unpredicted_m_per_s)
            for motion in message.motions
            if not len(motion.mean)
        )
        return cls(
            stamp_ns=stamp.sec * 1_000_000_000 + stamp.nanosec,
            age_s=age_s,
            frame_id=message.header.frame_id,
            layout=message.layout,
            joint_names=tuple(message.joint_names),
            parents=tuple(message.parents),
            coverage=message.coverage,
            times=np.asarray(message.times, np.float64) - age_s,
            people=people,
            degraded=message.DEGRADED in (message.status, *(m.status for m in message.motions)),
            unpredicted=unpredicted,
        )

    @property
    def is_empty(self) -> bool:
        """Whether nobody is there, neither predicted people nor unpredicted people."""
        return not self.people and not self.unpredicted

    @property
    def horizon_s(self) -> float:
        """Time from now to the last predicted frame."""
        return float(self.times[-1]) if len(self.times) else 0.0

    def instants(self, start_s: float, end_s: float) -> NDArray[np.float64]:
        """Return the two ends of a time span and the times of the frames in between (T,)."""
        within = self.times[(self.times > start_s) & (self.times < end_s)]
        return np.unique([start_s, *within, end_s])

    def at(self, times_s: ArrayLike) -> 'Outlook':
        """Return the outlook at other times, interpolated linearly between frames.

        Positions before the first frame are extrapolated, at most back to the newest observation.

        Args:
            times_s: seconds from now (T,).

        Raises:
            HorizonError: if a time lies before the newest observation or beyond the last frame.
        """
        times = np.atleast_1d(np.asarray(times_s, np.float64))
        if not self.people:  # without predicted people, any time is allowed
            return replace(self, times=times)
        early, late = -self.age_s - SLACK_S, self.horizon_s + SLACK_S
        if not ((times >= early) & (times <= late)).all():
            raise HorizonError(
                f'times from {times.min():.3f} to {times.max():.3f} s from now were asked for, '
                f'but the prediction goes from {early:.3f} to {late:.3f} s'
            )
        if len(self.times) == 1:
            frames, share = np.zeros(len(times), int), np.zeros(len(times))
            return self._between(times, frames, frames, share)
        right = np.searchsorted(self.times, times).clip(1, len(self.times) - 1)
        left = right - 1
        step = self.times[right] - self.times[left]
        share = (times - self.times[left]) / step
        return self._between(times, left, right, share)

    def _between(
        self,
        times: NDArray[np.float64],
        left: NDArray[np.int64],
        right: NDArray[np.int64],
        share: NDArray[np.float64],
    ) -> 'Outlook':
        def mixed(
            values: NDArray[np.floating], axis: int, weight: NDArray[np.float64]
        ) -> NDArray[np.floating]:
            found = values.take(right, axis).astype(np.float64)
            rest = np.flatnonzero(weight != 1)  # a time on a frame needs no interpolation
            weight = weight[rest].reshape(-1, *(1,) * (values.ndim - axis - 1))
            first = values.take(left[rest], axis).astype(np.float64)
            place = (slice(None),) * axis + (rest,)
            found[place] = first + weight * (found[place] - first)
            return found

        people = tuple(
            replace(
                person,
                samples=mixed(person.samples, 1, share),
                mean=mixed(person.mean, 0, share),
                radius=mixed(person.radius, 0, share.clip(0, 1)),
            )
            for person in self.people
        )
        return replace(self, times=times, people=people)

    def moved(self, transform: Rigid, frame_id: str) -> 'Outlook':
        """Return the outlook in another coordinate frame.

        Args:
            transform: transform from `self.frame_id` to the other frame.
            frame_id: name of the other frame.
        """
        people = tuple(
            replace(
                person,
                samples=transform(np.asarray(person.samples, np.float64)),
                mean=transform(np.asarray(person.mean, np.float64)),
            )
            for person in self.people
        )
        unpredicted = tuple(person.moved(transform) for person in self.unpredicted)
        return replace(self, frame_id=frame_id, people=people, unpredicted=unpredicted)
