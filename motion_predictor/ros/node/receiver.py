"""The subscription of the input. The inference thread itself waits for its messages."""

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
    """Keeps the node's executor from taking the messages."""

    def can_execute(self, entity: Any) -> bool:
        return False


class Intake:
    """Takes the messages of a topic in the thread that asks for them.

    A Python executor checks every service and timer of a node for each message. This costs more
    than all other work on a message without people, and the executor must then wake a second
    thread. `Intake` waits only for the subscription, as `rclpy.wait_for_message` does.

    Args:
        node: node that subscribes.
        kind: class of the messages.
        topic: topic of the messages.
        qos: QoS profile; parameters may override its policies.
    """

    def __init__(self, node: Node, kind: Any, topic: str, qos: QoSProfile) -> None:
        group = _Aside()
        self._node = node
        self._most = max(1, qos.depth)
        with ExitStack() as undo:
            self._subscription = node.create_subscription(
                kind,
                topic,
                lambda message: None,  # never called: `take` takes the messages
                qos,
                callback_group=group,
                # If an executor waits for QoS events, it also takes the wake-ups for messages.
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            undo.callback(node.destroy_subscription, self._subscription)
            self._bell = node.create_guard_condition(lambda: None, callback_group=group)
            undo.callback(node.destroy_guard_condition, self._bell)
            for used in (self._subscription, self._bell):
                undo.enter_context(used.handle)  # entered once, because it costs time
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
        """End the present wait, or else the next one. Any thread may call this."""
        self._bell.trigger()

    def take(self) -> Iterator[tuple[Any, int]]:
        """Yield the messages that have arrived, oldest first, each with its time of arrival.

        The time is in nanoseconds; 0 if the middleware does not report it.
        """
        for _ in range(self._most):  # later messages wait for the next call
            taken = self._subscription.handle.take_message(
                self._subscription.msg_type, self._subscription.raw
            )
            if taken is None:
                return
            message, info = taken
            yield message, info['received_timestamp']

    def publishers(self) -> int:
        """Return the number of matched publishers."""
        return int(self._subscription.get_publisher_count())

    def mismatched(self) -> int:
        """Return the number of publishers that do not match in type or QoS."""
        publishers = self._node.count_publishers(self._subscription.topic_name)
        return max(0, publishers - self.publishers())

    def close(self) -> None:
        """Unsubscribe. No thread may be in `wait` any more."""
        self._open.close()
