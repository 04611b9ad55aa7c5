"""The base of the lifecycle nodes: they can configure and activate themselves, and end cleanly."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.callback_groups import CallbackGroup
from rclpy.executors import Executor
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node

from motion_predictor.common.problems import one_line
from motion_predictor.ros.common.parameter_table import Parameters
from motion_predictor.ros.common.processes import until_interrupted

Return = TransitionCallbackReturn


class ManagedNode(LifecycleNodeMixin, Node):
    """A lifecycle node that makes objects from its parameters and always frees them.

    A subclass implements `_set_up`, `_listen`, `_stop` and `_free`. The last two are also called
    when there is nothing to stop or free. The subclass must declare a parameter `autostart`.

    Args:
        name: name of the node.
        callback_group: group of the lifecycle services; None takes the default group of the node.
    """

    _table: Parameters

    def __init__(self, name: str, callback_group: CallbackGroup | None = None) -> None:
        Node.__init__(self, name)
        LifecycleNodeMixin.__init__(self, callback_group=callback_group)

    def _LifecycleNodeMixin__change_state(self, transition: int) -> Return:  # noqa: N802
        """Refuse a transition that is not allowed.

        The rclpy of Jazzy raises an error here, so that the caller of the service would wait for
        ever. Later versions of rclpy catch the error.
        """
        try:
            # A private name of rclpy, which its type stubs lack.
            return super()._LifecycleNodeMixin__change_state(transition)  # type: ignore[misc]
        except RCLError as error:
            self.get_logger().error(one_line(error))
            return Return.ERROR

    def _set_up(self, values: dict[str, Any]) -> None:
        """Make the objects that the parameters describe, or raise an error."""
        raise NotImplementedError

    def _listen(self) -> None:
        """Begin to work, or raise an error."""
        raise NotImplementedError

    def _stop(self) -> None:
        """Stop what `_listen` started."""
        raise NotImplementedError

    def _free(self) -> None:
        """Free the objects that `_set_up` made."""
        raise NotImplementedError

    def start(self) -> None:
        """Configure and activate if the parameters ask for it."""
        if self.get_parameter('autostart').value and self.trigger_configure() == Return.SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> Return:
        """Read the parameters and make the objects that they describe."""
        with self._table.alone:
            for name in self._table.unknown():
                self.get_logger().warning(f"there is no parameter '{name}'; it has no effect")
            try:
                self._set_up(self._table.read())
            except Exception as error:  # the device and the middleware may raise anything
                self._free()
                self.get_logger().error(f'cannot configure: {one_line(error)}')
                return Return.FAILURE
            return Return.SUCCESS

    def on_activate(self, state: LifecycleState) -> Return:
        """Begin to listen and to publish."""
        with self._table.alone:
            try:
                self._listen()
            except Exception as error:  # the middleware may raise anything
                self._stop()
                self.get_logger().error(f'cannot activate: {one_line(error)}')
                return Return.FAILURE
            return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> Return:
        """Stop listening, and forget all observations."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> Return:
        """Free everything. Then all parameters can be changed again."""
        self._free()
        return Return.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> Return:
        """End from any state."""
        self._stop()
        self._free()
        return Return.SUCCESS

    def on_error(self, state: LifecycleState) -> Return:
        """Free what a failed transition left behind. Then the node can be configured again."""
        self._stop()
        self._free()
        return Return.SUCCESS


def serve(node: ManagedNode, executor: Executor, start: Callable[[], None]) -> None:
    """Run a node until it is interrupted or shut down, then destroy it.

    Args:
        node: the node.
        executor: runs its callbacks.
        start: called first, to configure and activate the node.
    """
    executor.add_node(node)
    with until_interrupted(), ExitStack() as undo:
        undo.callback(node.destroy_node)
        start()
        while rclpy.ok():
            try:
                executor.spin()
            except RCLError as error:
                if rclpy.ok():  # otherwise a signal interrupted the node while it published
                    node.get_logger().error(str(error))
