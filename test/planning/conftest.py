"""People as a message holds them, for the planner's side."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from motion_predictor.skeleton import known_layouts

SMPL = known_layouts()['smpl22']


@pytest.fixture
def make_prediction(stride: NDArray[np.float32]) -> Callable[..., Any]:
    """Builder of what a PredictedMotionArray holds; keywords replace fields."""

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
                )
            )
        stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
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
            'num_samples': samples,
            'num_frames': len(times),
            'num_joints': 22,
            'motions': motions,
        }
        return SimpleNamespace(**(content | fields))

    return make
