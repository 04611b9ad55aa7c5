"""Three arms that repeat one motion beside the same people and slow down by different rules.

The first arm follows the speed scale of a separation monitor. The second and the third arm follow
simple rules, and receive the same observed poses as the predictor. The rules of the second and the
third arm account for the time since a pose was captured. The second and the third arm remember a
lost person for as long as the predictor does.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motion_predictor.archive import MotionArchive
from motion_predictor.common.installed import installed
from motion_predictor.common.rigid import Rigid
from motion_predictor.planning.flesh import Limbs
from motion_predictor.planning.robot import RobotModel
from motion_predictor.planning.separation import Governor, Robot, walking
from motion_predictor.ros.tools.simulated_arm import (
    CYCLE_S,
    STOP_S,
    SimulatedArm,
    apart_m,
    full_speed_m_per_s,
)
from motion_predictor.uncertainty.reach import BODY_M_S

ARM = installed('config', 'demo_arm')
CAPSULES, URDF = ARM / 'capsules.yaml', ARM / 'arm.urdf'
ASIDE_M = 1.1
"""Distance of the arm from the middle of the path of a walking person."""
SILENT_S = 0.12
"""Time without a message after which people count as unknown. Recorded people come 30 times per
second without delay, so more than three messages are missing after this time."""
FORGET_S = 1.0
"""Default time for which the predictor lists a person who is no longer seen."""
PREDICTED, ISO, STANDING = 'predicted', 'ISO, 1.6 m/s', 'zero velocity'
SPEEDS = {ISO: BODY_M_S, STANDING: 0.0}


class Seen(NamedTuple):
    """The pose and the time at which a person was last seen."""

    pose: NDArray[np.floating]
    """pose (J, 3) in the base frame of the arm, metres"""
    time_s: float
    """time at which the person was seen, by the monotonic clock"""


def arm_model() -> RobotModel:
    """Return the kinematic model of the demo arm, with its capsules."""
    return RobotModel(CAPSULES, URDF.read_text())


def arm_robot(model: RobotModel) -> Robot:
    """Return the full speed and the stopping behaviour of the arm."""
    speed = full_speed_m_per_s(model)
    return Robot(speed, stop_s=STOP_S, stop_m=speed * STOP_S / 2)


def place_of(archive: MotionArchive, chosen: Sequence[int]) -> Rigid:
    """Return the pose of the arm's base.

    The arm faces the path of the person who walks farthest.
    """
    clips = [archive.clip(i) for i in chosen]
    walk = max(clips, key=lambda clip: float(np.linalg.norm(np.ptp(clip[:, 0, :2], axis=0))))
    way = walk[-1, 0, :2] - walk[0, 0, :2]
    way = way / max(float(np.linalg.norm(way)), 1e-6)
    aside = np.array([-way[1], way[0]])
    middle = walk[len(walk) // 2, 0, :2] + ASIDE_M * aside
    angle = math.atan2(-aside[1], -aside[0])
    pose = [*middle, float(walk[..., 2].min()), 0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2)]
    return Rigid.of_pose([float(number) for number in pose])


class RivalArms:
    """The three arms, and the people beside the arms.

    Args:
        place: pose of the arms' base in the frame of the people.
        model: kinematic model of an arm.
        robot: full speed and stopping behaviour of an arm.
        start_s: phase of the motion at which the arms start.
    """

    def __init__(
        self, place: Rigid, model: RobotModel, robot: Robot, start_s: float = 0.0
    ) -> None:
        names = (PREDICTED, *SPEEDS)
        self.arms = {name: SimulatedArm(model, phase_s=start_s) for name in names}
        self._governors = {name: Governor() for name in SPEEDS}
        self.to_base, self._robot = place.inverse, robot
        self._limbs: Limbs | None = None
        self._people: dict[str, Seen] = {}
        self._heard_s = float('-inf')

    def begin(self, scale: float) -> None:
        """Start all arms with the same speed scale."""
        for arm in self.arms.values():
            arm.speed = scale
        for governor in self._governors.values():
            governor.scale = scale

    def see(self, poses: Mapping[str, Any], limbs: Limbs, now_s: float) -> None:
        """Record the present poses (J, 3) of people by id, in the frame of the people."""
        self._limbs, self._heard_s = limbs, now_s
        lately = {n: s for n, s in self._people.items() if now_s - s.time_s <= FORGET_S}
        now = {n: Seen(self.to_base(np.asarray(p, np.float64)), now_s) for n, p in poses.items()}
        self._people = lately | now

    def step(self, scale: float, now_s: float, spent_s: float) -> None:
        """Simulate all arms for `spent_s` seconds.

        The arm that follows the monitor uses the speed scale `scale`. The second and the third arm
        compute their own speed scale.
        """
        for name, arm in self.arms.items():
            capsules = arm.capsules
            apart = {n: self._apart_m(seen, capsules) for n, seen in self._people.items()}
            if name != PREDICTED:
                known = now_s - self._heard_s <= SILENT_S
                allowed = self._allowed(apart, SPEEDS[name], now_s) if known else 0.0
                scale = self._governors[name].update(allowed, now_s)
            arm.step(scale, spent_s)
            there = [m for n, m in apart.items() if self._people[n].time_s == self._heard_s]
            arm.met(min(there, default=math.inf), spent_s)

    def _apart_m(self, seen: Seen, capsules: Any) -> float:
        return apart_m(seen.pose, self._limbs, capsules) if self._limbs else math.inf

    def _allowed(self, apart: dict[str, float], speed: float, now_s: float) -> float:
        """Return the allowed speed scale if people approach at `speed` from their last poses."""
        span_s = self._robot.reaction_s + self._robot.stop_s
        return min(
            (
                self._robot.allowed(
                    *walking(m - speed * (now_s - self._people[n].time_s), span_s, speed)
                )
                for n, m in apart.items()
            ),
            default=1.0,
        )

    def report(self) -> dict[str, dict[str, float]]:
        """Return the results of each arm by name."""
        return {name: arm.report() for name, arm in self.arms.items()}


def starts_s(count: int) -> list[float]:
    """Return `count` evenly spaced phases of the arm's motion, seconds."""
    return [CYCLE_S * i / count for i in range(count)]
