"""Declares, reads and checks the parameters of a node, which are listed in one table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

Value = bool | int | float | str | list[str] | list[float]


AFRESH = 'clean up the node, set it, configure again'


class ParameterError(ValueError):
    """Raised if a parameter has an invalid value."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a node. The type of the parameter is the type of its default."""

    name: str
    default: Value
    description: str
    low: float | None = None
    high: float | None = None
    live: bool = False
    """Whether the parameter may change while the node is configured. Changes take effect at
    once."""

    def descriptor(self) -> ParameterDescriptor:
        """Return the descriptor of the parameter, which `ros2 param describe` shows."""
        descriptor = ParameterDescriptor(description=self.description)
        if self.low is not None and self.high is not None:
            if isinstance(self.default, int):
                bounds = IntegerRange(from_value=int(self.low), to_value=int(self.high))
                descriptor.integer_range = [bounds]
            else:
                limits = FloatingPointRange(from_value=self.low, to_value=self.high)
                descriptor.floating_point_range = [limits]
        return descriptor

    def expectation(self) -> str:
        """Return words that describe the allowed values."""
        kind = {bool: 'true or false', int: 'an integer', float: 'a number with a point (1.0)'}
        if isinstance(self.default, list):
            return f'a list like {self.default}'
        words = kind.get(type(self.default), 'a string')
        return words if self.low is None else f'{words} from {self.low:g} to {self.high:g}'


class Parameters:
    """Declares a table of parameters on a node, reads their values and checks changes.

    If the node is started with an invalid value of a parameter, the node still runs. `read` raises
    an error until a valid value of this parameter is set.

    Args:
        node: the node on which the parameters are declared.
        table: the parameters to declare.
        objection: function that checks new values for a configured node. `objection` returns a
            sentence that says why the values are refused, or an empty string.
        apply: function that receives all values when parameters of a configured node change.
    """

    def __init__(
        self,
        node: Node,
        table: Sequence[Parameter],
        objection: Callable[[dict[str, Any]], str] = lambda values: '',
        apply: Callable[[dict[str, Any]], None] = lambda values: None,
    ) -> None:
        self._node = node
        self._by_name = {parameter.name: parameter for parameter in table}
        self._objection = objection
        self._apply = apply
        self.alone = RLock()
        """Lock that is held while changes are checked and applied. Other code takes this lock to
        prevent changes."""
        # The values with which the node was started. rclpy has no public name for these values.
        self._given = node._parameter_overrides
        self._problems: dict[str, str] = {}
        self.in_use = False
        """Whether the node is configured. While it is, only `live` parameters can change."""
        for parameter in table:
            descriptor = parameter.descriptor()
            arguments = (parameter.name, parameter.default, descriptor)
            try:
                node.declare_parameter(*arguments)
            except (InvalidParameterTypeException, InvalidParameterValueException):
                self._problems[parameter.name] = (
                    f"parameter '{parameter.name}' must be {parameter.expectation()}, "
                    f'got {self._given[parameter.name].value!r}'
                )
                node.declare_parameter(*arguments, ignore_override=True)
        node.add_on_set_parameters_callback(self._allow)
        node.add_post_set_parameters_callback(self._accepted)

    def unknown(self) -> list[str]:
        """Return the names of parameters that were given to the node but do not exist."""
        known = {*self._by_name, 'use_sim_time', 'start_type_description_service'}
        return sorted(n for n in self._given.keys() - known if not n.startswith('qos_overrides.'))

    def read(self) -> dict[str, Any]:
        """Return the values of all parameters by name.

        Raises:
            ParameterError: if a value at the start of the node was invalid. The error names the
                parameter and the allowed values.
        """
        if self._problems:
            raise ParameterError('; '.join(self._problems.values()))
        return {name: self._node.get_parameter(name).value for name in self._by_name}

    def _allow(self, changes: list[RosParameter]) -> SetParametersResult:
        ours = {change.name: change.value for change in changes if change.name in self._by_name}
        reason = ''
        with self.alone:
            if self.in_use and ours:
                fixed = [name for name in ours if not self._by_name[name].live]
                if fixed:
                    reason = f'{", ".join(fixed)} is in use: {AFRESH}'
                else:
                    reason = self._objection(self.read() | ours)
        return SetParametersResult(successful=not reason, reason=reason)

    def _accepted(self, changes: list[RosParameter]) -> None:
        ours = [change.name for change in changes if change.name in self._by_name]
        for name in ours:
            self._problems.pop(name, None)
        with self.alone:
            if self.in_use and ours:
                self._apply(self.read())
