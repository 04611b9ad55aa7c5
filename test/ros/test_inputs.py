"""Whatever a message says, reading it raises InputError or gives sound observations."""

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from motion_predictor.msg import Skeleton, SkeletonArray
from motion_predictor.ros.inputs import InputError, SkeletonInput
from motion_predictor.skeleton import known_layouts

SMPL = known_layouts()['smpl22']
numbers = st.floats(width=32) | st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e30])
names = st.sampled_from(['', 'smpl22', 'h36m17', 'pelvis', 'Hip', 'LeftKnee', '\x00']) | st.text()


@st.composite
def skeletons(draw: st.DrawFn) -> Skeleton:
    joints = draw(st.sampled_from([0, 1, 17, 22]))
    size = 3 * joints + draw(st.sampled_from([0, 0, 0, 1]))
    value = draw(numbers)
    positions = np.random.default_rng(draw(st.integers(0, 9))).normal(size=size)
    positions[: draw(st.integers(0, size))] = value
    confidence = [draw(numbers)] * draw(st.sampled_from([0, joints, 3]))
    return Skeleton(
        id=draw(names), positions=positions.astype(np.float32).tolist(), confidence=confidence
    )


@st.composite
def messages(draw: st.DrawFn) -> SkeletonArray:
    message = SkeletonArray(layout=draw(names), skeletons=draw(st.lists(skeletons(), max_size=4)))
    known = st.sampled_from([[], SMPL.joint_names, known_layouts()['h36m17'].joint_names])
    message.joint_names = list(draw(known | st.lists(names, max_size=30)))
    message.header.stamp.sec = draw(st.integers(-(2**31), 2**31 - 1))
    message.header.stamp.nanosec = draw(st.integers(0, 2**32 - 1))
    message.header.frame_id = draw(st.sampled_from(['', 'map', 'x_optical_frame']) | st.text())
    return message


@given(stream=st.lists(messages(), min_size=1, max_size=5), confident=st.floats(0, 1))
def test_no_message_gets_past_or_breaks_the_reader(stream: list[Any], confident: float) -> None:
    reader = SkeletonInput(SMPL, known_layouts(), confident)
    for message in stream:
        try:
            scan = reader.read(message)
        except InputError as error:
            assert '\n' not in str(error)
            continue
        assert len(scan.observations) + scan.rejected.total() == len(message.skeletons)
        for observation in scan.observations:
            assert observation.id
            assert observation.positions.shape == (22, 3)
            assert not np.isinf(observation.positions).any()
