"""Reads one skeleton topic of a rosbag2 with the package `rosbags`, without ROS.

Messages are converted by `motion_predictor.sources`, as in the node.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from motion_predictor.archive import ArchiveError
from motion_predictor.skeleton import (
    Layout,
    LayoutError,
    known_layouts,
    read_layout,
    recognised_layout,
)
from motion_predictor.sources.catalogue import INPUT_TYPES, SOURCES, Settings, open_source
from motion_predictor.sources.point_cloud import FIELDS
from motion_predictor.sources.source import Bodies, InputError
from motion_predictor_training.data.importers.clips import FloatArray

PACKAGE = 'motion_predictor'
OBVIOUS = ('skeleton_array', 'azure_kinect', 'zed', 'mocap4r2')
"""Sources whose message types always describe people. Topics of other sources must be named with
--topic."""


@dataclass(frozen=True)
class BagOptions:
    """Options that say how to read a bag."""

    topic: str | None = None
    """Topic to read. Needed only if a bag has several topics with people."""
    input_type: str | None = None
    """Type of the source, one of INPUT_TYPES. None chooses it by the message type."""
    input_layout: str = ''
    """Layout of the joints, if the messages do not name their layout: a name, or a .yaml file."""
    joint_names: Sequence[str] = ()
    """Names of the joints of a pose_array or a point_cloud, in order."""
    point_fields: Sequence[str] = FIELDS
    marker_separator: str = ':'
    layout: str | None = None
    """Layout to map the joints to. None keeps the joints as recorded."""
    rate_hz: float = 60.0
    max_gap_s: float = 0.3
    """A gap longer than this between two frames of a person starts a new clip."""
    min_confidence: float = 0.0
    """Joints with less confidence than this count as missing."""
    rotation: tuple[float, float, float, float] | None = None
    """Quaternion x, y, z, w that rotates the recorded frame so that z points up."""


@dataclass
class Frames:
    """The frames of one person, in the order of their time stamps."""

    stamps_ns: list[int] = field(default_factory=list)
    poses: list[FloatArray] = field(default_factory=list)  # (J, 3) metres, recorded frame


@dataclass
class Recording:
    """The people and their motion from one topic."""

    joint_names: tuple[str, ...] = ()
    layout: Layout | None = None
    """Layout of the joints, if it is known."""
    frame_id: str = ''
    tracks: dict[str, Frames] = field(default_factory=dict)
    out_of_order: int = 0
    """Number of frames that were dropped because they were not newer than the previous frame."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Number of people and messages that were left out, by reason."""

    def add(self, person: str, stamp_ns: int, pose: FloatArray) -> None:
        """Append a frame of a person, if it is newer than the person's last frame.

        If the frame is not newer than the last frame, it is dropped and counted in `out_of_order`.
        """
        track = self.tracks.setdefault(person, Frames())
        if track.stamps_ns and stamp_ns <= track.stamps_ns[-1]:
            self.out_of_order += 1
            return
        track.stamps_ns.append(stamp_ns)
        track.poses.append(pose)


def read_recording(source: Path, options: BagOptions) -> Recording:
    """Read the skeletons of a bag; keep the recorded coordinate frame, layout and time stamps.

    Raises:
        ArchiveError: if the bag is damaged or lacks the topic, or the topic has another type or no
            people.
    """
    if not source.exists():
        raise ArchiveError(f'there is no bag {source}')
    own = _own_types()
    settings = _settings(options)
    recording = Recording()
    try:
        with AnyReader([source], default_typestore=own) as reader:
            name, connections = _connections(source, reader.connections, options)
            kind = connections[0].msgtype
            adapter = open_source(name, settings, _point_reader)
            # Some bags do not contain the definitions of their message types.
            types = reader.typestore if kind in reader.typestore.fielddefs else own
            if kind not in types.fielddefs:
                raise ArchiveError(
                    f'{source} does not define {kind}, and no installed {PACKAGE} does: '
                    'import it on a machine on which the package is built'
                )
            for _, _, data in reader.messages(connections=connections):
                try:
                    bodies = adapter.read(types.deserialize_cdr(data, kind))
                except InputError as error:
                    recording.rejected[str(error)] += 1
                    continue
                if bodies is not None:
                    _add(source, bodies, settings, options, recording)
    except ArchiveError:
        raise
    except InputError as error:
        raise ArchiveError(f'{source}: {error}') from error
    except Exception as error:  # damaged files raise exceptions of many types
        raise ArchiveError(f'{source} is not a readable rosbag2: {error}') from error
    if not recording.tracks:
        why = listed(recording.rejected)
        raise ArchiveError(f'{source} has nobody on the topic {connections[0].topic}{why}')
    return recording


