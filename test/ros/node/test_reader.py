"""Input: reading any message raises InputError or returns valid observations."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import Point, Pose, PoseArray
from hypothesis import given
from hypothesis import strategies as st
from rclpy.node import Node
from reading import (
    NOW_NS,
    OPTICAL,
    SMPL,
    FloatArray,
    message_in,
    opened,
    seen_by_camera,
    skeleton_input,
)
from visualization_msgs.msg import Marker, MarkerArray

from motion_predictor.msg import PredictedMotionArray, Skeleton, SkeletonArray
from motion_predictor.ros.common.transforms import FixedFrame, Transform
from motion_predictor.ros.node.outputs import time_message
from motion_predictor.ros.node.reader import ASSUMED_LAG_NS, SkeletonInput
from motion_predictor.skeleton import Layout, known_layouts
from motion_predictor.sources.azure_kinect import AzureKinectSource
from motion_predictor.sources.source import InputError

AZURE = known_layouts()['azure32']
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


@given(
    stream=st.lists(messages(), min_size=1, max_size=5),
    confident=st.floats(0, 1),
    frame=st.sampled_from([FixedFrame(''), FixedFrame('cell', Transform.of(OPTICAL))]),
)
def test_no_message_gets_past_or_breaks_the_reader(
    stream: list[Any], confident: float, frame: FixedFrame
) -> None:
    reader = skeleton_input(confident, frame)
    for message in stream:
        try:
            scan = reader.read(message, NOW_NS)
        except InputError as error:
            assert '\n' not in str(error)
            continue
        assert scan is not None
        assert len(scan.observations) + scan.rejected.total() == len(message.skeletons)
        for observation in scan.observations:
            assert observation.id
            assert observation.positions.shape == (22, 3)
            assert not np.isinf(observation.positions).any()


# --- Frames ---


def test_an_optical_frame_is_turned_up_by_a_static_transform(stride: FloatArray) -> None:
    seen = seen_by_camera(stride)
    head = SMPL.joint_names.index('head')
    assert seen[head, 1] < seen[0, 1], 'y points down'
    seen[3, 1] = np.nan
    reader = skeleton_input(frame=FixedFrame('cell', Transform.of(OPTICAL)))
    scan = reader.read(message_in('camera_optical_frame', seen), NOW_NS)
    assert scan is not None and scan.frame_id == 'cell'
    found = scan.observations[0].positions
    assert np.isnan(found[3]).all()
    np.testing.assert_allclose(np.delete(found, 3, 0), np.delete(stride, 3, 0), atol=1e-5)


def test_input_in_the_fixed_frame_is_left_alone(stride: FloatArray) -> None:
    reader = skeleton_input(frame=FixedFrame('cell', Transform.of(OPTICAL)))
    scan = reader.read(message_in('cell', stride), NOW_NS)
    assert scan is not None
    np.testing.assert_array_equal(scan.observations[0].positions, stride)


def test_a_static_transform_holds_for_one_frame(stride: FloatArray) -> None:
    reader = skeleton_input(frame=FixedFrame('cell', Transform.of(OPTICAL)))
    reader.read(message_in('left', stride), NOW_NS)
    with pytest.raises(
        InputError, match="frame 'right', but input_transform belongs to frame 'left'"
    ):
        reader.read(message_in('right', stride), NOW_NS)
    reader.clear()
    assert reader.read(message_in('right', stride), NOW_NS) is not None


@pytest.mark.parametrize(
    ('fixed', 'frame_id', 'sentence'),
    [
        ('', 'camera_optical_frame', 'optical frame of a camera'),
        ('cell', 'camera_link', "in frame 'camera_link', but fixed_frame is 'cell'"),
        ('cell', '', "in frame '', but fixed_frame is 'cell'"),
    ],
)
def test_frames_that_nobody_can_transform_are_refused(
    stride: FloatArray, fixed: str, frame_id: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        skeleton_input(frame=FixedFrame(fixed)).read(message_in(frame_id, stride), NOW_NS)


@pytest.mark.parametrize(
    ('numbers', 'sentence'),
    [
        ([0, 0, 0, 0, 0, 0, 1.1], 'of length 1.1'),
        ([0, 0, 0, 0, 0, 0, 0], 'of length 0'),
        ([0, 0, 0, 1], 'a transform must be x, y, z, qx'),
        ([math.nan, 0, 0, 0, 0, 0, 1], 'a transform must be x, y, z, qx'),
    ],
)
def test_numbers_that_are_no_transform(numbers: list[float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Transform.of(numbers)


# --- Sources without a stamp ---


def kinect(pose: FloatArray, stamp_ns: int, frame_id: str = 'depth_camera_link') -> MarkerArray:
    """Return the message of an Azure Kinect's driver with one person (32, 3)."""
    markers = []
    for joint, place in enumerate(pose.astype(float).tolist()):
        marker = Marker(id=100 + joint, type=Marker.SPHERE)
        marker.header.frame_id = frame_id
        marker.header.stamp = time_message(stamp_ns)
        position = marker.pose.position
        position.x, position.y, position.z = place
        markers.append(marker)
    return MarkerArray(markers=markers)


