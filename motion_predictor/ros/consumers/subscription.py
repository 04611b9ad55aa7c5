"""Gives predictions to a planner that is a ROS node, and transforms them by tf if needed."""

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time

from motion_predictor.common.rigid import Rigid
from motion_predictor.msg import PredictedMotionArray
from motion_predictor.planning.latest import Inbox, Latest, Limits
from motion_predictor.ros.common.transforms import Tf


class Predictions:
    """Subscribes to `predicted_motion`, and says whether the newest message is usable.

    Args:
        node: node whose executor handles the messages, and whose clock gives the time.
        limits: limits that decide whether a message is still usable.
        topic: topic of the predictions.
    """

    def __init__(
        self, node: Node, limits: Limits | None = None, topic: str = 'predicted_motion'
    ) -> None:
        self._node = node
        self._inbox = Inbox(limits)
        self._tf: Tf | None = None
        # The subscription is reliable. Without reliable QoS, a message of many fragments rarely
        # arrives complete.
        self._subscription = node.create_subscription(
            PredictedMotionArray, topic, self._inbox.put, QoSProfile(depth=1)
        )

    @property
    def limits(self) -> Limits:
        """Limits that decide whether a message is still usable.

        The limits may be changed at any time.
        """
        return self._inbox.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._inbox.limits = limits

    def latest(self, now: Time | None = None) -> Latest:
        """Return usable predictions in their own frame, or the reason why there are none.

        Args:
            now: time by the node's clock; the present time by default.
        """
        now = now or self._node.get_clock().now()
        return self._inbox.latest(now.nanoseconds)

    def latest_in(self, frame: str, now: Time | None = None, known: Rigid | None = None) -> Latest:
        """Return usable predictions in a frame, or the reason why there are none.

        Args:
            frame: name of the frame in which predictions are returned.
            now: time by the node's clock; the present time by default.
            known: transform from the predictions' frame to `frame`; read from tf2 by default.
        """
        latest = self.latest(now)
        if not latest or latest.outlook.frame_id == frame:
            return latest
        return latest.moved(known or self.transform(frame, latest.outlook.frame_id, now), frame)

    def transform(self, target: str, source: str, now: Time | None = None) -> Rigid | None:
        """Return the newest transform from `source` to `target` in tf2, or None.

        The result is None if tf2 does not know the transform, if the transform is older than
        `limits.max_transform_age_s`, or if tf2_ros is not installed.

        Args:
            target: frame to transform to.
            source: frame to transform from.
            now: time by the node's clock; the present time by default.
        """
        if self._tf is None:
            try:
                self._tf = Tf(self._node)
            except ImportError:
                return None
        now = now or self._node.get_clock().now()
        return self._tf.newest(target, source, now.nanoseconds, self.limits.max_transform_age_s)

    def close(self) -> None:
        """Stop listening."""
        self._node.destroy_subscription(self._subscription)
        if self._tf is not None:
            self._tf.close()
