"""The `bridge` node: publishes predictions as message types of other packages.

Every output is off by default. One output, the relay, publishes the predictions again with fewer
samples, for planners behind a slow link.

The readers of all outputs except the relay take silence or an empty message as a sign that nobody
is there. Therefore the bridge publishes a person at `robot_position` while predictions are not
usable.
"""

from array import array
from importlib import import_module
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import Pose, PoseArray
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from motion_predictor.common.terminal import complain
from motion_predictor.msg import PredictedMotionArray
from motion_predictor.planning.flesh import Limbs
from motion_predictor.planning.latest import Latest, Limits
from motion_predictor.planning.outlook import Outlook, Person
from motion_predictor.ros.common.parameter_table import Parameter, ParameterError, Parameters
from motion_predictor.ros.common.processes import until_interrupted
from motion_predictor.ros.consumers.subscription import Predictions

FloatArray = NDArray[np.float32]
FEET = ('ankle', 'foot', 'heel', 'toe')
PARAMETERS = (
    Parameter('rate_hz', 10.0, 'How many messages a second it publishes.', 1.0, 200.0),
    Parameter('frame', '', 'Frame to publish in, by tf. Empty: the frame of the predictions.'),
    Parameter('look_ahead_s', 0.5, 'Time that is published, in seconds from now.', 0.0, 10.0),
    Parameter(
        'robot_position',
        [0.0] * 3,
        'Place of the person whom it publishes while predictions are not usable.',
    ),
    Parameter(
        'max_age_s',
        0.25,
        'Age of the newest observation beyond which predictions are not usable, in seconds.',
        0.02,
        10.0,
    ),
    Parameter(
        'pose_array', False, 'geometry_msgs/PoseArray on predicted_poses: joints of the mean.'
    ),
    Parameter(
        'point_cloud', False, 'sensor_msgs/PointCloud2 on predicted_feet: feet of every sample.'
    ),
    Parameter(
        'people', False, 'people_msgs/People on predicted_people: roots and their velocities.'
    ),
    Parameter(
        'relay',
        False,
        'PredictedMotionArray on predicted_motion_relayed: every message with at most '
        'relay_samples samples, for slow links.',
    ),
    Parameter(
        'relay_samples',
        5,
        'Samples per person that are relayed. 0: only mean and radius.',
        0,
        1000,
    ),
    Parameter(
        'collision_objects', False, 'moveit_msgs/CollisionObject on collision_object: limbs.'
    ),
)


def pose_array(header: Header, points: FloatArray) -> PoseArray:
    """Return a PoseArray with points (N, 3) as positions, and without rotation."""
    message = PoseArray(header=header)
    for x, y, z in points.astype(float).tolist():
        pose = Pose()
        pose.position.x, pose.position.y, pose.position.z = x, y, z
        pose.orientation.w = 1.0
        message.poses.append(pose)
    return message


def point_cloud(header: Header, points: FloatArray) -> PointCloud2:
    """Return points (N, 3) as an unordered PointCloud2 of x, y, z in float32."""
    fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate('xyz')
    ]
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=12,
        row_step=12 * len(points),
        data=np.ascontiguousarray(points, '<f4').tobytes(),
        is_dense=True,
    )


def thinned(message: PredictedMotionArray, samples: int) -> PredictedMotionArray:
    """Reduce a message in place to at most `samples` evenly chosen samples, and return it.

    The mean, the radius and `drawn_samples` describe all drawn samples, not only the kept ones.
    """
    drawn, F, J = message.num_samples, message.num_frames, message.num_joints
    if drawn <= samples:
        return message
    kept = np.arange(samples) * drawn // max(samples, 1)
    message.num_samples = samples
    for motion in message.motions:
        if len(motion.samples):
            futures = np.asarray(motion.samples, np.float32).reshape(drawn, F * J * 3)
            motion.samples = array('f', futures[kept].tobytes())
    return message


def feet_of(outlook: Outlook) -> FloatArray:
    """Return the foot positions (N, 3) of all people at all predicted times.

    Use the feet of every sample, or of the mean if the prediction has no samples.
    """
    feet = [i for i, n in enumerate(outlook.joint_names) if any(f in n.lower() for f in FEET)]
    found = [
        (person.samples if len(person.samples) else person.mean[None])[:, :, feet].reshape(-1, 3)
        for person in outlook.people
    ]
    return np.concatenate(found) if found else np.empty((0, 3), np.float32)


def people_message(module: Any, header: Header, now: Outlook, then: Outlook, span_s: float) -> Any:
    """Return people_msgs/People with root positions at `then`.

    Velocities are means over the `span_s` seconds from `now` to `then`.
    """
    message = module.People(header=header)
    for before, after in zip(now.people, then.people, strict=True):
        person = module.Person(name=after.id, reliability=float(after.observed_fraction))
        velocity = (after.mean[0, 0] - before.mean[0, 0]) / max(span_s, 1e-6)
        for axis, place, speed in zip('xyz', after.mean[0, 0], velocity, strict=True):
            setattr(person.position, axis, float(place))
            setattr(person.velocity, axis, float(speed))
        message.people.append(person)
    return message


