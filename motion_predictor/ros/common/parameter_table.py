"""The parameters of a node in one table: declares them, reads them and checks changes."""

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
    """A parameter was given a value that it cannot take."""


@dataclass(frozen=True)
class Parameter:
    """One parameter. Its type is the type of its default."""

    name: str
    default: Value
    description: str
    low: float | None = None
    high: float | None = None
    live: bool = False
    """Whether it may be changed while the node is configured. The change takes effect at once."""

    def descriptor(self) -> ParameterDescriptor:
        """Return the descriptor that `ros2 param describe` shows."""
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
        """Describe the values that are allowed, in words."""
        kind = {bool: 'true or false', int: 'an integer', float: 'a number with a point (1.0)'}
        if isinstance(self.default, list):
            return f'a list like {self.default}'
        words = kind.get(type(self.default), 'a string')
        return words if self.low is None else f'{words} from {self.low:g} to {self.high:g}'


class Parameters:
    """Declares a table of parameters on a node, reads the values and checks changes.

    An invalid value at the start does not stop the node. `read` raises an error until a valid
    value is set.

    Args:
        node: the node on which the parameters are declared.
        table: the parameters.
        objection: returns a sentence that says why a configured node cannot take these values, or
            an empty string.
        apply: called with all values when parameters change while the node is configured.
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
        """Lock held while changes are checked and applied. Other code takes it to stop changes."""
        self._given = node._parameter_overrides  # rclpy has no public access to them
        self._problems: dict[str, str] = {}
        self.in_use = False
        """Whether the node is configured. Then only parameters that are `live` can change."""
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
        """Return all values by name.

        Raises:
            ParameterError: with one sentence, if a value given at the start is invalid.
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
