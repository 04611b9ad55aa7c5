"""Measures the time of distances and touch probabilities for planners, in Python and in C++."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion_predictor.archive import MotionArchive
from motion_predictor.planning import Capsules, Limbs, Outlook, Person, closest, touch

SAMPLES, FRAMES, CAPSULES, RATE_HZ = 50, 120, 8, 60.0
ARMS = {'among the futures': 0.0, '1.5 m away': 1.5, '4 m away': 4.0}
"""Positions of the robot arm, in metres to the side of the person."""
CALLS_SHARE = 10
"""Planning is called less often: the number of calls of the command line is divided by this."""


def measure(archive: MotionArchive, calls: int) -> list[dict[str, Any]]:
    """Return the times for one person in milliseconds, by position of the arm and by language.

    Raises:
        RuntimeError: if C++ and Python compute different distances, or if the C++ executable is
            missing.
    """
    outlook, limbs = _scene(archive)
    start, end = float(outlook.times[0]), float(outlook.times[-1])
    place = outlook.people[0].mean[0, 0].astype(np.float64)
    arms = [_arm(place + [0, way, -0.9]) for way in ARMS.values()]
    few = max(3, calls // CALLS_SHARE)
    there = _in_cpp(outlook, limbs, arms, few)
    rows = []
    for name, arm, line in zip(ARMS, arms, there, strict=True):
        nearest = closest(outlook, arm, start, end, limbs)
        if abs(nearest.distance_m - line[0]) > 1e-5:
            raise RuntimeError(f'C++ says {line[0]} m where Python says {nearest.distance_m} m')
        near_ms = _time(partial(closest, outlook, arm, start, end, limbs), few)
        touch_ms = _time(partial(touch, outlook, arm, start, end, limbs), few)
        for language, near, hit in (
            ('Python', near_ms, touch_ms),
            ('C++', _named(line[2:5]), _named(line[5:8])),
        ):
            rows.append(
                {
                    'arm': name,
                    'distance_m': nearest.distance_m,
                    'language': language,
                    **{f'closest_{key}': ms for key, ms in near.items()},
                    **{f'touch_{key}': ms for key, ms in hit.items()},
                }
            )
    return rows


def _scene(archive: MotionArchive) -> tuple[Outlook, Limbs]:
    """Return a scene with one person, and the limbs of this person.

    The possible futures of this person lie as far apart as in predictions of recorded motion.
    """
    layout = archive.layout
    clip = max((archive.clip(i) for i in range(len(archive))), key=len)[:FRAMES]
    generator = np.random.default_rng(0)
    ways = generator.normal(0, [0.4, 0.4, 0.05], (SAMPLES, 1, 1, 3))
    growing = np.linspace(0, 1, len(clip))[:, None, None]
    samples = (clip + ways * growing).astype(np.float32)
    mean = samples.mean(0)
    person = Person('someone', 1.0, samples, mean, np.zeros(mean.shape[:2], np.float32))
    times = np.arange(1, len(clip) + 1) / RATE_HZ
    names = layout.joint_names
    outlook = Outlook(0, 0.0, 'map', layout.name, names, layout.parents, 0.95, times, (person,))
    return outlook, Limbs.for_outlook(outlook)


def _arm(place: NDArray[np.float64]) -> Capsules:
    """Return a robot arm of 8 capsules with its base at the given position."""
    turns = np.linspace(0, 2.5, CAPSULES)
    steps = 0.18 * np.stack([np.sin(turns), 0.3 * np.cos(turns), np.cos(turns)], -1)
    points = place + np.vstack([np.zeros(3), steps.cumsum(0)])
    return Capsules.of(points[:-1], points[1:], np.full(CAPSULES, 0.08))


def _named(times_ms: Sequence[float]) -> dict[str, float]:
    """Return the least, median and p99 time by name. Disturbances do not affect the least time."""
    return dict(zip(('min_ms', 'median_ms', 'p99_ms'), times_ms, strict=True))


def _time(call: Callable[[], Any], calls: int) -> dict[str, float]:
    spent = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        spent.append(1000 * (time.perf_counter() - start))
    return _named([float(value) for value in np.percentile(spent, [0, 50, 99])])


def _in_cpp(outlook: Outlook, limbs: Limbs, arms: list[Capsules], calls: int) -> list[list[float]]:
    """Return the distance, the touch probability and six times for every arm, measured in C++.

    The installed C++ executable computes and measures these numbers.
    """
    program = Path(sys.argv[0]).resolve().parent / 'planning_benchmark'
    if not program.is_file():
        raise RuntimeError(f'there is no {program}: measure planning with the built package')
    samples = outlook.people[0].samples
    sizes = np.array([*samples.shape[:3], CAPSULES, len(arms)], np.int64)
    parts = [sizes, outlook.times.astype(np.float32), samples, np.array([len(limbs.names)])]
    parts.append(np.column_stack([limbs.ends.astype(float), limbs.radii]))
    parts += [np.column_stack([arm.starts, arm.ends, arm.radii]) for arm in arms]
    with tempfile.NamedTemporaryFile() as file:
        file.write(b''.join(np.ascontiguousarray(part).tobytes() for part in parts))
        file.flush()
        answer = subprocess.run(
            [program, file.name, str(calls)], capture_output=True, text=True, check=True
        )
    return [[float(word) for word in line.split()] for line in answer.stdout.splitlines()]
