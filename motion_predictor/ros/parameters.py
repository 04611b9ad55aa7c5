"""The node's parameters: one table of names, defaults, ranges and meanings."""

from collections.abc import Callable
from dataclasses import dataclass
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

from motion_predictor.sources.point_cloud import FIELDS

Value = bool | int | float | str | list[str] | list[float]


FRAME_TIMES_S = (
    *(0.017, 0.033, 0.067, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5),
    *(0.6, 0.7, 0.8, 0.95, 1.1, 1.25, 1.4, 1.6, 1.8, 2.0),
)
"""Denser where a robot still has to decide, and where between two frames a hand goes far."""
AFRESH = 'clean up the node, set it, configure again'


class ParameterError(ValueError):
    """A parameter was given a value that it cannot take."""


@dataclass(frozen=True)
class Parameter:
    """One parameter; its type is that of the default."""

    name: str
    default: Value
    description: str
    low: float | None = None
    high: float | None = None
    live: bool = False
    """Whether it may be changed while the node is configured; the change holds at once."""

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
        """Return what a value must be, in words."""
        kind = {bool: 'true or false', int: 'an integer', float: 'a number with a point (1.0)'}
        if isinstance(self.default, list):
            return f'a list like {self.default}'
        words = kind.get(type(self.default), 'a string')
        return words if self.low is None else f'{words} from {self.low:g} to {self.high:g}'


PARAMETERS = (
    Parameter('autostart', True, 'Configure and activate the node as soon as it starts.'),
    Parameter('checkpoint', 'default', 'The predictor: "default", or a .safetensors file.'),
    Parameter('device', 'auto', 'Where it runs: "cpu", "cuda", "cuda:1", or "auto".'),
    Parameter(
        'backend',
        'auto',
        'How the network runs: "eager", "compiled", "cuda_graph", "tensorrt", or "auto", the '
        'fastest of them that is there and agrees with eager.',
    ),
    Parameter(
        'threads',
        1,
        'CPU threads of the network. More are faster while cores are idle and far slower when '
        'they are not, since all wait for the last at every layer.',
        1,
        256,
    ),
    Parameter(
        'realtime_priority',
        10,
        'Real-time priority (SCHED_FIFO) of the thread that predicts, where the system allows it: '
        'what else the machine does then hardly delays it. 0 leaves it to ordinary scheduling.',
        0,
        99,
    ),
    Parameter('samples', 50, 'Possible futures per person.', 1, 1000, live=True),
    Parameter(
        'coverage',
        0.95,
        'Probability with which a radius holds its joint, and all radii times body_radius_scale '
        'the whole body: one of those that the checkpoint is calibrated for (0.9, 0.95, 0.99, '
        '0.999, as far as its calibration data carries them).',
        0.5,
        0.9999,
    ),
    Parameter(
        'resample_noise',
        False,
        'Draw new noise for every prediction; otherwise sample s stays the same kind of future.',
    ),
    Parameter(
        'publish_samples', True, 'Publish the samples, not only their mean and radius.', live=True
    ),
    Parameter(
        'frame_times',
        list(FRAME_TIMES_S),
        'Publish the future frames nearest to these times, in seconds after the observation.',
        live=True,
    ),
    Parameter(
        'frame_stride',
        0,
        'Publish every n-th future frame, 1 for all; 0 publishes those of frame_times.',
        0,
        1000,
        live=True,
    ),
    Parameter(
        'input_type',
        'skeleton_array',
        'What sends the skeletons: skeleton_array, azure_kinect, zed, pose_array, point_cloud, '
        'mocap4r2 or ros4hri.',
    ),
    Parameter('input_topic', '', 'Topic to listen to; empty is where such a source publishes.'),
    Parameter(
        'input_layout',
        '',
        'Layout of the joints of a pose_array, a point_cloud or mocap4r2 (empty there: smpl22).',
    ),
    Parameter(
        'joint_names',
        [''],
        'Joints of a pose_array or a point_cloud, in order, if they are no whole layout.',
    ),
    Parameter(
        'point_fields',
        list(FIELDS),
        'Fields of a point_cloud for x, y, z, joint, person and, if it is there, confidence.',
    ),
    Parameter('marker_separator', ':', 'Stands between person and joint in names of mocap4r2.'),
    Parameter('tf_rate_hz', 30.0, 'How often the frames of ros4hri are read.', 1.0, 200.0),
    Parameter(
        'fixed_frame',
        '',
        'Frame to predict in, gravity-aligned, z up, to which other input is transformed; empty '
        'takes the frame of the input.',
    ),
    Parameter(
        'input_transform',
        [0.0] * 7,
        "How the input's frame lies in fixed_frame (x, y, z, qx, qy, qz, qw), if that never "
        'changes; all zero asks tf.',
    ),
    Parameter('layout_folder', '', 'Folder of further skeleton layouts (*.yaml).'),
    Parameter(
        'min_confidence',
        0.0,
        'Joints that the tracker is less sure of count as missing.',
        0.0,
        1.0,
        live=True,
    ),
    Parameter(
        'min_observed_fraction',
        0.5,
        'A person of whom less was observed over the history is not predicted.',
        0.0,
        1.0,
        live=True,
    ),
    Parameter(
        'max_people',
        8,
        'People predicted at most, those nearest to the robot; more are listed as TOO_MANY.',
        1,
        100,
        live=True,
    ),
    Parameter(
        'robot_position',
        [0.0, 0.0, 0.0],
        'Where the robot stands, x, y, z in metres in the frame of the skeletons.',
        live=True,
    ),
    Parameter(
        'max_speed',
        4.0,
        'Metres per second that no person exceeds: an id that jumps farther restarts its history.',
        0.1,
        50.0,
        live=True,
    ),
    Parameter(
        'reassociate_s',
        0.3,
        'For so long, a person who was lost goes on under a new id that appears at their place '
        'with nobody else near; 0 never does. max_gap_s is the limit of it.',
        0.0,
        10.0,
        live=True,
    ),
    Parameter(
        'frozen_after_s',
        1.0,
        'Somebody whose positions are the same for so long, bit by bit, is frozen: STALE_INPUT. '
        '0 for sources without noise, where people may stand still.',
        0.0,
        60.0,
        live=True,
    ),
    Parameter(
        'max_gap_s',
        0.3,
        "A longer gap between frames restarts a person's history.",
        0.01,
        10.0,
        live=True,
    ),
    Parameter(
        'forget_after_s',
        1.0,
        'A person who is no longer reported is listed as STALE_INPUT for so long; whoever was '
        'refused, unreadable or cleared may be there, unlisted, for so long. Only then is an '
        'empty list OK.',
        0.0,
        60.0,
        live=True,
    ),
    Parameter(
        'stale_after_s',
        0.3,
        'Silence of the source after which STALE_INPUT is published.',
        0.05,
        60.0,
        live=True,
    ),
    Parameter(
        'max_age_s',
        0.5,
        'Observations captured longer ago than this are STALE_INPUT.',
        0.01,
        60.0,
        live=True,
    ),
    Parameter(
        'max_ahead_s',
        0.1,
        'Messages stamped further in the future than this are rejected.',
        0.0,
        60.0,
        live=True,
    ),
    Parameter(
        'latency_budget_ms',
        20.0,
        'Time from a message until its prediction is read. Where all samples take longer at p99, '
        'fewer are drawn. What is predicted later is DEGRADED, what is published later counted in '
        'diagnostics.',
        1.0,
        10000.0,
        live=True,
    ),
    Parameter('diagnostics_period_s', 1.0, 'Time between diagnostics.', 0.1, 60.0, live=True),
)
BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}


