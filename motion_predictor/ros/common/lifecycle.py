"""The base class of lifecycle nodes, which can configure and activate themselves."""

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
    """A lifecycle node that makes objects from its parameters and frees them after any error.

    A subclass implements `_set_up`, `_listen`, `_stop` and `_free`. `_stop` and `_free` are also
    called when there is nothing to stop or free. The subclass must declare a parameter
    `autostart`.

    Args:
        name: name of the node.
        callback_group: callback group of the lifecycle services. None means the default group of
            the node.
    """

    _table: Parameters

    def __init__(self, name: str, callback_group: CallbackGroup | None = None) -> None:
        Node.__init__(self, name)
        LifecycleNodeMixin.__init__(self, callback_group=callback_group)

    def _LifecycleNodeMixin__change_state(self, transition: int) -> Return:  # noqa: N802
        """Refuse a lifecycle transition that is not allowed in the present state.

        If a transition is not allowed, the rclpy of Jazzy raises an error. If this method did not
        catch the error, the caller of the service would wait for ever. Later versions of rclpy
        catch the error themselves.
        """
        try:
            # rclpy's type stubs do not contain the private method `__change_state`.
            return super()._LifecycleNodeMixin__change_state(transition)  # type: ignore[misc]
        except RCLError as error:
            self.get_logger().error(one_line(error))
            return Return.ERROR

    def _set_up(self, values: dict[str, Any]) -> None:
        """Make the objects that the parameters describe, or raise an error."""
        raise NotImplementedError

    def _listen(self) -> None:
        """Begin to receive and publish messages, or raise an error."""
        raise NotImplementedError

    def _stop(self) -> None:
        """Stop all work that `_listen` started."""
        raise NotImplementedError

    def _free(self) -> None:
        """Free the objects that `_set_up` made."""
        raise NotImplementedError

    def start(self) -> None:
        """Configure and activate the node if the parameter `autostart` is true."""
        if self.get_parameter('autostart').value and self.trigger_configure() == Return.SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> Return:
        """Read the parameters and make the objects that they describe."""
        with self._table.alone:
            for name in self._table.unknown():
                self.get_logger().warning(f"there is no parameter '{name}'; it has no effect")
            try:
                self._set_up(self._table.read())
            except Exception as error:  # the device and the middleware may raise any error
                self._free()
                self.get_logger().error(f'cannot configure: {one_line(error)}')
                return Return.FAILURE
            return Return.SUCCESS

    def on_activate(self, state: LifecycleState) -> Return:
        """Begin to receive and publish messages."""
        with self._table.alone:
            try:
                self._listen()
            except Exception as error:  # the middleware may raise any error
                self._stop()
                self.get_logger().error(f'cannot activate: {one_line(error)}')
                return Return.FAILURE
            return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> Return:
        """Stop receiving messages, and forget all observations."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> Return:
        """Free all objects of the configured node.

        After the cleanup, all parameters can be changed.
        """
        self._free()
        return Return.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> Return:
        """Stop the node in any lifecycle state, and free its objects."""
        self._stop()
        self._free()
        return Return.SUCCESS

    def on_error(self, state: LifecycleState) -> Return:
        """Free all objects after a failed transition, so that the node can be configured again."""
        self._stop()
        self._free()
        return Return.SUCCESS


def serve(node: ManagedNode, executor: Executor, start: Callable[[], None]) -> None:
    """Run a node until it is interrupted or shut down, then destroy it.

    Args:
        node: node to run.
        executor: executor that runs the callbacks of the node.
        start: function that is called first. `start` configures and activates the node.
    """
    executor.add_node(node)
    with until_interrupted(), ExitStack() as undo:
        undo.callback(node.destroy_node)
        start()
        while rclpy.ok():
            try:
                executor.spin()
            except RCLError as error:
                if rclpy.ok():  # a shutdown of ROS also raises RCLError
                    node.get_logger().error(str(error))
