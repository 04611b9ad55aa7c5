"""Subscribes to the input. The inference thread itself waits for the messages."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

FOREVER = -1


class _Aside(MutuallyExclusiveCallbackGroup):
    """A callback group whose messages the node's executor never takes."""

    def can_execute(self, entity: Any) -> bool:
        return False


class Intake:
    """Subscribes to a topic, and delivers its messages in the thread that calls `take`.

    A Python executor checks every service and timer of a node for each message. The check of all
    services and timers takes longer than all other work on a message without people. The executor
    must also wake a second thread for the message. `Intake` uses no executor: its `wait` watches
    this one subscription, as `rclpy.wait_for_message` does.

    Args:
        node: node that subscribes.
        kind: Python class of the messages.
        topic: topic of the messages.
        qos: QoS profile of the subscription. ROS parameters may override the policies of this
            profile.
    """

    def __init__(self, node: Node, kind: Any, topic: str, qos: QoSProfile) -> None:
        group = _Aside()
        self._node = node
        self._most = max(1, qos.depth)
        with ExitStack() as undo:
            self._subscription = node.create_subscription(
                kind,
                topic,
                lambda message: None,  # never called: `take` reads the messages
                qos,
                callback_group=group,
                # Handle no QoS events: an executor that waits for QoS events would also take the
                # wake-ups for messages.
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            undo.callback(node.destroy_subscription, self._subscription)
            self._bell = node.create_guard_condition(lambda: None, callback_group=group)
            undo.callback(node.destroy_guard_condition, self._bell)
            for used in (self._subscription, self._bell):
                # Enter each handle (rclpy's C++ object) once here and not at each message, to
                # save time.
                undo.enter_context(used.handle)
            assert node.context.handle is not None
            self._waiting = rclpy_implementation.WaitSet(1, 1, 0, 0, 0, 0, node.context.handle)
            self._open = undo.pop_all()

    def wait(self) -> None:
        """Wait until there is a message, or until `ring` is called."""
        self._waiting.clear_entities()
        self._waiting.add_subscription(self._subscription.handle)
        self._waiting.add_guard_condition(self._bell.handle)
        self._waiting.wait(FOREVER)

    def ring(self) -> None:
        """End the present call of `wait`, or the next call if none is running.

        Any thread may call `ring`.
        """
        self._bell.trigger()

    def take(self) -> Iterator[tuple[Any, int]]:
        """Yield the messages that have arrived, oldest first, each with its time of arrival.

        The time of arrival is in nanoseconds; 0 if the middleware does not report it.
        """
        for _ in range(self._most):  # further messages wait for the next call of `take`
            taken = self._subscription.handle.take_message(
                self._subscription.msg_type, self._subscription.raw
            )
            if taken is None:
                return
            message, info = taken
            yield message, info['received_timestamp']

    def publishers(self) -> int:
        """Return the number of publishers whose type and QoS match the subscription."""
        return int(self._subscription.get_publisher_count())

    def mismatched(self) -> int:
        """Return the number of publishers that do not match in type or QoS."""
        publishers = self._node.count_publishers(self._subscription.topic_name)
        return max(0, publishers - self.publishers())

    def close(self) -> None:
        """Unsubscribe. When `close` is called, no thread may be in `wait`."""
        self._open.close()
