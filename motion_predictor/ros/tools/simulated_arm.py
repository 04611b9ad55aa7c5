"""Simulates an arm that repeats a motion, and its distance from people."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motion_predictor.planning.capsules import Capsules, segment_to_segment
from motion_predictor.planning.flesh import Limbs
from motion_predictor.planning.robot import RobotModel

CYCLE_S = 4.0
"""Period of the motion at full speed."""
MOVES_M_PER_S = 0.02
"""If the arm's fastest point is slower than this, the arm counts as standing. A person may touch a
standing arm."""
STOP_S = 0.12
"""Time to brake from full speed, and to reach full speed."""


def posture(phase_s: float) -> dict[str, float]:
    """Return the joint angles of the arm at a phase of its motion, radians."""
    swing = np.sin(2 * np.pi * phase_s / CYCLE_S)
    return {
        'turn': float(0.9 * swing),
        'shoulder': float(0.9 + 0.2 * swing),
        'elbow': float(0.5 - 0.3 * swing),
    }


@dataclass
class SimulatedArm:
    """One simulated arm: the phase of its motion, its speed and its results."""

    model: RobotModel
    phase_s: float = 0.0
    speed: float = 0.0
    """Present share of full speed, which follows the command with limited acceleration."""
    went_s: float = 0.0
    """Length of the motion done so far, in seconds at full speed."""
    lived_s: float = 0.0
    """Simulated time so far."""
    least_m: float = float('inf')
    """Least distance between the surfaces of the arm and of people while the arm moved."""
    touched_s: float = 0.0
    """Time during which the arm moved while it touched somebody."""
    scales: list[float] = field(default_factory=list)

    def step(self, commanded: float, spent_s: float) -> None:
        """Simulate `spent_s` seconds of the arm's motion at the commanded share of full speed."""
        change = commanded - self.speed
        most = spent_s / STOP_S
        self.speed += min(max(change, -most), most)
        self.phase_s += self.speed * spent_s
        self.went_s += self.speed * spent_s
        self.lived_s += spent_s
        self.scales.append(commanded)

    @property
    def capsules(self) -> Capsules:
        """The capsules of the arm in its present pose."""
        return self.model.at(posture(self.phase_s))

    def fastest_m_per_s(self) -> float:
        """Return the present speed of the arm's fastest point, m/s."""
        if not self.speed:
            return 0.0
        step_s = 1e-3
        now, then = self.capsules, self.model.at(posture(self.phase_s + step_s * self.speed))
        return float(np.linalg.norm(then.ends - now.ends, axis=-1).max() / step_s)

    def met(self, apart_m: float, spent_s: float) -> None:
        """Record that the nearest person was `apart_m` metres away for `spent_s` seconds."""
        if self.fastest_m_per_s() > MOVES_M_PER_S:
            self.least_m = min(self.least_m, apart_m)
            self.touched_s += spent_s * (apart_m <= 0)

    def report(self) -> dict[str, float]:
        """Return the results: cycles, time lost, and contact with people while the arm moved.

        A cycle is one repetition of the motion.
        """
        lost = 1 - self.went_s / self.lived_s if self.lived_s else 0.0
        return {
            'cycles': float(self.went_s / CYCLE_S),
            'time lost (%)': float(100 * lost),
            'least distance while moving (m)': self.least_m,
            'moving in touch (s)': self.touched_s,
        }


def full_speed_m_per_s(model: RobotModel) -> float:
    """Return the greatest speed of any point of the arm at full speed, m/s."""
    arms = [SimulatedArm(model, phase_s=p, speed=1.0) for p in np.linspace(0, CYCLE_S, 41)]
    return max(arm.fastest_m_per_s() for arm in arms)


def apart_m(pose: NDArray[np.floating], limbs: Limbs, capsules: Capsules) -> float:
    """Return the distance of a pose (J, 3) from the capsules; infinite if a joint is missing."""
    if not np.isfinite(pose).all():
        return float('inf')
    # shape: one row per limb, one column per capsule
    shape = (len(limbs.names), len(capsules.radii), 3)
    a, b = (pose[limbs.ends[:, i], None].astype(np.float64) for i in (0, 1))
    starts, ends = capsules.starts, capsules.ends
    first, last, start, end = (
        np.broadcast_to(x, shape).reshape(-1, 3) for x in (a, b, starts, ends)
    )
    axes = segment_to_segment(first, last, start, end).reshape(shape[:2])
    return float((axes - limbs.radii[:, None] - capsules.radii).min())
