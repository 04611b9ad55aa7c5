"""Simulates control cycles beside people: a monitored stop is verified, then carried out.

Every scene is one control cycle: an arm at a random moment of its motion, beside a recorded person
at a random place and moment. The arm takes the fastest of SPEEDS at which its monitored stop (one
cycle at this speed, then braking) touches no ball around a predicted joint. A miss is a scene in
which the person touches the arm during a verified stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from motion_predictor.planning.flesh import Limbs
from motion_predictor_training.shield.arm import Arm, Stop
from motion_predictor_training.shield.forecasts import Foreseen
from motion_predictor_training.shield.touching import Near

FloatArray = NDArray[np.floating]

SPEEDS = (1.0, 0.75, 0.5, 0.25)
"""Shares of full speed to try, the fastest first. If no speed can be verified, the arm stops."""
BESIDE_M = 1.5
"""Radius of the circle around the person's root in which the arm stands."""
PER_MOMENT = 250
"""Number of scenes that share a moment of the arm's motion."""
MOVES = 12


@dataclass(frozen=True)
class Cell:
    """Times and speeds of the simulated arm."""

    cycle_s: float = 0.1
    latency_s: float = 0.05
    """Time from capture to the start of the control cycle."""
    stop_s: float = 0.3
    """Braking time from full speed to standstill."""
    speed_m_s: float = 1.0
    """Speed of the arm's fastest point at full speed."""
    allowed_m_s: float = 0.1
    """Speed up to which a part of the arm may touch somebody."""

    def frames(self, rate_hz: float) -> list[int]:
        """Return the numbers of the future frames (from 1) during a control cycle and its stop."""
        first = max(1, round(self.latency_s * rate_hz))
        return list(range(first, first + int(np.ceil((self.cycle_s + self.stop_s) * rate_hz)) + 1))


@dataclass(frozen=True)
class Outcome:
    """Outcome of M scenes with the balls of one prediction method."""

    speed: NDArray[np.float64]
    """(M,) share of full speed that was verified; 0 if the arm had to stop."""
    missed: NDArray[np.bool_]
    """(M,) whether the person touched the arm during a verified stop."""

    @classmethod
    def stopped(cls, scenes: int) -> 'Outcome':
        """Return the outcome of scenes in which no speed is verified and the arm stands still."""
        return cls(np.zeros(scenes), np.zeros(scenes, bool))


@dataclass(frozen=True)
class Places:
    """Poses of the arm's base in M scenes."""

    base: NDArray[np.float64]  # (M, 3) metres
    rotation: NDArray[np.float64]  # (M, 3, 3) from the world to the arm

    @classmethod
    def beside(cls, rng: np.random.Generator, roots: FloatArray, floor_m: FloatArray) -> 'Places':
        """Draw a random place of the arm beside each of M people.

        The places are spread evenly over the area of a circle on the floor, around the person.

        Args:
            rng: generator of random numbers.
            roots: positions of the people's roots, metres (M, 3).
            floor_m: heights of the floor, metres (M,).
        """
        away_m = BESIDE_M * np.sqrt(rng.random(len(roots)))
        towards, turn = rng.uniform(0, 2 * np.pi, (2, len(roots)))
        base = np.stack(
            [
                roots[:, 0] + away_m * np.cos(towards),
                roots[:, 1] + away_m * np.sin(towards),
                floor_m,
            ],
            -1,
        )
        cos, sin, none = np.cos(turn), np.sin(turn), np.zeros(len(roots))
        rows = [[cos, sin, none], [-sin, cos, none], [none, none, none + 1]]
        return cls(base, np.moveaxis(np.array(rows), 2, 0))

    def choose(self, chosen: NDArray[np.bool_]) -> 'Places':
        """Return only the chosen places."""
        return Places(self.base[chosen], self.rotation[chosen])

    def to_arm(self, joints: FloatArray, stop: Stop) -> FloatArray:
        """Return joints in the arm's coordinates, at the time of each capsule (M, Q, J, 3).

        Args:
            joints: joints in world coordinates at T frames, metres (M, T, J, 3).
            stop: stop with Q capsules.
        """
        here = joints - self.base[:, None, None]
        return np.einsum('mab,mtjb->mtja', self.rotation, here)[:, stop.frames]


