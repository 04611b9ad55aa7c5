"""The bridge, which turns predictions into messages of other packages."""

from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import Point, Pose, PoseArray, Vector3
from numpy.typing import NDArray
from pointcloud2 import read_points
from rclpy.qos import QoSProfile
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from motion_predictor.msg import PredictedMotion, PredictedMotionArray
from motion_predictor.planning import Limbs, Outlook
from motion_predictor.planning.latest import is_well_formed
from motion_predictor.ros.consumers.bridge import collision_object, people_message
from motion_predictor.ros.node.outputs import flat, time_message
from motion_predictor.skeleton import known_layouts

SMPL = known_layouts()['smpl22']


def prediction(stride: NDArray[np.float32], stamp_ns: int, people: int = 1) -> Any:
    """Return a message in which people walk along x at 1 m/s."""
    times = np.linspace(0.1, 1.0, 10, dtype=np.float32)
    message = PredictedMotionArray(layout='smpl22', joint_names=list(SMPL.joint_names))
    message.parents = list(SMPL.parents)
    message.num_samples, message.num_frames, message.num_joints = 2, 10, 22
    message.times = flat(times)
    message.header.frame_id = 'map'
    message.header.stamp = time_message(stamp_ns)
    for person in range(people):
        mean = stride + times[:, None, None] * np.float32([1, 0, 0])
        motion = PredictedMotion(id=str(person), mean=flat(mean), observed_fraction=1.0)
        motion.samples = flat(np.stack([mean, mean]))
        motion.radius = flat(np.full(mean.shape[:2], 0.1, np.float32))
        message.motions.append(motion)
    return message


def test_poses_and_feet_and_what_blindness_looks_like(
    planner: Any, start: Any, stride: NDArray[np.float32]
) -> None:
    poses: list[PoseArray] = []
    clouds: list[PointCloud2] = []
    planner.create_subscription(PoseArray, 'predicted_poses', poses.append, 10)
    planner.create_subscription(PointCloud2, 'predicted_feet', clouds.append, 10)
    publisher = planner.create_publisher(
        PredictedMotionArray, 'predicted_motion', QoSProfile(depth=1)
    )
    given = ('pose_array:=true', 'point_cloud:=true', 'robot_position:=[1.0, 2.0, 3.0]')
    given += ('frame:=map',)
    start('bridge', '--ros-args', *(part for value in given for part in ('-p', value)))
    planner.wait_for(lambda: poses and clouds, 'it publishes')
    assert poses[-1].header.frame_id == clouds[-1].header.frame_id == 'map'
    assert [(p.position.x, p.position.z) for p in poses[-1].poses] == [(1, 3)], 'it is blind'
    assert read_points(clouds[-1]).tolist() == [(1, 2, 3)]

    def published(people: int, count: int) -> bool:
        now_ns = planner.get_clock().now().nanoseconds
        publisher.publish(prediction(stride, now_ns, people))
        planner.spin(0.03)
        return len(poses[-1].poses) == count

    planner.wait_for(lambda: published(1, 22), 'joints')
    places = np.array([[p.position.x, p.position.y, p.position.z] for p in poses[-1].poses])
    moved = places - stride
    assert np.ptp(moved[:, 0]) < 1e-5
    assert 0.45 < moved[0, 0] < 0.8, 'half a second from now'
    planner.wait_for(lambda: published(1, 22) and clouds[-1].width > 1, 'feet')
    feet = np.array(read_points(clouds[-1]).tolist())
    assert feet[:, 2].max() < 0.25
    assert np.ptp(feet[:, 0]) > 0.8
    planner.wait_for(lambda: published(0, 0), 'nobody is there')


@pytest.mark.parametrize('samples', [0, 1, 2])
def test_a_thin_link_gets_fewer_samples(
    planner: Any, start: Any, stride: NDArray[np.float32], samples: int
) -> None:
    relayed: list[PredictedMotionArray] = []
    planner.create_subscription(
        PredictedMotionArray, 'predicted_motion_relayed', relayed.append, QoSProfile(depth=1)
    )
    publisher = planner.create_publisher(
        PredictedMotionArray, 'predicted_motion', QoSProfile(depth=1)
    )
    given = ('-p', 'relay:=true', '-p', f'relay_samples:={samples}')
    start('bridge', '--ros-args', *given)
    sent = prediction(stride, planner.get_clock().now().nanoseconds, people=2)
    for person, motion in enumerate(sent.motions):
        motion.samples = flat(np.float32(motion.samples) + 10 * person)
    sent.drawn_samples = 2

    def came() -> bool:
        publisher.publish(sent)
        planner.spin(0.03)
        return bool(relayed)

    planner.wait_for(came, 'it is relayed')
    got = relayed[-1]
    assert (got.num_samples, got.drawn_samples, got.header) == (samples, 2, sent.header)
    assert is_well_formed(got)
    for motion, original in zip(got.motions, sent.motions, strict=True):
        assert (motion.mean, motion.radius) == (original.mean, original.radius)
        assert motion.samples == original.samples[: samples * 10 * 22 * 3]


