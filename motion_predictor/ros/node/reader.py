"""Reads messages of any source into observations in the model's layout and in the fixed frame."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.validate_topic_name import validate_topic_name

from motion_predictor.ros.common.transforms import FixedFrame, Tf, Transform
from motion_predictor.ros.node.footing import Footing
from motion_predictor.ros.node.message_types import message_class, point_reader
from motion_predictor.skeleton import (
    JointMap,
    Layout,
    LayoutError,
    common_names_of,
    recognised_layout,
)
from motion_predictor.sources.catalogue import Settings, open_source
from motion_predictor.sources.ros4hri import Ros4HriSource
from motion_predictor.sources.source import Bodies, InputError, Source
from motion_predictor.tracking.scene import Observation

MAX_REMEMBERED_MAPS = 32
MAX_NUMBER = 1e9
"""Coordinates larger than this count as missing, because their squares might overflow float32."""
ASSUMED_LAG_NS = 200_000_000
"""Assumed time from capture to arrival of messages without a stamp."""
ROBOT_SEEN_S = 1.0
"""Greatest age of the robot's position in tf."""


@dataclass
class Scan:
    """The people of one message, in the model's layout and in the fixed frame."""

    stamp_ns: int
    frame_id: str
    observations: list[Observation]
    rejected: Counter[str] = field(default_factory=Counter)
    """Number of people left out, by reason."""


class SkeletonInput:
    """Reads the messages of a source, and turns people into observations for the model.

    Args:
        source: adapter that extracts the people from a message.
        target: layout of the model. The joints of messages are mapped to this layout by name.
        layouts: skeleton layouts by name, from which a message may choose.
        min_confidence: joints with a lower confidence than this count as missing.
        fixed_frame: finds the transform from the frame of a message to the fixed frame.
        tf: source of transforms, for the people of ros4hri, for the robot's position, and to check
            whether frames move.
        topic: topic of the source's messages; empty for the usual topic of the source.
    """

    def __init__(
        self,
        source: Source,
        target: Layout,
        layouts: Mapping[str, Layout],
        min_confidence: float,
        fixed_frame: FixedFrame,
        tf: Tf | None = None,
        topic: str = '',
    ) -> None:
        self.topic = topic or source.topic
        self._source = source
        self._target = target
        self._layouts = layouts
        self.min_confidence = min_confidence
        self._fixed_frame = fixed_frame
        self._tf = tf
        self.footing = Footing(tf)
        """Watches whether the frame of the observations moves."""
        self._maps: dict[tuple[str, tuple[str, ...]], JointMap | InputError] = {}
        self._newest_ns, self._newest_frame_id = 0, fixed_frame.name
        self._lag_ns = ASSUMED_LAG_NS

    @property
    def is_sampled(self) -> bool:
        """Whether a timer reads the people from tf, because no message contains their joints."""
        return isinstance(self._source, Ros4HriSource)

    def clear(self) -> None:
        """Forget the stamps and frames of earlier messages, for example when time jumps."""
        self._newest_ns, self._newest_frame_id = 0, self._fixed_frame.name
        self._lag_ns = ASSUMED_LAG_NS
        self._fixed_frame.clear()
        self.footing.clear()
        if self._tf is not None:
            self._tf.clear()
        if isinstance(self._source, Ros4HriSource):
            self._source.forget()

    def close(self) -> None:
        """Unsubscribe from tf."""
        if self._tf is not None:
            self._tf.close()

    def read(self, message: Any, now_ns: int) -> Scan | None:
        """Return the people of a message; None for sources whose people come from tf.

        Raises:
            InputError: if nothing in the message can be used.
        """
        bodies = self._source.read(message)
        return None if bodies is None else self._scan(bodies, now_ns)

    def sample(self, now_ns: int) -> Scan | None:
        """Return all tracked people, with poses from tf; None if tf has nothing new.

        Raises:
            InputError: if tf does not know the pose of any tracked person.
        """
        if not isinstance(self._source, Ros4HriSource) or (tf := self._tf) is None:
            return None
        fixed = self._fixed_frame.name
        bodies = self._source.sample(lambda frame, stamp: tf.place(fixed, frame, stamp), fixed)
        return None if bodies is None else self._scan(bodies, now_ns)

    def robot_place(self, robot_frame: str, now_ns: int) -> list[float]:
        """Return the present position of `robot_frame` in the frame of the newest scan, metres.

        Raises:
            InputError: if tf does not know the robot's position.
        """
        tf, frame_id = self._tf, self._newest_frame_id
        place = tf.newest(frame_id, robot_frame, now_ns, ROBOT_SEEN_S) if tf is not None else None
        if place is None:
            raise InputError(
                f"tf has no transform from robot_frame '{robot_frame}' to '{frame_id}': "
                'the people nearest to robot_position are predicted first'
            )
        return [float(number) for number in place.translation]

    def _scan(self, bodies: Bodies, now_ns: int) -> Scan:
        try:
            scan = self._in_fixed_frame(bodies, now_ns)
            if sentence := self.footing.moves(scan.frame_id, now_ns):
                raise InputError(sentence)
            return scan
        except InputError as error:
            raise InputError(str(error), len(bodies.ids) + bodies.rejected.total()) from error

    def _in_fixed_frame(self, bodies: Bodies, now_ns: int) -> Scan:
        if bodies.stamp_ns is None:
            return Scan(self._guess_stamp(now_ns), self._newest_frame_id, [])
        transform = None
        if bodies.frame_id or bodies.ids:
            transform = self._fixed_frame.transform(
                bodies.frame_id, bodies.stamp_ns, self._source.optical
            )
        frame_id = self._fixed_frame.name or bodies.frame_id
        if not bodies.ids and not frame_id:
            # People who were lost just now are still listed, in the frame of the newest scan.
            frame_id = self._newest_frame_id
        scan = Scan(bodies.stamp_ns, frame_id, [], bodies.rejected)
        if bodies.ids:
            scan.observations = self._observations(bodies, transform)
        self._newest_ns, self._newest_frame_id = scan.stamp_ns, scan.frame_id
        self._lag_ns = max(ASSUMED_LAG_NS, now_ns - scan.stamp_ns)
        return scan

    def _guess_stamp(self, now_ns: int) -> int:
        """Return a time of capture for a message without a stamp.

        The guess is later than the stamp of the previous message, and earlier than now. Thus
        messages that are captured after this message still count as newer.
        """
        guess = max(now_ns - self._lag_ns, min(self._newest_ns + 1, now_ns))
        self._newest_ns = guess
        return guess

    def _observations(self, bodies: Bodies, transform: Transform | None) -> list[Observation]:
        joint_map = self._map(bodies.layout, bodies.joint_names)
        positions = np.where(np.abs(bodies.positions) < MAX_NUMBER, bodies.positions, np.nan)
        if bodies.confidence is not None:
            # A joint whose confidence is NaN also counts as missing, because NaN >= x is false.
            positions[~(bodies.confidence >= self.min_confidence)] = np.nan
        if transform is not None:
            positions = transform(positions)
        sent = [body.tobytes() for body in bodies.positions]
        people = zip(bodies.ids, joint_map(positions), sent, strict=True)
        return [Observation(*person) for person in people]

    def _map(self, layout: str, joint_names: tuple[str, ...]) -> JointMap:
        key = (layout, joint_names)
        if key not in self._maps:
            if len(self._maps) >= MAX_REMEMBERED_MAPS:
                self._maps.clear()
            try:
                self._maps[key] = self._find_map(*key)
            except LayoutError as error:
                self._maps[key] = InputError(str(error))
        found = self._maps[key]
        if isinstance(found, InputError):
            raise found
        return found

    def _find_map(self, layout_name: str, joint_names: tuple[str, ...]) -> JointMap:
        layout = self._layouts.get(layout_name) or recognised_layout(joint_names)
        names = common_names_of(joint_names, layout)
        return JointMap.between(names, self._target, layout.makes if layout else None)


