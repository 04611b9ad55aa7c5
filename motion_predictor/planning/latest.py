"""Decides whether the newest message may be acted on: usable predictions, or a reason why not."""

import time
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from motion_predictor.common.rigid import Rigid
from motion_predictor.planning.outlook import Outlook

OK, DEGRADED, TOO_MANY, WARMING_UP, STALE_INPUT, FAULT = range(6)
"""The statuses of PredictedMotionArray. Messages with any other status are not usable."""


class Reason(Enum):
    """Whether predictions can be used, and if not, why not. Each value is a sentence."""

    USABLE = 'everybody is predicted'
    SILENT = 'no messages come from the predictor'
    MALFORMED = 'the contents of the message do not fit each other'
    FAULT = 'the predictor reports a fault'
    CLOCK = 'the message is stamped in the future: clocks differ or time jumped'
    STALE = 'the newest observation is too old'
    UNREADABLE = 'somebody or something is in view that cannot be predicted'
    WARMING_UP = 'the history of somebody is still too short'
    TOO_MANY = 'more people are in view than are predicted'
    SHORT = 'the prediction ends before the time that was asked for'
    UNFAMILIAR = 'somebody moves unlike everybody in the calibration data'
    NO_TRANSFORM = 'there is no transform from the frame of the predictions'

    def __str__(self) -> str:
        """Return the sentence."""
        return self.value


class BlindError(RuntimeError):
    """There are no usable predictions, so it is unknown whether people are there."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f'there is no outlook: {reason}')
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """Limits beyond which a robot must not act on a message."""

    silent_after_s: float = 0.2
    """Longest time without any message, on the monotonic clock. If a simulation runs at a tenth
    of real time, set this limit ten times as long. (`max_age_s` counts simulated seconds.)"""
    max_age_s: float = 0.25
    """Longest time since the newest observation was captured, the tracker's latency included."""
    max_ahead_s: float = 0.1
    """Longest time by which a stamp may lie in the future, since two clocks always differ a
    little."""
    reach_s: float = 0.0
    """Least time from now that the prediction must cover."""
    max_transform_age_s: float = 0.5
    """Greatest age of a transform in tf. Static transforms hold for ever."""
    reachable_ok: bool = False
    """Whether a message is usable while some people are not predicted, because they have just
    come, were lost, or are too many. Unpredicted people are in `outlook.unpredicted`. Distances
    and touches include unpredicted people."""
    unpredicted_m_per_s: float = float('inf')
    """Greatest speed of people who are not predicted, if less than `max_speed` of the message.
    ISO 13855 gives 1.6."""
    unfamiliar_ok: bool = True
    """Whether a message is usable while somebody is unfamiliar. The balls of an unfamiliar person
    hold every place that this person can reach. Distances and touches use these balls, not the
    samples. A planner that reads the samples directly sets `unfamiliar_ok` to false."""


@dataclass(frozen=True)
class Latest:
    """The answer of an `Inbox`: usable predictions, or the reason why there are none."""

    reason: Reason
    _outlook: Outlook | None = None

    @property
    def outlook(self) -> Outlook:
        """The predictions. Empty predictions mean that nobody has been seen, now or just before.

        Raises:
            BlindError: if there are no usable predictions, so that it is unknown who is there.
        """
        if self._outlook is None:
            raise BlindError(self.reason)
        return self._outlook

    def __bool__(self) -> bool:
        """Whether the predictions can be used."""
        return self._outlook is not None

    def moved(self, transform: Rigid | None, frame_id: str) -> 'Latest':
        """Return this answer, with the predictions in another coordinate frame.

        An answer without predictions is returned unchanged.

        Args:
            transform: transform to the other frame; None if no transform is known.
            frame_id: name of the other frame.
        """
        if self._outlook is None:
            return self
        if transform is None:
            return Latest(Reason.NO_TRANSFORM)
        return Latest(self.reason, self._outlook.moved(transform, frame_id))

    @property
    def is_nobody(self) -> bool:
        """Whether it is known that nobody is there."""
        return self._outlook is not None and self._outlook.is_empty


