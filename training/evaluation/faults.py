"""Simulated faults of trackers: hidden or swapped joints, noise, low rates, swaying bodies."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor.skeleton import Layout

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Source:
    """What a fault has to know about the motion: layout, frame rate and random numbers."""

    layout: Layout
    rate_hz: float
    random: np.random.Generator

    def joints(self, *parts: str) -> list[int]:
        """Return the indices of the joints with these common names, if the layout has them."""
        return [j for part in parts if (j := self.layout.index(part)) is not None]

    def frames(self, seconds: float) -> int:
        """Return the number of frames in a time span, at least one."""
        return max(1, round(seconds * self.rate_hz))


Fault = Callable[[FloatArray, Source], FloatArray]
"""Corrupts the motion that a tracker reports (T, J, 3), metres, in place or in a copy. NaN marks
joints that the tracker does not report."""


def _clean(motion: FloatArray, source: Source) -> FloatArray:
    return motion


def _hidden(share: float) -> Fault:
    """Hide joints at random in each frame."""

    def fault(motion: FloatArray, source: Source) -> FloatArray:
        motion[source.random.random(motion.shape[:2]) < share] = np.nan
        return motion

    return fault


def _without_legs(motion: FloatArray, source: Source) -> FloatArray:
    motion[:, source.joints(*(f'{s}_{p}' for s in 'lr' for p in ('knee', 'ankle', 'foot')))] = (
        np.nan
    )
    return motion


def _arm_lost(motion: FloatArray, source: Source) -> FloatArray:
    """Hide one arm in the last 0.3 s."""
    arm = source.joints('r_shoulder', 'r_elbow', 'r_wrist')
    motion[-source.frames(0.3) :, arm] = np.nan
    return motion


def _noise(metres: float) -> Fault:
    def fault(motion: FloatArray, source: Source) -> FloatArray:
        return motion + source.random.normal(scale=metres, size=motion.shape).astype(np.float32)

    return fault


def _slower(rate_hz: float) -> Fault:
    """Keep only as many frames as a tracker with a lower rate reports."""

    def fault(motion: FloatArray, source: Source) -> FloatArray:
        step = max(1, round(source.rate_hz / rate_hz))
        kept = np.full_like(motion, np.nan)
        kept[::-step] = motion[::-step]
        return kept

    return fault


def _swapped(motion: FloatArray, source: Source) -> FloatArray:
    """Swap left and right joints in the last three frames."""
    motion[-3:] = motion[-3:, list(source.layout.mirrored)]
    return motion


def _jumps(motion: FloatArray, source: Source) -> FloatArray:
    """Move single joints by half a metre, each with a probability of 1 in 50."""
    jumped = source.random.random(motion.shape[:2]) < 0.02
    way = source.random.normal(size=(*motion.shape[:2], 3))
    way *= 0.5 / np.linalg.norm(way, axis=-1, keepdims=True)
    motion[jumped] += way[jumped].astype(np.float32)
    return motion


def _body_off(metres: float) -> Fault:
    """Displace the whole body in every tenth frame of a 30 Hz tracker, including the newest."""

    def fault(motion: FloatArray, source: Source) -> FloatArray:
        step = max(1, round(source.rate_hz / 30))
        kept = _slower(30)(motion, source)
        thrown = np.arange(len(motion) - 1, -1, -10 * step)
        way = source.random.normal(size=(len(thrown), 1, 3))
        # People stay on the floor, so the vertical error is small.
        way[..., 2] *= 0.2
        way *= metres / np.linalg.norm(way, axis=-1, keepdims=True)
        kept[thrown] += way.astype(np.float32)
        return kept

    return fault


def _sway(metres: float, seconds: float) -> Fault:
    """Move the whole body at random, with a given root mean square and correlation time.

    Depth cameras have such slowly varying errors.
    """

    def fault(motion: FloatArray, source: Source) -> FloatArray:
        kept = np.exp(-1 / (seconds * source.rate_hz))
        steps = source.random.normal(scale=metres / 3**0.5, size=(len(motion), 1, 3))
        way = steps.copy()
        for frame in range(1, len(way)):
            way[frame] = kept * way[frame - 1] + np.sqrt(1 - kept**2) * steps[frame]
        return (motion + way).astype(np.float32)

    return fault


FAULTS: dict[str, Fault] = {
    'clean': _clean,
    '10 % of joints hidden': _hidden(0.1),
    '30 % of joints hidden': _hidden(0.3),
    'both legs never seen': _without_legs,
    'an arm lost for 0.3 s': _arm_lost,
    'noise of 5 mm': _noise(0.005),
    'noise of 20 mm': _noise(0.02),
    'source of 30 Hz': _slower(30),
    'source of 15 Hz': _slower(15),
    'sides swapped for 3 frames': _swapped,
    '2 % of joints 0.5 m off': _jumps,
    'one frame 0.1 m off, 30 Hz': _body_off(0.1),
    'one frame 0.2 m off, 30 Hz': _body_off(0.2),
    'one frame 0.3 m off, 30 Hz': _body_off(0.3),
    'body sways 3 cm within 0.15 s': _sway(0.03, 0.15),
}
