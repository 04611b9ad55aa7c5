"""Input: whatever a message says, reading it raises InputError or gives sound observations.

tf2_ros comes only with a ROS installation; where it is asked, its place is taken by a module with
its interface. Everything on our side of that is the product's own.
"""

import math
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import Point, Pose, PoseArray, TransformStamped
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rclpy.node import Node
from scipy.spatial.transform import Rotation
from visualization_msgs.msg import Marker, MarkerArray

from motion_predictor.msg import PredictedMotionArray, Skeleton, SkeletonArray
from motion_predictor.ros.common.transforms import FixedFrame, Transform
from motion_predictor.ros.node.outputs import flat, time_message
from motion_predictor.ros.node.parameters import PARAMETERS
from motion_predictor.ros.node.reader import ASSUMED_LAG_NS, SkeletonInput, open_input
from motion_predictor.ros.node.stamps import Stamps
from motion_predictor.skeleton import Layout, known_layouts
from motion_predictor.sources.azure_kinect import AzureKinectSource
from motion_predictor.sources.skeleton_array import SkeletonArraySource
from motion_predictor.sources.source import InputError

FloatArray = NDArray[np.float32]
SMPL = known_layouts()['smpl22']
AZURE = known_layouts()['azure32']
NOW_NS = 100_000_000_000
OPTICAL = (0.5, 0.2, 1.4, -0.5, 0.5, -0.5, 0.5)
"""A level camera at (0.5, 0.2, 1.4) that looks along x."""
numbers = st.floats(width=32) | st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e30])
names = st.sampled_from(['', 'smpl22', 'h36m17', 'pelvis', 'Hip', 'LeftKnee', '\x00']) | st.text()


def skeleton_input(min_confidence: float = 0.0, frame: FixedFrame | None = None) -> SkeletonInput:
    source = SkeletonArraySource(known_layouts())
    return SkeletonInput(source, SMPL, known_layouts(), min_confidence, frame or FixedFrame(''))


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


def message_in(frame_id: str, pose: FloatArray, stamp_ns: int = NOW_NS) -> SkeletonArray:
    message = SkeletonArray(layout='smpl22', joint_names=list(SMPL.joint_names))
    message.header.frame_id = frame_id
    message.header.stamp = time_message(stamp_ns)
    message.skeletons = [Skeleton(id='ann', positions=flat(pose))]
    return message


def seen_by_camera(pose: FloatArray) -> FloatArray:
    """Return a pose as the camera at OPTICAL sees it."""
    camera = Rotation.from_quat(OPTICAL[3:])
    return camera.inv().apply(pose - np.array(OPTICAL[:3])).astype(np.float32)


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
    with pytest.raises(InputError, match="frame 'right', but input_transform is that of 'left'"):
        reader.read(message_in('right', stride), NOW_NS)
    reader.clear()
    assert reader.read(message_in('right', stride), NOW_NS) is not None