def judge(message: Any, age_s: float, limits: Limits) -> Reason:
    """Return whether a robot may act on a PredictedMotionArray, and if not, why not.

    Silence, the time without any message, is not checked here.

    Args:
        message: a PredictedMotionArray for which `is_well_formed` is true.
        age_s: time since the stamp in the header of the message.
        limits: limits beyond which a robot must not act on the message.
    """
    if message.status == FAULT:
        return Reason.FAULT
    if age_s < -limits.max_ahead_s:
        return Reason.CLOCK
    if age_s > limits.max_age_s:
        return Reason.STALE
    if not (limits.reachable_ok and _all_are_placed(message)):
        if message.status in (WARMING_UP, TOO_MANY):
            return Reason.WARMING_UP if message.status == WARMING_UP else Reason.TOO_MANY
        if message.status > DEGRADED or message.unlisted:
            return Reason.UNREADABLE
        if any(motion.status > DEGRADED or not len(motion.mean) for motion in message.motions):
            return Reason.UNREADABLE
    if any(motion.unfamiliar for motion in message.motions) and not limits.unfamiliar_ok:
        return Reason.UNFAMILIAR
    if (
        any(len(motion.mean) for motion in message.motions)
        and message.times[-1] - max(age_s, 0.0) < limits.reach_s
    ):
        return Reason.SHORT
    return Reason.USABLE


def _all_are_placed(message: Any) -> bool:
    """Return whether every listed person is predicted, or has a known place and reach.

    If the status of the message is worse than the worst status of a person, something else is
    wrong, and the result is false. The result is also false if a person has the status STALE_INPUT
    although the person's pose is as new as the message. In such a pose, the axes may be mixed up,
    or most joints may be hidden.
    """
    stamp = message.header.stamp
    statuses = [motion.status for motion in message.motions]
    if message.unlisted or message.status > max([DEGRADED, *statuses]):
        return False
    return all(
        motion.status <= DEGRADED
        if len(motion.mean)
        else DEGRADED < motion.status <= STALE_INPUT
        and (motion.status < STALE_INPUT or motion.last_seen != stamp)
        and np.isfinite([*motion.place, motion.reach, message.max_speed]).all()
        for motion in message.motions
    )


def is_well_formed(message: Any) -> bool:
    """Return whether all arrays have the sizes that the message states, and are finite."""
    S, F, J = message.num_samples, message.num_frames, message.num_joints
    times = np.asarray(message.times, np.float64)
    if not (
        len(times) == F and np.isfinite(times).all() and (np.diff(times, prepend=0) > 0).all()
    ):
        return False
    if message.motions and not (F and len(message.joint_names) == len(message.parents) == J):
        return False
    for motion in message.motions:
        if not len(motion.mean):
            if len(motion.samples) or len(motion.radius):
                return False
            continue
        sizes = len(motion.samples), len(motion.mean), len(motion.radius)
        if sizes != (S * F * J * 3, F * J * 3, F * J):
            return False
        for numbers in (motion.samples, motion.mean):
            # The sum in float64 is finite exactly if all float32 numbers are finite. A test of
            # each number would need another array; the sum needs none.
            if not np.isfinite(np.asarray(numbers, np.float32).sum(dtype=np.float64)):
                return False
    return True


class Inbox:
    """Keeps the newest message and says whether a robot may act on this message.

    Args:
        limits: limits beyond which a robot must not act on a message; `Limits()` by default.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._newest: tuple[Any, bool, float] | None = None

    def put(self, message: Any, steady_s: float | None = None) -> None:
        """Store a PredictedMotionArray that has just arrived.

        Args:
            message: the PredictedMotionArray.
            steady_s: time of the monotonic clock, seconds; `time.monotonic()` by default.
        """
        arrived_s = time.monotonic() if steady_s is None else steady_s
        self._newest = message, is_well_formed(message), arrived_s

    def latest(self, now_ns: int, steady_s: float | None = None) -> Latest:
        """Return the newest predictions if they can be used, otherwise the reason why not.

        Args:
            now_ns: present time of the clock that stamps the messages (ROS time), nanoseconds.
            steady_s: time of the monotonic clock, seconds; `time.monotonic()` by default.
        """
        steady_s = time.monotonic() if steady_s is None else steady_s
        newest = self._newest  # read only once, since another thread may replace `_newest`
        if newest is None:
            return Latest(Reason.SILENT)
        message, well_formed, arrived_s = newest
        if steady_s - arrived_s > self.limits.silent_after_s:
            return Latest(Reason.SILENT)
        if not well_formed:
            return Latest(Reason.MALFORMED)
        stamp = message.header.stamp
        age_s = (now_ns - (stamp.sec * 1_000_000_000 + stamp.nanosec)) * 1e-9
        reason = judge(message, age_s, self.limits)
        if reason is not Reason.USABLE:
            return Latest(reason)
        people = Outlook.of(message, max(age_s, 0.0), self.limits.unpredicted_m_per_s)
        return Latest(reason, people)