def test_blindness_is_said_in_the_frame_that_came_last(
    planner: Any, start: Any, stride: NDArray[np.float32]
) -> None:
    """Readers drop a message without a frame, and would then assume that nobody is there."""
    poses: list[PoseArray] = []
    planner.create_subscription(PoseArray, 'predicted_poses', poses.append, 10)
    publisher = planner.create_publisher(
        PredictedMotionArray, 'predicted_motion', QoSProfile(depth=1)
    )
    process = start('bridge', '--ros-args', '-p', 'pose_array:=true')
    planner.wait_for(lambda: "set the parameter 'frame'" in process.output, 'it warns')
    assert not poses

    def predicted() -> bool:
        publisher.publish(prediction(stride, planner.get_clock().now().nanoseconds))
        planner.spin(0.03)
        return bool(poses)

    planner.wait_for(predicted, 'joints')
    planner.wait_for(lambda: len(poses[-1].poses) == 1, 'it is blind again')
    assert poses[-1].header.frame_id == 'map'


@pytest.mark.parametrize(
    ('parameter', 'sentence'),
    [
        ('rate_hz:=0.0', "'rate_hz' must be a number with a point (1.0) from 1 to 200"),
        ('robot_position:=[1.0]', 'robot_position must be x, y, z'),
        ('people:=true', "not installed: No module named 'people_msgs'"),
    ],
)
def test_what_the_bridge_cannot_do_is_one_sentence(
    planner: Any, start: Any, parameter: str, sentence: str
) -> None:
    if parameter == 'people:=true' and find_spec('people_msgs'):
        pytest.skip('people_msgs are installed')
    process = start('bridge', '--ros-args', '-p', parameter)
    planner.wait_for(lambda: process.popen.poll() is not None, 'it ends')
    assert sentence in process.output
    assert 'Traceback' not in process.output


@pytest.fixture
def outlook(stride: NDArray[np.float32]) -> Outlook:
    return Outlook.of(prediction(stride, 10**18), 0.0)


def test_people_have_a_place_and_a_velocity(outlook: Outlook) -> None:
    module = SimpleNamespace(
        People=lambda header: SimpleNamespace(header=header, people=[]),
        Person=lambda **given: SimpleNamespace(position=Point(), velocity=Vector3(), **given),
    )
    then = outlook.at([0.5])
    message = people_message(module, Header(), outlook.at([0.0]), then, 0.5)
    (person,) = message.people
    assert (person.velocity.x, person.velocity.y) == pytest.approx((1, 0), abs=1e-4)
    assert person.position.z == pytest.approx(0.95)


def test_collision_objects_are_capsules(outlook: Outlook) -> None:
    kinds = {'SPHERE': 2, 'CYLINDER': 3}
    shapes = SimpleNamespace(
        SolidPrimitive=type('SolidPrimitive', (SimpleNamespace,), kinds),
    )
    made = type(
        'CollisionObject',
        (SimpleNamespace,),
        {'ADD': b'\x00', 'REMOVE': b'\x01'},
    )
    moveit = SimpleNamespace(
        CollisionObject=lambda **given: made(
            pose=Pose(), primitives=[], primitive_poses=[], **given
        )
    )
    moveit.CollisionObject.ADD = b'\x00'  # type: ignore[attr-defined]
    limbs = Limbs.for_outlook(outlook)
    (person,) = outlook.people
    message = collision_object(moveit, shapes, Header(), person, limbs)
    cylinders = [
        (shape, pose)
        for shape, pose in zip(message.primitives, message.primitive_poses, strict=True)
        if shape.type == 3
    ]
    ends = [(i, j) for i, j in limbs.ends if i != j]
    assert len(cylinders) == len(ends)
    for (shape, pose), (_, j) in zip(cylinders, ends, strict=True):
        q, p = pose.orientation, pose.position
        up = Rotation.from_quat([q.x, q.y, q.z, q.w]).apply([0, 0, shape.dimensions[0] / 2])
        top = np.array([p.x, p.y, p.z]) + up
        np.testing.assert_allclose(top, person.mean[0, j], atol=1e-5)