def collision_object(
    messages: Any, shapes: Any, header: Header, person: Person, limbs: Limbs
) -> Any:
    """Return a person's mean limbs as cylinders and balls in a moveit_msgs/CollisionObject."""
    message = messages.CollisionObject(header=header, id=f'person {person.id}')
    message.operation = messages.CollisionObject.ADD
    message.pose.orientation.w = 1.0
    for (i, j), radius in zip(limbs.ends, limbs.radii, strict=True):
        start, end = person.mean[0, i].astype(float), person.mean[0, j].astype(float)
        along = end - start
        length = float(np.linalg.norm(along))
        for centre in (start, end):
            ball = shapes.SolidPrimitive(type=shapes.SolidPrimitive.SPHERE)
            ball.dimensions = [float(radius)]
            message.primitives.append(ball)
            message.primitive_poses.append(_pose(centre, np.array([0.0, 0.0, 1.0])))
        if length > 1e-6:
            cylinder = shapes.SolidPrimitive(type=shapes.SolidPrimitive.CYLINDER)
            cylinder.dimensions = [length, float(radius)]
            message.primitives.append(cylinder)
            message.primitive_poses.append(_pose((start + end) / 2, along / length))
    return message


def _pose(centre: NDArray[np.float64], up: NDArray[np.float64]) -> Pose:
    """Return a pose at `centre` whose z axis points along the unit vector `up`."""
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = map(float, centre)
    w = float(np.sqrt(max(0.0, (1 + up[2]) / 2)))
    if w > 1e-6:
        x, y = float(-up[1] / (2 * w)), float(up[0] / (2 * w))
    else:
        x, y = 1.0, 0.0
    pose.orientation.x, pose.orientation.y, pose.orientation.w = x, y, w
    return pose


class Bridge(Node):
    """Publishes the outputs that the parameters turn on, at a fixed rate."""

    def __init__(self) -> None:
        super().__init__('motion_bridge')
        table = Parameters(self, PARAMETERS)
        self._values = values = table.read()
        table.in_use = True
        if len(values['robot_position']) != 3:
            raise ParameterError(f'robot_position must be x, y, z, got {values["robot_position"]}')
        self._frame = values['frame']
        """Frame for messages while predictions are not usable; empty while no frame is known."""
        reach_s = values['look_ahead_s']
        self._predictions = Predictions(self, Limits(0.25, values['max_age_s'], reach_s=reach_s))
        self._poses = self._publisher('pose_array', PoseArray, 'predicted_poses')
        self._cloud = self._publisher('point_cloud', PointCloud2, 'predicted_feet')
        self._people: Any = None
        self._objects: Any = None
        if values['people']:
            self._people_msgs = import_module('people_msgs.msg')
            self._people = self._publisher('people', self._people_msgs.People, 'predicted_people')
        if values['collision_objects']:
            self._moveit = import_module('moveit_msgs.msg')
            self._shapes = import_module('shape_msgs.msg')
            kind = self._moveit.CollisionObject
            self._objects = self._publisher('collision_objects', kind, 'collision_object')
        self._known: set[str] = set()
        if values['relay']:
            # The relay has the same QoS as the predictor's publisher: reliable, with only the
            # newest message.
            relay = self.create_publisher(PredictedMotionArray, 'predicted_motion_relayed', 1)
            self.create_subscription(
                PredictedMotionArray,
                'predicted_motion',
                lambda message: relay.publish(thinned(message, values['relay_samples'])),
                1,
            )
        self.create_timer(1 / values['rate_hz'], self._publish)

    def _publisher(self, parameter: str, kind: Any, topic: str) -> Any:
        return self.create_publisher(kind, topic, 10) if self._values[parameter] else None

    def _publish(self) -> None:
        frame = self._values['frame']
        latest = self._predictions.latest_in(frame) if frame else self._predictions.latest()
        if latest:
            self._frame = latest.outlook.frame_id
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._frame)
        if latest:
            self._publish_people(latest, header)
            return
        if not self._frame:  # without a frame, no position can be published
            self.get_logger().warning(
                'predictions are not usable, and there is no frame to publish a warning '
                "in: set the parameter 'frame'",
                throttle_duration_sec=10.0,
            )
            return
        here = np.array([self._values['robot_position']], np.float32)
        if self._poses:
            self._poses.publish(pose_array(header, here))
        if self._cloud:
            self._cloud.publish(point_cloud(header, here))

    def _publish_people(self, latest: Latest, header: Header) -> None:
        outlook, ahead_s = latest.outlook, self._values['look_ahead_s']
        then = outlook.at([ahead_s])
        if self._poses:
            means = [person.mean[0] for person in then.people]
            points = np.concatenate(means) if means else np.empty((0, 3), np.float32)
            self._poses.publish(pose_array(header, points))
        # A costmap cannot tell times apart, so publish the feet at all times from now to ahead_s.
        if self._cloud:
            self._cloud.publish(
                point_cloud(header, feet_of(outlook.at(outlook.instants(0.0, ahead_s))))
            )
        if self._people:
            now = outlook.at([0.0])
            self._people.publish(people_message(self._people_msgs, header, now, then, ahead_s))
        if self._objects:
            self._publish_objects(header, then)

    def _publish_objects(self, header: Header, then: Outlook) -> None:
        here = {f'person {person.id}' for person in then.people}
        for gone in self._known - here:
            message = self._moveit.CollisionObject(header=header, id=gone)
            message.operation = self._moveit.CollisionObject.REMOVE
            self._objects.publish(message)
        for person in then.people:
            limbs = Limbs.for_outlook(then)
            self._objects.publish(
                collision_object(self._moveit, self._shapes, header, person, limbs)
            )
        self._known = here


def main(args: list[str] | None = None) -> int:
    """Run the bridge until it is interrupted. A wrong setup is reported as one sentence."""
    rclpy.init(args=args)
    with until_interrupted():
        try:
            rclpy.spin(Bridge())
        except ParameterError as error:
            complain('bridge', error)
            return 2
        except ImportError as error:
            complain('bridge', f'the messages of an output are not installed: {error}')
            return 2
    return 0