@pytest.mark.parametrize(
    ('fixed', 'frame_id', 'sentence'),
    [
        ('', 'camera_optical_frame', "camera's optical frame"),
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
        ([0, 0, 0, 0, 0, 0, 1.1], 'has length 1.1'),
        ([0, 0, 0, 0, 0, 0, 0], 'has length 0'),
        ([0, 0, 0, 1], 'a transform is x, y, z, qx'),
        ([math.nan, 0, 0, 0, 0, 0, 1], 'a transform is x, y, z, qx'),
    ],
)
def test_numbers_that_are_no_transform(numbers: list[float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Transform.of(numbers)


# --- tf ---


class FakeTf2(ModuleType):
    """The interface of tf2_ros that is used, over transforms given by frame."""

    class TransformException(Exception):  # noqa: N818 its name there
        pass

    def __init__(self) -> None:
        super().__init__('tf2_ros')
        self.known: dict[str, tuple[float, ...]] = {}
        self.newest_ns = NOW_NS
        self.asked: list[tuple[str, str, int]] = []
        self.late = 0
        """So often it is asked before the transform has come."""
        self.cleared = self.unregistered = 0

    def Buffer(self) -> Any:  # noqa: N802
        return self

    def TransformListener(self, buffer: Any, node: Node) -> Any:  # noqa: N802
        assert buffer is self and isinstance(node, Node)
        return SimpleNamespace(unregister=self._unregister)

    def _unregister(self) -> None:
        self.unregistered += 1

    def clear(self) -> None:
        self.cleared += 1

    def lookup_transform(self, target: str, source: str, time: Any) -> TransformStamped:
        self.asked.append((target, source, time.nanoseconds))
        self.late -= 1
        if source not in self.known or time.nanoseconds > self.newest_ns or self.late >= 0:
            raise self.TransformException(f'"{source}" is unknown,\nor not yet there')
        made = TransformStamped()
        made.header.stamp = time_message(time.nanoseconds or self.newest_ns)
        values = self.known[source]
        translation, rotation = made.transform.translation, made.transform.rotation
        translation.x, translation.y, translation.z = values[:3]
        rotation.x, rotation.y, rotation.z, rotation.w = values[3:]
        return made


@pytest.fixture
def tf2(monkeypatch: pytest.MonkeyPatch) -> FakeTf2:
    fake = FakeTf2()
    monkeypatch.setitem(sys.modules, 'tf2_ros', fake)
    return fake


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node('listener')
    yield node
    node.destroy_node()


def opened(node: Node, **values: Any) -> tuple[SkeletonInput, Any]:
    """Return the input of a node with parameters that differ from the defaults."""
    defaults = {parameter.name: parameter.default for parameter in PARAMETERS}
    assert values.keys() <= defaults.keys()
    return open_input(defaults | values, SMPL, known_layouts(), node)


def test_input_is_transformed_as_tf_says_for_the_time_of_capture(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='map')
    tf2.known['camera_optical_frame'] = OPTICAL
    stamp_ns = NOW_NS - 70_000_000
    seen = seen_by_camera(stride)
    scan = reader.read(message_in('camera_optical_frame', seen, stamp_ns), NOW_NS)
    assert scan is not None and scan.frame_id == 'map'
    assert tf2.asked == [('map', 'camera_optical_frame', stamp_ns)]
    np.testing.assert_allclose(scan.observations[0].positions, stride, atol=1e-5)


def test_a_transform_that_is_about_to_come_is_waited_for(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='map')
    tf2.known['camera'] = OPTICAL
    tf2.late = 1
    assert reader.read(message_in('camera', stride), NOW_NS) is not None
    assert len(tf2.asked) == 2


def test_people_of_a_message_that_is_refused_are_counted(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='cell')
    message = message_in('camera', stride)
    for people in (1, 2, 0):
        message.skeletons = people * message_in('camera', stride).skeletons
        with pytest.raises(InputError) as caught:
            reader.read(message, NOW_NS)
        assert caught.value.people == people


def test_what_a_source_repeats_is_known_again_whatever_tf_says(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='cell')
    said = []
    for x in (0.0, 0.5):
        tf2.known['camera_optical_frame'] = (x, *OPTICAL[1:])
        scan = reader.read(message_in('camera_optical_frame', stride), NOW_NS)
        assert scan is not None
        said.append(scan.observations[0])
    assert said[0].sent == said[1].sent != b''
    assert (said[0].positions != said[1].positions).any()


def test_an_empty_message_without_a_frame_says_nothing_of_the_frame(stride: FloatArray) -> None:
    reader = skeleton_input()
    for frame_id in ('map', ''):
        message = message_in(frame_id, stride)
        if not frame_id:
            message.skeletons = []
        scan = reader.read(message, NOW_NS)
        assert scan is not None and scan.frame_id == 'map'


def test_without_a_transform_nobody_is_read_rather_than_nobody_seen(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='cell')
    with pytest.raises(InputError) as caught:
        reader.read(message_in('camera_optical_frame', stride), NOW_NS)
    assert "'cell', and tf does not tell how they lie: \"camera_optical" in str(caught.value)
    assert '\n' not in str(caught.value)
    empty = message_in('camera_optical_frame', stride)
    empty.skeletons = []
    with pytest.raises(InputError):
        reader.read(empty, NOW_NS)


def test_tf_is_listened_to_only_if_it_is_needed_and_cleared_when_time_jumps(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='map')
    reader.read(message_in('map', stride), NOW_NS)
    reader.clear()
    reader.close()
    assert not tf2.asked and not tf2.cleared and not tf2.unregistered
    tf2.known['camera'] = OPTICAL
    reader.read(message_in('camera', stride), NOW_NS)
    reader.clear()
    reader.close()
    assert (tf2.cleared, tf2.unregistered) == (1, 1)


def turned_by(angle: float, x: float = 0.0) -> tuple[float, ...]:
    """Return the transform of a robot at x that has turned by an angle about z."""
    return (x, 0.0, 0.0, 0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2))


def read_for(
    reader: SkeletonInput, tf2: FakeTf2, frame_id: str, pose: FloatArray, places: list[Any]
) -> list[str]:
    """Read a message at 30 Hz for each place of a frame; return why each was refused, or ''."""
    refusals = []
    for step, place in enumerate(places):
        now_ns = NOW_NS + step * 33_000_000
        tf2.known[frame_id] = place
        tf2.newest_ns = now_ns
        refusal = ''
        try:
            reader.read(message_in(frame_id, pose, now_ns), now_ns)
        except InputError as error:
            refusal = str(error)
            assert error.people == 1
        refusals.append(refusal)
    return refusals


@pytest.mark.parametrize('fixed_frame', ['', 'base_link'])
@pytest.mark.parametrize('moving', [lambda t: turned_by(t), lambda t: turned_by(0, 0.2 * t)])
def test_a_frame_that_moves_is_refused_and_the_fixed_one_named(
    tf2: FakeTf2, node: Node, stride: FloatArray, fixed_frame: str, moving: Callable[..., Any]
) -> None:
    reader, _ = opened(node, fixed_frame=fixed_frame)
    rests = [turned_by(0.3)] * 20
    moves = [moving(0.033 * step) for step in range(40)]
    rests_again = [moves[-1]] * 60
    refused = read_for(reader, tf2, 'base_link', stride, rests + moves + rests_again)
    assert not any(refused[:20])
    assert all(refused[26:60]), 'after a fifth of a second'
    assert "frame 'base_link' moves in 'odom'" in refused[40]
    assert "set fixed_frame to 'odom'" in refused[40]
    assert refused[70] and not refused[-1]


def test_a_frame_that_moves_is_compensated_in_a_fixed_one(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='odom')
    assert not any(
        read_for(reader, tf2, 'base_link', stride, [turned_by(0.03 * i) for i in range(40)])
    )
    assert not reader.footing.doubt


@pytest.mark.parametrize('frame_id', ['map', 'odom', 'robot1/odom', 'world'])
def test_nobody_asks_whether_a_fixed_frame_moves(
    tf2: FakeTf2, node: Node, stride: FloatArray, frame_id: str
) -> None:
    reader, _ = opened(node)
    assert reader.read(message_in(frame_id, stride), NOW_NS) is not None
    assert not tf2.asked and not reader.footing.doubt


def test_that_nobody_knows_whether_a_frame_moves_is_said(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node)
    reader.read(message_in('camera', stride), NOW_NS)
    assert "nothing says whether frame 'camera' moves" in reader.footing.doubt


def test_the_robots_place_is_that_of_its_frame(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, robot_frame='base_link')
    reader.read(message_in('map', stride), NOW_NS)
    with pytest.raises(InputError, match="robot_frame 'base_link' is in 'map'"):
        reader.robot_place('base_link', NOW_NS)
    for x in (1.0, 4.0):
        tf2.known['base_link'] = turned_by(0.5, x)
        assert reader.robot_place('base_link', NOW_NS) == [x, 0.0, 0.0]
    with pytest.raises(InputError):
        reader.robot_place('base_link', NOW_NS + 3_000_000_000)


def test_a_robots_frame_needs_tf(node: Node) -> None:
    with pytest.raises(InputError, match='it needs the ROS package tf2_ros'):
        opened(node, robot_frame='base_link')


@pytest.mark.parametrize(('ages_ms', 'doubted'), [((0.3, 1.5), True), ((15.0, 90.0), False)])
def test_stamps_of_sending_are_told_from_those_of_capture(
    ages_ms: tuple[float, float], doubted: bool
) -> None:
    stamps = Stamps()
    for age_ms in np.random.default_rng(0).uniform(*ages_ms, 200):
        stamps.see(age_ms)
    assert ('time of sending' in stamps.doubt()) == doubted


def test_bodies_of_ros4hri_are_read_from_tf(
    tf2: FakeTf2,
    node: Node,
    stride: FloatArray,
    monkeypatch: pytest.MonkeyPatch,
    make_message: Callable[..., Any],
    make_header: Callable[..., Any],
) -> None:
    messages = ModuleType('hri_msgs.msg')
    messages.IdsList = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'hri_msgs', ModuleType('hri_msgs'))
    monkeypatch.setitem(sys.modules, 'hri_msgs.msg', messages)
    reader, kind = opened(node, input_type='ros4hri', fixed_frame='cell')
    assert kind is object and reader.is_sampled and reader.topic == '/humans/bodies/tracked'
    places = dict(zip(SMPL.joint_names, stride.tolist(), strict=True))
    places |= {'body': ((stride[1] + stride[2]) / 2).tolist(), 'waist': [0.0] * 3}
    for joint in known_layouts()['rep155'].joint_names:
        tf2.known[f'{joint}_a1'] = (*places.get(joint, (0.0, 0.0, 0.0)), 0.0, 0.0, 0.0, 1.0)
    ids = make_message('hri_msgs/msg/IdsList', header=make_header(99.9), ids=['a1'])
    assert reader.read(ids, NOW_NS) is None
    scan = reader.sample(NOW_NS)
    assert scan is not None and (scan.stamp_ns, scan.frame_id) == (NOW_NS, 'cell')
    found = dict(zip(SMPL.joint_names, scan.observations[0].positions, strict=True))
    for joint in ('l_wrist', 'r_ankle', 'head'):
        np.testing.assert_allclose(found[joint], places[joint], atol=1e-6)
    np.testing.assert_allclose(found['pelvis'], places['pelvis'], atol=0.05)
    assert reader.sample(NOW_NS) is None, 'nothing new'