def _settings(options: BagOptions) -> Settings:
    """Return settings that are needed to read messages, but are not part of the messages.

    If the options name a layout file, the file is read.
    """
    layouts, name = dict(known_layouts()), options.input_layout
    if name.endswith(('.yaml', '.yml')):
        try:
            layout = read_layout(Path(name))
        except LayoutError as error:
            raise ArchiveError(str(error)) from error
        layouts[layout.name], name = layout, layout.name
    return Settings(
        layouts,
        name,
        options.joint_names,
        options.point_fields,
        options.marker_separator,
    )


def _point_reader() -> Callable[..., Any]:
    try:
        from pointcloud2 import read_points
    except ImportError as error:
        raise InputError(
            'point clouds need the package pointcloud2: pip install pointcloud2'
        ) from error
    return read_points


def _own_types() -> Typestore:
    """Return the message types of ROS 2, and of this package if it is installed."""
    types = get_typestore(Stores.LATEST)
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        folder = Path(prefix) / 'share' / PACKAGE / 'msg'
        if prefix and folder.is_dir():
            for file in sorted(folder.glob('*.msg')):
                name = f'{PACKAGE}/msg/{file.stem}'
                types.register(get_types_from_msg(file.read_text(), name))
            break
    return types


def _connections(
    source: Path, connections: Sequence[Connection], options: BagOptions
) -> tuple[str, list[Connection]]:
    """Choose the topic that the options name, or else the only topic with people.

    Returns:
        The key of SOURCES that fits the messages of the topic, and the connections of the topic.
    """
    readable = INPUT_TYPES if options.topic else OBVIOUS
    names = [options.input_type] if options.input_type else readable
    by_kind = {SOURCES[name].kind: name for name in names}
    usable = {c.topic: by_kind[c.msgtype] for c in connections if c.msgtype in by_kind}
    listed = ', '.join(sorted(f'{c.topic} ({c.msgtype})' for c in connections)) or 'none'
    topic = options.topic
    if topic is None:
        usual = [t for t, name in usable.items() if t.endswith(SOURCES[name].topic)]
        choice = usual if len(usual) == 1 else list(usable)
        if len(choice) > 1:
            raise ArchiveError(f'{source} has several topics, choose one with --topic: {listed}')
        topic = choice[0] if choice else ''
    if topic not in usable:
        kinds = ', '.join(f'{kind} ({name})' for kind, name in by_kind.items())
        raise ArchiveError(
            f'{source} has no {topic or "topic"} of {kinds}: its topics are {listed}. For '
            'other types give --input-type'
        )
    return usable[topic], [connection for connection in connections if connection.topic == topic]


def _add(
    source: Path,
    bodies: Bodies,
    settings: Settings,
    options: BagOptions,
    into: Recording,
) -> None:
    """Add the people of one message to a recording.

    A topic whose joints or frame change between messages is refused.
    """
    into.rejected += bodies.rejected
    if not bodies.ids or bodies.stamp_ns is None:
        return
    names, frame_id = bodies.joint_names, bodies.frame_id
    if not into.joint_names:
        into.joint_names, into.frame_id = names, frame_id
        into.layout = settings.layouts.get(bodies.layout) or recognised_layout(names)
    if into.joint_names != names:
        raise ArchiveError(
            f'{source} changes its joints between messages, from {len(into.joint_names)} '
            f'({into.joint_names[0]}, ...) to {len(names)} ({names[0]}, ...)'
        )
    if into.frame_id != frame_id:
        raise ArchiveError(
            f"{source} changes its frame between messages, from '{into.frame_id}' to '{frame_id}'"
        )
    poses = np.array(bodies.positions, np.float32)
    if bodies.confidence is not None:
        # The comparison is negated so that a joint whose confidence is NaN is missing, too.
        poses[~(bodies.confidence >= options.min_confidence)] = np.nan
    for person, pose in zip(bodies.ids, poses, strict=True):
        into.add(person, bodies.stamp_ns, pose)


def listed(rejected: Counter[str]) -> str:
    """Return why people and messages were rejected, and how often, as the end of a sentence."""
    return ''.join(f', {count} x {reason}' for reason, count in rejected.most_common(5))
