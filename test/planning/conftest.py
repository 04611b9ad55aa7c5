"""Messages with people, for tests of the planning library."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from motion_predictor.planning import Bodies, Capsules
from motion_predictor.skeleton import known_layouts

Array = NDArray[np.float64]
SMPL = known_layouts()['smpl22']


@pytest.fixture
def make_prediction(stride: NDArray[np.float32]) -> Callable[..., Any]:
    """Builds a stand-in for a PredictedMotionArray. Arguments by name replace its fields."""

    def make(
        people: int = 1,
        samples: int = 4,
        times: Any = (0.1, 0.2, 0.4, 0.8),
        stamp_ns: int = 10**18,
        seed: int = 0,
        **fields: Any,
    ) -> Any:
        generator = np.random.default_rng(seed)
        motions = []
        stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        for person in range(people):
            way = generator.normal(0, 0.5, (samples, 1, 1, 3)) * np.reshape(times, (1, -1, 1, 1))
            futures = stride + np.array([0, 2.0 * person, 0]) + way
            futures = (futures + generator.normal(0, 0.02, futures.shape)).astype(np.float32)
            mean = futures.mean(0)
            radius = np.full(mean.shape[:2], 0.1, np.float32)
            motions.append(
                SimpleNamespace(
                    id=f'person {person}',
                    status=0,
                    observed_fraction=1.0,
                    samples=futures.ravel(),
                    mean=mean.ravel(),
                    radius=radius.ravel(),
                    unfamiliar=False,
                    place=mean[0, 0],
                    reach=1.0,
                    last_seen=stamp,
                    last_pose=np.full(66, np.nan, np.float32),
                )
            )
        content = {
            'header': SimpleNamespace(stamp=stamp, frame_id='map'),
            'status': 0,
            'DEGRADED': 1,
            'unlisted': 0,
            'layout': 'smpl22',
            'joint_names': list(SMPL.joint_names),
            'parents': list(SMPL.parents),
            'times': np.array(times, np.float32),
            'coverage': 0.95,
            'max_speed': 4.0,
            'num_samples': samples,
            'num_frames': len(times),
            'num_joints': 22,
            'motions': motions,
        }
        return SimpleNamespace(**(content | fields))

    return make


def _apart(p: Array, q: Array, r: Array, s: Array) -> float:
    """Return the distance of the segments p-q and r-s, case by case as in a textbook."""
    d1, d2, w = q - p, s - r, p - r
    a, e, f = d1 @ d1, d2 @ d2, d2 @ w
    if a < 1e-18 and e < 1e-18:
        return float(np.linalg.norm(w))
    if a < 1e-18:
        x, y = 0.0, np.clip(f / e, 0, 1)
    else:
        c = d1 @ w
        if e < 1e-18:
            x, y = np.clip(-c / a, 0, 1), 0.0
        else:
            b = d1 @ d2
            area = a * e - b * b
            x = np.clip((b * f - c * e) / area, 0, 1) if area > 1e-12 * a * e else 0.0
            y = (b * x + f) / e
            if y < 0:
                x, y = np.clip(-c / a, 0, 1), 0.0
            elif y > 1:
                x, y = np.clip((b - c) / a, 0, 1), 1.0
    return float(np.linalg.norm(w + x * d1 - y * d2))


def _every_distance(bodies: Bodies, robot: Capsules) -> Array:
    """Return the distances of limbs from capsules (N, T, C, R), computed one by one."""
    starts, ends = robot.over(bodies.joints.shape[1])
    N, T, _, _ = bodies.joints.shape
    C, R = len(bodies.limbs.names), len(robot.radii)
    found = np.empty((N, T, C, R))
    for n, t, c, r in np.ndindex(*found.shape):
        i, j = bodies.limbs.ends[c]
        p, q = bodies.joints[n, t, [i, j]].astype(np.float64)
        axes = _apart(p, q, starts[t, r], ends[t, r])
        found[n, t, c, r] = axes - bodies.radii[t, c] - robot.radii[r]
    return found


@pytest.fixture(scope='session')
def apart() -> Callable[..., float]:
    """The distance of two segments, case by case as in a textbook."""
    return _apart


@pytest.fixture(scope='session')
def every_distance() -> Callable[..., Array]:
    """The distances of all limbs from all capsules, computed one by one."""
    return _every_distance