# --- Sources without a stamp ---


def kinect(pose: FloatArray, stamp_ns: int, frame_id: str = 'depth_camera_link') -> MarkerArray:
    """Return somebody (32, 3) as the Azure Kinect's driver sends them."""
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
        ({'input_type': 'kinect'}, "input_type 'kinect' is not one of skeleton_array, azure"),
        ({'input_type': 'zed'}, "input_type 'zed' needs the ROS package zed_msgs"),
        ({'input_type': 'mocap4r2'}, "'mocap4r2' needs the ROS package mocap4r2_msgs"),
        ({'input_type': 'ros4hri'}, "'ros4hri' needs the ROS package hri_msgs"),
        ({'input_type': 'pose_array'}, 'needs joint_names, or an input_layout'),
        ({'input_type': 'azure_kinect'}, 'set fixed_frame, and input_transform'),
        ({'input_topic': 'my tracker'}, "input_topic 'my tracker' is no name of a topic"),
        ({'input_layout': 'zed'}, "input_layout 'zed' is unknown: known are azure32"),
        ({'fixed_frame': 'x_optical_frame'}, 'whose z is not up'),
        ({'input_transform': [0.0] * 6 + [1.0]}, 'input_transform needs fixed_frame'),
        ({'fixed_frame': 'a', 'input_transform': [1.0] * 7}, 'has length 2'),
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
    """Return a pose (22, 3) in another layout; what smpl22 lacks is at the head."""
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