def open_input(
    values: Mapping[str, Any], target: Layout, layouts: Mapping[str, Layout], node: Node
) -> tuple[SkeletonInput, Any]:
    """Return the input that the parameters describe, and the class of its messages.

    Args:
        values: the node's parameters by name.
        target: skeleton layout of the model.
        layouts: skeleton layouts by name, from which messages and parameters may choose.
        node: node that subscribes to tf if tf is needed.

    Raises:
        InputError: if parameters contradict each other or a package is missing. The error is one
            sentence.
    """
    name, fixed = values['input_type'], values['fixed_frame']
    settings = Settings(
        layouts,
        values['input_layout'],
        [joint for joint in values['joint_names'] if joint],
        values['point_fields'],
        values['marker_separator'],
    )
    source = open_source(name, settings, point_reader)
    kind = message_class(name, source.kind)
    static = Transform.of(values['input_transform']) if any(values['input_transform']) else None
    try:
        tf = Tf(node)
    except ImportError:
        tf = None  # without tf, skeletons must come in the fixed frame
    if values['robot_frame'] and tf is None:
        raise InputError('robot_frame needs tf, but the ROS package tf2_ros is missing')
    from_tf = tf if fixed and static is None else None
    if isinstance(source, Ros4HriSource) and from_tf is None:
        raise InputError(
            "input_type 'ros4hri' reads people from tf: it needs the ROS package tf2_ros "
            'and fixed_frame, and input_transform must be unset'
        )
    if source.optical and not fixed:
        raise InputError(
            f"input_type '{name}' comes in the optical frame of a camera, whose z is not "
            'up: set fixed_frame, and without tf also input_transform'
        )
    frame = FixedFrame(fixed, static, from_tf)
    shipped = layouts.get(target.name)
    if shipped is not None and shipped.joints == target.joints:
        target = shipped  # `shipped` has newer rules to fill in missing joints
    topic = values['input_topic'] or source.topic
    try:
        validate_topic_name(topic)
    except InvalidTopicNameException as error:
        raise InputError(f"input_topic '{topic}' is not a valid name of a topic") from error
    confident = values['min_confidence']
    return SkeletonInput(source, target, layouts, confident, frame, tf, topic), kind