def test_an_empty_message_without_stamp_lies_between_its_neighbours(stride: FloatArray) -> None:
    reader = SkeletonInput(
        AzureKinectSource(), SMPL, known_layouts(), 0.0, FixedFrame('cell', Transform.of(OPTICAL))
    )
    pose = np.zeros((32, 3), np.float32)
    stamps = []
    lag_ns = 80_000_000
    for number, somebody in enumerate([False, False, True, True, False, False, True]):
        now_ns = NOW_NS + number * 33_000_000
        message = kinect(pose, now_ns - lag_ns) if somebody else MarkerArray()
        scan = reader.read(message, now_ns)
        assert scan is not None and scan.frame_id == 'cell'
        stamps.append(scan.stamp_ns)
        assert now_ns - scan.stamp_ns <= ASSUMED_LAG_NS
    assert stamps == sorted(set(stamps))


# --- Parameters ---


@pytest.mark.parametrize(
    ('values', 'sentence'),
    [
        ({'input_type': 'kinect'}, 'input_type must be one of skeleton_array, azure'),
        ({'input_type': 'zed'}, "input_type 'zed' needs the ROS package zed_msgs"),
        ({'input_type': 'mocap4r2'}, "'mocap4r2' needs the ROS package mocap4r2_msgs"),
        ({'input_type': 'ros4hri'}, "'ros4hri' needs the ROS package hri_msgs"),
        ({'input_type': 'pose_array'}, 'needs joint_names, or an input_layout'),
        ({'input_type': 'azure_kinect'}, 'and without tf also input_transform'),
        ({'input_topic': 'my tracker'}, "input_topic 'my tracker' is not a valid name of a topic"),
        ({'input_layout': 'zed'}, 'input_layout must be one of azure32'),
        ({'fixed_frame': 'x_optical_frame'}, 'whose z is not up'),
        ({'input_transform': [0.0] * 6 + [1.0]}, 'input_transform leads to fixed_frame'),
        ({'fixed_frame': 'a', 'input_transform': [1.0] * 7}, 'of length 2'),
    ],
)
def test_parameters_that_do_not_fit_are_one_sentence(
    node: Node, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        opened(node, **values)
    assert sentence in str(caught.value) and '\n' not in str(caught.value)


# --- The node ---


def seen_as(layout: Layout, pose: FloatArray) -> FloatArray:
    """Return a pose (22, 3) in another layout. Joints that smpl22 lacks are at the head."""
    index = [SMPL.index(layout.common_name(joint)) for joint in layout.joint_names]
    return pose[[SMPL.joint_names.index('head') if i is None else i for i in index]]


def play(planner: Any, clip: FloatArray, publish: Callable[[FloatArray, int], None]) -> FloatArray:
    """Publish two seconds of a clip (T, 22, 3) at 30 Hz and return the last pose."""
    poses = clip[np.arange(0, 120, 2) % len(clip)]
    for pose in poses:
        publish(pose, planner.get_clock().now().nanoseconds)
        planner.spin(1 / 30)
    return poses[-1]


@pytest.fixture
def walk(bundled: Any) -> FloatArray:
    return max((bundled.clip(i) for i in range(len(bundled))), key=len)


def test_a_kinect_on_its_side_is_predicted_upright(
    planner: Any, start: Any, walk: FloatArray, tmp_path: Any
) -> None:
    parameters = {
        'samples': 2,
        'input_type': 'azure_kinect',
        'fixed_frame': 'cell',
        'input_transform': list(OPTICAL),
    }
    path = tmp_path / 'parameters.yaml'
    path.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}))
    start('predictor', '--ros-args', '--params-file', str(path))
    publisher = planner.create_publisher(MarkerArray, 'body_tracking_data', 10)
    planner.wait_for(publisher.get_subscription_count, 'it listens')

    def nobody() -> bool:
        publisher.publish(MarkerArray())
        return PredictedMotionArray.OK in planner.statuses()

    planner.wait_for(nobody, 'nobody is there')

    def publish(pose: FloatArray, stamp_ns: int) -> None:
        publisher.publish(kinect(seen_by_camera(seen_as(AZURE, pose)), stamp_ns))

    last = play(planner, walk, publish)
    planner.wait_for(lambda: planner.predictions('1'), 'a prediction')
    mean = np.asarray(planner.predictions('1')[-1].mean).reshape(-1, 22, 3)
    assert {message.header.frame_id for message in planner.received} <= {'', 'cell'}
    assert mean[0, SMPL.joint_names.index('head'), 2] > 1.2
    assert np.linalg.norm(mean[0, 0] - last[0]) < 0.5


def test_a_person_of_poses_is_predicted(planner: Any, start: Any, walk: FloatArray) -> None:
    coco = known_layouts()['coco17']
    start(
        'predictor', '--ros-args', '-p', 'samples:=2', '-p', 'input_type:=pose_array',
        '-p', f'joint_names:=[{",".join(coco.joint_names)}]', '-p', 'input_topic:=/tracker/poses',
    )  # fmt: skip
    publisher = planner.create_publisher(PoseArray, '/tracker/poses', 10)
    planner.wait_for(publisher.get_subscription_count, 'it listens')

    def publish(pose: FloatArray, stamp_ns: int) -> None:
        places = seen_as(coco, pose).astype(float).tolist()
        message = PoseArray(poses=[Pose(position=Point(x=x, y=y, z=z)) for x, y, z in places])
        message.header.frame_id = 'map'
        message.header.stamp = time_message(stamp_ns)
        publisher.publish(message)

    play(planner, walk, publish)
    planner.wait_for(lambda: planner.predictions('person'), 'a prediction')
