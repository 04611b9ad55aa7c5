"""A simulated robot arm that moves between random postures and can stop at any moment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor.common.installed import installed
from motion_predictor.planning.capsules import Capsules
from motion_predictor.planning.robot import RobotModel

REACHES = {'turn': (-1.5, 1.5), 'shoulder': (0.3, 1.4), 'elbow': (-0.3, 1.4)}
"""Limits of the joint angles of the postures, radians."""
STEP_S = 0.01
"""Time between computed postures of the motion. Between two computed postures, the motion is
linear."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stop:
    """A monitored stop: a control cycle at some speed, then braking along the same path.

    The stop consists of Q capsules: the capsules of the arm at all frames of the stop. If a
    capsule is so slow at a frame that contact is allowed, the capsule is left out at this frame.
    """

    starts: Array  # (Q, 3) starts of the axes of the capsules, metres
    ends: Array  # (Q, 3) ends of the axes of the capsules, metres
    radii: Array  # (Q,) radii of the capsules, metres
    frames: NDArray[np.int64]  # (Q,) number of frames after the start of the control cycle


class Arm:
    """The arm of the demo, which moves between random postures at full speed.

    Args:
        rng: generator of random numbers for the postures.
        moves: number of moves from posture to posture. After the last move, the motion repeats.
        speed_m_s: speed of the arm's fastest point at the fastest moment of each move.
    """

    def __init__(self, rng: np.random.Generator, moves: int, speed_m_s: float) -> None:
        folder = installed('config', 'demo_arm')
        model = RobotModel(folder / 'capsules.yaml', (folder / 'arm.urdf').read_text())
        low, high = np.array(list(REACHES.values())).T
        postures = rng.uniform(low, high, (moves, len(REACHES)))
        path = [self._move(model, *pair, speed_m_s) for pair in _round(postures)]
        starts, ends = (np.concatenate([getattr(part, end) for part in path]) for end in _ENDS)
        self._starts, self._ends, self.radii = starts, ends, path[0].radii
        self.duration_s = len(starts) * STEP_S

    def _move(self, model: RobotModel, start: Array, end: Array, speed_m_s: float) -> Capsules:
        """Return the capsules of one move, one pose per STEP_S, without the posture `end`."""
        share: Array = np.linspace(0, 1, 101, dtype=np.float64)
        tried = _placed(model, start, end, share)
        # The longest distance that a point moves in a hundredth of the move's time, metres.
        way = np.linalg.norm(np.diff(tried.ends, axis=0), axis=-1).max()
        count = max(2, round(way * 100 / speed_m_s / STEP_S))
        return _placed(model, start, end, np.arange(count, dtype=np.float64) / count)

    def at(self, moments_s: Array) -> tuple[Array, Array]:
        """Return the starts and the ends of the capsules at T moments of the motion (T, R, 3).

        Args:
            moments_s: seconds since the beginning of the motion (T,).
        """
        place = moments_s / STEP_S
        first = np.floor(place).astype(np.int64)
        share = (place - first)[:, None, None]
        count = len(self._starts)

        def between(of: Array) -> Array:
            return of[first % count] * (1 - share) + of[(first + 1) % count] * share

        return between(self._starts), between(self._ends)

    def standing(self, moment_s: float) -> Stop:
        """Return all capsules of the arm at one moment, as a stop of an arm that stands still."""
        starts, ends = self.at(np.array([moment_s]))
        return Stop(starts[0], ends[0], self.radii, np.zeros(len(self.radii), np.int64))

    def stop(
        self,
        moment_s: float,
        speed: float,
        cycle_s: float,
        stop_s: float,
        allowed_m_s: float,
        rate_hz: float,
    ) -> Stop:
        """Return the monitored stop that begins at a moment of the motion.

        Args:
            moment_s: moment of the motion at which the control cycle begins.
            speed: share of full speed during the control cycle.
            cycle_s: duration of the control cycle. After the cycle, the arm brakes.
            stop_s: braking time from full speed. From a lower speed, braking takes less time at
                the same deceleration.
            allowed_m_s: speed up to which contact is allowed. If a capsule is slower at a frame,
                the capsule is left out at this frame.
            rate_hz: frames per second.
        """
        frames = np.arange(int(np.ceil((cycle_s + stop_s * speed) * rate_hz)) + 1)
        time_s = frames / rate_hz
        braking_s = np.clip(time_s - cycle_s, 0, stop_s * speed)
        way_s = speed * np.minimum(time_s, cycle_s) + speed * braking_s
        way_s -= braking_s**2 / (2 * stop_s)
        pace = speed - braking_s / stop_s  # (T,) share of full speed
        starts, ends = self.at(moment_s + way_s)
        later_starts, later_ends = self.at(moment_s + way_s + STEP_S)
        moved = np.maximum(
            np.linalg.norm(later_starts - starts, axis=-1),
            np.linalg.norm(later_ends - ends, axis=-1),
        )  # (T, R)
        t, r = np.nonzero(moved / STEP_S * pace[:, None] > allowed_m_s)
        return Stop(starts[t, r], ends[t, r], self.radii[r], frames[t])


_ENDS = ('starts', 'ends')


def _round(postures: Array) -> list[tuple[Array, Array]]:
    """Return pairs of a posture and the next posture; the first posture follows the last."""
    return list(zip(postures, np.roll(postures, -1, axis=0), strict=True))


def _placed(model: RobotModel, start: Array, end: Array, share: Array) -> Capsules:
    """Return the capsules during a move from one posture to another (T, R, 3).

    The speed rises gently at the start of the move and falls gently at its end.

    Args:
        model: capsules of the arm as a function of the joint angles.
        start: joint angles at the start of the move, radians.
        end: joint angles at the end of the move, radians.
        share: shares of the duration of the move, from 0 to 1 (T,).
    """
    eased = (1 - np.cos(np.pi * share)) / 2
    postures = start + eased[:, None] * (end - start)
    placed = [model.at(dict(zip(REACHES, posture, strict=True))) for posture in postures.tolist()]
    return Capsules(
        np.stack([c.starts for c in placed]), np.stack([c.ends for c in placed]), placed[0].radii
    )
