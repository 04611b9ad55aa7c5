"""The `markers` node: publishes predictions as markers for RViz.

The markers come from a separate process, because markers are nested messages. Building nested
messages in Python is slow, and the predictor has only 20 ms.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from motion_predictor.common.status import Status
from motion_predictor.msg import PredictedMotionArray
from motion_predictor.ros.common.processes import until_interrupted

BLUE, ORANGE, GREY, RED = (0.12, 0.47, 0.71), (1.0, 0.5, 0.05), (0.5, 0.5, 0.5), (0.84, 0.15, 0.16)
SHOWN_S = (0.5, 1.0, 1.5, 2.0)
"""Times at which the predicted future is drawn, seconds after the observation."""
SHOWN_SAMPLES = 10
LIFETIME_S = 0.5
LINE_M, THIN_M, TEXT_M = 0.02, 0.005, 0.15
STATUS_HEIGHT_M = 2.3

Array = NDArray[np.float32]


def markers_of(message: PredictedMotionArray) -> MarkerArray:
    """Return markers of each person's body, mean future, radii and a few samples.

    All markers are in the frame of the message. The namespaces of the markers are:

    - `body`: the first predicted frame, by default 17 ms after the observed one;
    - `future`: the mean, fading with time;
    - `radius`: balls of the outermost joints and of the root, fading with time;
    - `samples`: paths of the outermost joints;
    - `reach`: the ball that a person who is not predicted can have reached;
    - `status`: a text above the origin of the frame, if a status is not OK.
    """
    parents = list(message.parents)
    bones = np.array([(j, p) for j, p in enumerate(parents) if p >= 0]).reshape(-1)
    outer = [j for j in range(len(parents)) if j not in parents]
    frames, joints = message.num_frames, message.num_joints
    times_s = np.asarray(message.times, np.float32)
    shown = sorted({int(abs(times_s - s).argmin()) for s in SHOWN_S if frames})
    array = _Markers(message.header)
    for person in message.motions:
        if not len(person.mean):
            array.sphere('reach', person.place, person.reach, (*RED, 0.15))
            continue
        mean = np.asarray(person.mean, np.float32).reshape(frames, joints, 3)
        radius = np.asarray(person.radius, np.float32).reshape(frames, joints)
        array.lines('body', mean[0, bones], LINE_M, (*BLUE, 1.0))
        for frame in shown:
            alpha = 1 - 0.8 * float(times_s[frame] / times_s[-1])
            array.lines('future', mean[frame, bones], LINE_M, (*ORANGE, alpha))
            for joint in [0, *outer]:
                if np.isfinite(radius[frame, joint]):
                    ball = (mean[frame, joint], radius[frame, joint])
                    array.sphere('radius', *ball, (*ORANGE, 0.3 * alpha))
        samples = np.asarray(person.samples, np.float32).reshape(-1, frames, joints, 3)
        steps = np.linspace(0, frames - 1, min(frames, 13)).astype(int)
        paths = samples[:SHOWN_SAMPLES, steps][:, :, outer]  # (S, T, O, 3)
        if paths.size:
            segments = np.stack([paths[:, :-1], paths[:, 1:]], axis=3)  # (S, T - 1, O, 2, 3)
            array.lines('samples', segments.reshape(-1, 3), THIN_M, (*GREY, 0.5))
    if message.status != PredictedMotionArray.OK:
        array.text('status', _sentence(message), (*RED, 1.0))
    return array.message


def _sentence(message: PredictedMotionArray) -> str:
    """Return the text of the status marker: every status that is not OK."""
    people = [f'{p.id}: {Status(p.status).name}' for p in message.motions if p.status != Status.OK]
    unlisted = [f'{count} more may be there'] if (count := message.unlisted) else []
    return '\n'.join([Status(message.status).name, *people, *unlisted])


class _Markers:
    """Collects the markers of one MarkerArray. The first marker deletes all earlier markers."""

    def __init__(self, header: Any) -> None:
        self._header = header
        self.message = MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])

    def _add(
        self, namespace: str, kind: int, scale: Sequence[float], colour: Iterable[float]
    ) -> Marker:
        marker = Marker(header=self._header, ns=namespace, id=len(self.message.markers), type=kind)
        marker.pose.orientation.w = 1.0
        marker.scale.x, marker.scale.y, marker.scale.z = map(float, scale)
        marker.color = ColorRGBA(**dict(zip('rgba', map(float, colour), strict=True)))
        marker.lifetime = Duration(nanosec=round(LIFETIME_S * 1e9))
        self.message.markers.append(marker)
        return marker

    def lines(self, namespace: str, ends: Array, width_m: float, colour: Iterable[float]) -> None:
        """Add a marker of L lines. `ends` (2 L, 3) holds two points per line."""
        marker = self._add(namespace, Marker.LINE_LIST, (width_m, 0, 0), colour)
        marker.points = [Point(x=x, y=y, z=z) for x, y, z in ends.astype(float).tolist()]

    def sphere(
        self, namespace: str, centre: Array, radius_m: float, colour: Iterable[float]
    ) -> None:
        """Add a marker of one ball."""
        marker = self._add(namespace, Marker.SPHERE, 3 * (2 * radius_m,), colour)
        marker.pose.position = Point(**dict(zip('xyz', map(float, centre), strict=True)))

    def text(self, namespace: str, text: str, colour: Iterable[float]) -> None:
        """Add a marker of a text above the origin of the frame."""
        marker = self._add(namespace, Marker.TEXT_VIEW_FACING, (0, 0, TEXT_M), colour)
        marker.pose.position.z = STATUS_HEIGHT_M
        marker.text = text


class MarkersNode(Node):
    """Publishes `predicted_motion` as `predicted_motion_markers` while there is a subscriber."""

    def __init__(self) -> None:
        super().__init__('motion_markers')
        self._publisher = self.create_publisher(MarkerArray, 'predicted_motion_markers', 1)
        self.create_subscription(
            PredictedMotionArray, 'predicted_motion', self._on_prediction, QoSProfile(depth=1)
        )

    def _on_prediction(self, message: PredictedMotionArray) -> None:
        if self._publisher.get_subscription_count():
            self._publisher.publish(markers_of(message))


def main(args: list[str] | None = None) -> int:
    """Run the markers node until it is interrupted."""
    rclpy.init(args=args)
    with until_interrupted():
        rclpy.spin(MarkersNode())
    return 0