class Parameters:
    """Declares the table on a node, reads it and guards it.

    A value that does not hold never stops the node: it is remembered, and `read` refuses until
    a good one is set.

    Args:
        node: whose parameters they are.
        objection: says in a sentence why a configured node cannot take these values, or nothing.
        apply: takes changed values while the node is configured.
    """

    def __init__(
        self,
        node: Node,
        objection: Callable[[dict[str, Any]], str],
        apply: Callable[[dict[str, Any]], None],
    ) -> None:
        self._node = node
        self._objection = objection
        self._apply = apply
        self._given = node._parameter_overrides  # rclpy has no public access to them
        self._problems: dict[str, str] = {}
        self.in_use = False
        """Set while the node is configured: not every parameter can then change."""
        for parameter in PARAMETERS:
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
        """Return the names that were given to the node but mean nothing to it."""
        known = {*BY_NAME, 'use_sim_time', 'start_type_description_service'}
        return sorted(n for n in self._given.keys() - known if not n.startswith('qos_overrides.'))

    def read(self) -> dict[str, Any]:
        """Return all values by name.

        Raises:
            ParameterError: in one sentence, if a value given at the start does not hold.
        """
        if self._problems:
            raise ParameterError('; '.join(self._problems.values()))
        return {name: self._node.get_parameter(name).value for name in BY_NAME}

    def _allow(self, changes: list[RosParameter]) -> SetParametersResult:
        ours = {change.name: change.value for change in changes if change.name in BY_NAME}
        reason = ''
        if self.in_use and ours:
            fixed = [name for name in ours if not BY_NAME[name].live]
            if fixed:
                reason = f'{", ".join(fixed)} is in use: {AFRESH}'
            else:
                reason = self._objection(self.read() | ours)
        return SetParametersResult(successful=not reason, reason=reason)

    def _accepted(self, changes: list[RosParameter]) -> None:
        ours = [change.name for change in changes if change.name in BY_NAME]
        for name in ours:
            self._problems.pop(name, None)
        if self.in_use and ours:
            self._apply(self.read())