@dataclass(frozen=True)
class Recorded:
    """W recorded windows: the pose at capture, the poses after that, and the people."""

    last: NDArray[np.float32]
    """(W, J, 3) pose at capture, metres."""
    future: NDArray[np.float32]
    """(W, T, J, 3) poses at the frames of the cell, metres."""
    floor_m: NDArray[np.float32]
    """(W,) height of the floor that the arm stands on."""
    people: NDArray[np.str_]
    """(W,) name of the person."""


def simulate(
    foreseen: Sequence[Foreseen],
    recorded: Recorded,
    limbs: Limbs,
    cell: Cell,
    rate_hz: float,
    scenes: int,
    seed: int,
) -> tuple[list[Outcome], NDArray[np.int64]]:
    """Simulate scenes, and return the outcomes and the index of the window in each scene (M,).

    There is one outcome per prediction method. For each scene a person is drawn, with equal
    probability, and then a window of this person. Scenes in which the person touches the arm at
    capture are left out.

    Args:
        foreseen: balls of each prediction method. In this list, methods with the same predicted
            mean stand next to each other.
        recorded: the recorded windows that were predicted.
        limbs: limbs of the people.
        cell: times and speeds of the arm.
        rate_hz: frames per second.
        scenes: number of scenes to draw.
        seed: seed of all random numbers.
    """
    rng = np.random.default_rng(seed)
    arm = Arm(rng, MOVES, cell.speed_m_s)
    own = [np.flatnonzero(recorded.people == name) for name in np.unique(recorded.people)]
    parts: list[list[Outcome]] = []
    of_windows = []
    for first in tqdm(range(0, scenes, PER_MOMENT), desc='shield', leave=False, disable=None):
        count = min(PER_MOMENT, scenes - first)
        moment_s = rng.uniform(cell.latency_s, cell.latency_s + arm.duration_s)
        window = np.array([rng.choice(own[who]) for who in rng.integers(len(own), size=count)])
        place = Places.beside(rng, recorded.last[window, 0], recorded.floor_m[window])
        still = arm.standing(moment_s - cell.latency_s)
        apart = ~Near(place.to_arm(recorded.last[window][:, None], still), still, limbs).touched()
        window, place = window[apart], place.choose(apart)
        of_windows.append(window)
        stops = [
            arm.stop(moment_s, speed, cell.cycle_s, cell.stop_s, cell.allowed_m_s, rate_hz)
            for speed in SPEEDS
        ]
        parts.append(_cycle(stops, place, window, foreseen, recorded, limbs))
    outcomes = [
        Outcome(
            np.concatenate([part.speed for part in of_kind]),
            np.concatenate([part.missed for part in of_kind]),
        )
        for of_kind in zip(*parts, strict=True)
    ]
    return outcomes, np.concatenate(of_windows)


def _cycle(
    stops: list[Stop],
    place: Places,
    window: NDArray[np.int64],
    foreseen: Sequence[Foreseen],
    recorded: Recorded,
    limbs: Limbs,
) -> list[Outcome]:
    """Return the outcomes of M scenes in which the arm starts at the same moment of its motion."""
    outcomes = [Outcome.stopped(len(window)) for _ in foreseen]
    for speed, stop in zip(SPEEDS, stops, strict=True):
        hit = Near(place.to_arm(recorded.future[window], stop), stop, limbs).touched()
        for _, kinds in groupby(enumerate(foreseen), lambda kind: id(kind[1].mean)):
            of_mean = list(kinds)
            joints = of_mean[0][1].mean[window]
            near = Near(place.to_arm(joints, stop), stop, limbs)
            for index, kind in of_mean:
                outcome = outcomes[index]
                radius = kind.radius[window][:, stop.frames]
                left = outcome.speed == 0
                verified = left & ~near.touched(radius, left)
                outcome.speed[verified] = speed
                outcome.missed[verified] = hit[verified]
    return outcomes
