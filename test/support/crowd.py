"""People with three joints who are reported once per period, for tests of tracking."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion_predictor.common.status import Status
from motion_predictor.skeleton import Layout
from motion_predictor.tracking.people import People
from motion_predictor.tracking.scene import Observation, Scene

FloatArray = NDArray[np.float32]
MS = 1_000_000
START_NS = 1_700_000_000_000 * MS
PERIOD_NS = 100 * MS
FULL = 5  # number of messages until a window of 5 frames at 10 Hz is full
HIPS = Layout(name='hips', joints={'pelvis': None, 'l_hip': 'pelvis', 'r_hip': 'pelvis'})
POSE = np.array([[0, 0, 1], [0, 0.1, 1], [0, -0.1, 1]], np.float32)
NOTHING = np.full((3, 3), np.nan, np.float32)


def make_people(**changes: Any) -> People:
    usual: dict[str, Any] = {
        'layout': HIPS,
        'rate_hz': 10,
        'frames': 5,
        'max_gap_s': 0.35,
        'forget_after_s': 1.0,
        'min_observed_fraction': 0.5,
        'max_people': 3,
        'frozen_after_s': 0.0,
    }
    return People(**(usual | changes))


def at(x: float, y: float = 0) -> FloatArray:
    return POSE + np.float32([x, y, 0])


def report(people: People, step: int, **poses: FloatArray) -> bool:
    """Report people by id, `step` periods after the start."""
    observations = [Observation(person, pose) for person, pose in poses.items()]
    return people.update(START_NS + step * PERIOD_NS, observations)


def scene_of(people: People) -> Scene:
    scene = people.scene()
    assert scene is not None
    return scene


def statuses(people: People) -> dict[str, Status]:
    return {person.id: person.status for person in scene_of(people).people}
