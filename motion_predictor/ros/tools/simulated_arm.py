"""An arm that repeats a motion as fast as it is told to, and how near people came to it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion_predictor.planning.approach import nearest
from motion_predictor.planning.capsules import Capsules
from motion_predictor.planning.flesh import Bodies, Limbs
from motion_predictor.planning.outlook import Person
from motion_predictor.planning.robot import RobotModel

CYCLE_S = 4.0
"""Of the motion at full speed."""
MOVES_M_PER_S = 0.02
"""An arm that is slower stands; a person may touch it then."""
STOP_S = 0.12
"""Time in which it brakes from full speed, as evenly as it speeds up."""


def posture(phase_s: float) -> dict[str, float]:
    """Return the joints after so much of the motion, radians."""
    swing = np.sin(2 * np.pi * phase_s / CYCLE_S)
    return {
        'turn': float(0.9 * swing),
        'shoulder': float(0.9 + 0.2 * swing),
        'elbow': float(0.5 - 0.3 * swing),
    }


@dataclass
class SimulatedArm:
    """One arm: its phase, its speed, and what became of both."""

    model: RobotModel
    phase_s: float = 0.0
    speed: float = 0.0
    """As a share of full speed; it follows what is commanded as fast as it can brake."""
    lived_s: float = 0.0
    least_m: float = float('inf')
    """The nearest that anybody came while it moved, surface to surface."""
    touched_s: float = 0.0
    """Time that it touched somebody and moved."""
    scales: list[float] = field(default_factory=list)

    def step(self, commanded: float, spent_s: float) -> None:
        """Go on for a while."""
        change = commanded - self.speed
        most = spent_s / STOP_S
        self.speed += min(max(change, -most), most)
        self.phase_s += self.speed * spent_s
        self.lived_s += spent_s
        self.scales.append(commanded)

    @property
    def capsules(self) -> Capsules:
        """Where it is."""
        return self.model.at(posture(self.phase_s))

    def fastest_m_per_s(self) -> float:
        """Return the speed of its fastest point."""
        if not self.speed:
            return 0.0
        step_s = 1e-3
        now, then = self.capsules, self.model.at(posture(self.phase_s + step_s * self.speed))
        return float(np.linalg.norm(then.ends - now.ends, axis=-1).max() / step_s)

    def met(self, apart_m: float, spent_s: float) -> None:
        """Note how near people are now."""
        if self.fastest_m_per_s() > MOVES_M_PER_S:
            self.least_m = min(self.least_m, apart_m)
            self.touched_s += spent_s * (apart_m <= 0)

    def report(self) -> dict[str, float]:
        """Return what it lost, and how near people came while it moved."""
        lost = 1 - self.phase_s / self.lived_s if self.lived_s else 0.0
        return {
            'cycles': self.phase_s / CYCLE_S,
            'time lost (%)': 100 * lost,
            'least distance while moving (m)': self.least_m,
            'moving in touch (s)': self.touched_s,
        }


def full_speed_m_per_s(model: RobotModel) -> float:
    """Return how fast the fastest point of the arm moves at full speed."""
    arms = [SimulatedArm(model, phase_s=p, speed=1.0) for p in np.linspace(0, CYCLE_S, 41)]
    return max(arm.fastest_m_per_s() for arm in arms)


def apart_m(poses: Any, limbs: Limbs, capsules: Capsules) -> float:
    """Return the distance of the nearest of several poses (J, 3), infinite if there is none."""
    least = float('inf')
    for pose in poses:
        if np.isfinite(pose).all():
            person = _still(pose)
            least = min(least, float(nearest(Bodies.of_samples(person, limbs), capsules)[0][0]))
    return least


def _still(pose: NDArray[np.float32]) -> Person:
    none = np.zeros((1, len(pose)), np.float32)
    return Person('', 1.0, pose[None, None], pose[None], none)
