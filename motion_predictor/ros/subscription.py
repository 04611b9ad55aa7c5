"""Predictions for a planner that is a node: the subscription, and tf where it is needed."""

from dataclasses import replace
from importlib import import_module
from typing import Any

from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time

from motion_predictor.msg import PredictedMotionArray
from motion_predictor.planning.latest import Inbox, Latest, Limits, Reason
from motion_predictor.rigid import Rigid


class Predictions:
    """Owns the subscription to `predicted_motion` and answers for it.

    Args:
        node: whose executor handles the messages, and whose clock tells the time.
        limits: when a message may no longer be acted on.
        topic: to subscribe to.
    """

    def __init__(
        self, node: Node, limits: Limits | None = None, topic: str = 'predicted_motion'
    ) -> None:
        self._node = node
        self._inbox = Inbox(limits)
        self._buffer: Any = None
        # Reliable, as it is published: a message of many fragments rarely arrives whole otherwise.
        self._subscription = node.create_subscription(
            PredictedMotionArray, topic, self._inbox.put, QoSProfile(depth=1)
        )

    @property
    def limits(self) -> Limits:
        """When a message may no longer be acted on; may be set at any time."""
        return self._inbox.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._inbox.limits = limits

    def latest(self, now: Time | None = None) -> Latest:
        """Return usable predictions in their own frame, or the reason why there are none.

        Args:
            now: by the node's clock; read from it unless given.
        """
        now = now or self._node.get_clock().now()
        return self._inbox.latest(now.nanoseconds)

    def latest_in(self, frame: str, now: Time | None = None, known: Rigid | None = None) -> Latest:
        """Return usable predictions in a frame, or the reason why there are none.

        Args:
            frame: name of the frame.
            now: by the node's clock; read from it unless given.
            known: takes positions in the predictions' frame to this one; tf2 is asked otherwise.
        """
        latest = self.latest(now)
        if not latest or latest.outlook.frame_id == frame:
            return latest
        transform = known or self._ask_tf(frame, latest.outlook.frame_id)
        if transform is None:
            return Latest(Reason.NO_TRANSFORM)
        return replace(latest, _outlook=latest.outlook.moved(transform, frame))

    def close(self) -> None:
        """Stop listening."""
        self._node.destroy_subscription(self._subscription)

    def _ask_tf(self, target: str, source: str) -> Rigid | None:
        """Return the newest transform that tf knows, None if it knows none or is not installed."""
        try:
            tf2 = import_module('tf2_ros')
        except ImportError:
            return None
        if self._buffer is None:
            self._buffer = tf2.Buffer()
            self._listener = tf2.TransformListener(self._buffer, self._node)
        try:
            newest = Time(clock_type=ClockType.ROS_TIME)
            found = self._buffer.lookup_transform(target, source, newest)
        except tf2.TransformException:
            return None
        return Rigid.of_message(found.transform)
