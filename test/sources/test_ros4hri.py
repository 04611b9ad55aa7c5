"""ROS4HRI: a body is read at a time at which all its frames are known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from opened import read, source

from motion_predictor.sources.ros4hri import Place
from motion_predictor.sources.source import InputError

FloatArray = NDArray[np.float32]


def person(joints: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(joints, 3)).astype(np.float32)


class Frames:
    """A stand-in for tf, with the times at which the frames of each body are known."""

    def __init__(self, bodies: dict[str, list[int]]) -> None:
        self.bodies = bodies

    def __call__(self, frame: str, stamp_ns: int | None) -> Place | None:
        joint, _, person = frame.rpartition('_')
        times = self.bodies.get(person, [])
        if stamp_ns is None:
            return Place(times[-1], (1.0, 0.0, 0.0)) if times else None
        if joint == 'l_wrist' or not times or not times[0] <= stamp_ns <= times[-1]:
            return None
        return Place(stamp_ns, (1.0, float(stamp_ns), 0.0))


@pytest.fixture
def track(make_message: Any, make_header: Any) -> Callable[..., Any]:
    """Builds the message with the list of tracked bodies."""

    def make(*ids: str) -> Any:
        return make_message('hri_msgs/msg/IdsList', header=make_header(5.5), ids=list(ids))

    return make


def test_bodies_of_ros4hri_are_sampled_when_all_are_known(track: Callable[..., Any]) -> None:
    reader: Any = source('ros4hri')
    assert reader.read(track('a1', 'b2')) is None
    frames = Frames({'a1': [10, 1000], 'b2': [10, 900]})
    bodies = reader.sample(frames, 'map')
    assert (bodies.stamp_ns, bodies.frame_id, bodies.ids) == (900, 'map', ['a1', 'b2'])
    assert (bodies.layout, bodies.positions.shape) == ('rep155', (2, 16, 3))
    assert (bodies.positions[:, 0] == (1, 900, 0)).all()
    missing = np.isnan(bodies.positions).any(-1)
    assert (missing == (np.array(bodies.joint_names) == 'l_wrist')).all()
    assert reader.sample(frames, 'map') is None, 'nothing new'
    frames.bodies['b2'].append(1100)
    assert reader.sample(frames, 'map').stamp_ns == 1000


def test_whose_frames_are_old_or_not_there_is_counted(track: Callable[..., Any]) -> None:
    reader: Any = source('ros4hri')
    reader.read(track('a1', 'b2', 'c3'))
    bodies = reader.sample(Frames({'a1': [10, 2 * 10**9], 'b2': [10, 900]}), 'map')
    assert (bodies.ids, bodies.rejected) == (['a1'], {'body without frames': 2})
    with pytest.raises(InputError, match='no frame body_a1 in map'):
        reader.sample(Frames({}), 'map')


def test_an_empty_list_of_bodies_is_nobody(track: Callable[..., Any]) -> None:
    reader: Any = source('ros4hri')
    reader.read(track('a1'))
    assert read(reader, track()).ids == []
    assert reader.sample(Frames({'a1': [10, 1000]}), 'map') is None
