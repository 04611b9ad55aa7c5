"""Recorded skeleton topics of a rosbag2 (sqlite3 or MCAP), read without ROS by `rosbags`.

Messages are read by the adapters of the node, `motion_predictor.sources`. A person's frames become
one clip for every stretch without a gap, resampled on the stamps of capture.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore
from scipy.spatial.transform import Rotation

from motion_predictor.archive import ArchiveError
from motion_predictor.skeleton import (
    Layout,
    LayoutError,
    common_names_of,
    known_layouts,
    read_layout,
    recognised_layout,
)
from motion_predictor.sources.catalogue import INPUT_TYPES, SOURCES, Settings, open_source
from motion_predictor.sources.point_cloud import FIELDS
from motion_predictor.sources.source import Bodies, InputError
from motion_predictor_training.data.importers.clips import (
    Clip,
    FloatArray,
    check_subjects,
    in_layout,
    is_wanted,
    layout_named,
    plain_layout,
    read_at,
    write_clips,
)

PACKAGE = 'motion_predictor'
OBVIOUS = ('skeleton_array', 'azure_kinect', 'zed', 'mocap4r2')
"""Sources whose messages hardly hold anything else than people."""

OPTICAL = (-0.5, 0.5, -0.5, 0.5)
"""Turns the axes of a level camera (x right, y down, z forward) into x forward, y left, z up."""


@dataclass(frozen=True)
class BagOptions:
    """How a bag is read."""

    topic: str | None = None
    """Needed only where a bag has several that could be read."""
    input_type: str | None = None
    """One of INPUT_TYPES; needed for messages that may hold anything."""
    input_layout: str = ''
    """Of the joints where messages do not say it: a name, or a .yaml file."""
    joint_names: Sequence[str] = ()
    """Of a pose_array or a point_cloud, in order."""
    point_fields: Sequence[str] = FIELDS
    marker_separator: str = ':'
    layout: str | None = None
    """Layout wanted; otherwise the joints stay as they were recorded."""
    rate_hz: float = 60.0
    max_gap_s: float = 0.3
    """A longer gap between two frames of a person starts a new clip."""
    min_confidence: float = 0.0
    """Joints that the tracker was less sure of count as missing."""
    rotation: tuple[float, float, float, float] | None = None
    """Quaternion x, y, z, w that turns the recorded frame so that z points up."""


@dataclass
class Track:
    """One person's frames in the order of their stamps."""

    stamps_ns: list[int] = field(default_factory=list)
    poses: list[FloatArray] = field(default_factory=list)  # (J, 3) metres, recorded frame


@dataclass
class Recording:
    """What a topic holds."""

    joint_names: tuple[str, ...] = ()
    layout: Layout | None = None
    """Which the joints are of, if the source says so."""
    frame_id: str = ''
    tracks: dict[str, Track] = field(default_factory=dict)
    out_of_order: int = 0
    """Frames left out because they were not newer than the one before."""
    rejected: Counter[str] = field(default_factory=Counter)
    """People and messages left out, by reason."""

    def add(self, person: str, stamp_ns: int, pose: FloatArray) -> None:
        """Append a person's frame, unless it came too late."""
        track = self.tracks.setdefault(person, Track())
        if track.stamps_ns and stamp_ns <= track.stamps_ns[-1]:
            self.out_of_order += 1
            return
        track.stamps_ns.append(stamp_ns)
        track.poses.append(pose)


def import_rosbag(
    sources: Sequence[Path], options: BagOptions, subjects: Sequence[str] | None, out: Path
) -> str:
    """Write the people recorded in bags; a subject is <bag>/<person>. Return one line on them.

    Raises:
        ArchiveError: if a bag is damaged or has no such topic, or its frame is not level.
    """
    clips: list[Clip] = []
    there: set[str] = set()
    kept: Layout | None = None
    late = 0
    rejected: Counter[str] = Counter()
    for source in sources:
        recording = read_recording(source, options)
        late += recording.out_of_order
        rejected += recording.rejected
        layout = _output_layout(source, recording, options)
        if kept not in (None, layout):
            raise ArchiveError(f'{source} has other joints than {sources[0]}: give --layout')
        kept = layout
        level = level_motion(source, recording, options)
        for person, track in recording.tracks.items():
            subject = f'{source.name if source.is_dir() else source.stem}/{person}'
            there.add(subject)
            if not is_wanted(subject, subjects):
                continue
            for number, motion in enumerate(_stretches(track, options)):
                motion = level(motion)
                if options.layout is not None:
                    own = recording.layout
                    names = common_names_of(recording.joint_names, own)
                    motion = in_layout(source, motion, names, layout, True, own)
                clips.append(Clip(f'{subject}/{number}', subject, '', motion))
    check_subjects(subjects, there, sources[0])
    if not clips or kept is None:
        raise ArchiveError(
            f'{", ".join(map(str, sources))}: nobody is seen twice within {options.max_gap_s:g} s'
        )
    summary = write_clips(out, clips, kept, options.rate_hz, 'rosbag')
    return f'{summary}, {late} out-of-order frames dropped{_listed(rejected)}'


def read_recording(source: Path, options: BagOptions) -> Recording:
    """Read a bag's skeletons as they were recorded.

    Raises:
        ArchiveError: if the bag is damaged, lacks the topic or holds something else there.
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
            # A bag need not hold the definitions of all its types.
            types = reader.typestore if kind in reader.typestore.fielddefs else own
            if kind not in types.fielddefs:
                raise ArchiveError(
                    f'{source} does not define {kind}, and no installed {PACKAGE} does: import '
                    'it where the package is built'
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
    except Exception as error:  # whatever rosbags, sqlite and zstd raise on damaged files
        raise ArchiveError(f'{source} is not a readable rosbag2: {error}') from error
    if not recording.tracks:
        why = _listed(recording.rejected)
        raise ArchiveError(f'{source} holds nobody on {connections[0].topic}{why}')
    return recording


def _listed(rejected: Counter[str]) -> str:
    return ''.join(f', {count} x {reason}' for reason, count in rejected.most_common(5))


def _settings(options: BagOptions) -> Settings:
    """Return what messages do not say, with the layout of a file that was named."""
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
        raise InputError('point clouds are read by pointcloud2: pip install it') from error
    return read_points


def _own_types() -> Typestore:
    """Return the types of ROS 2 and of this package, if it is installed with its messages."""
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
    """Choose the topic: the one asked for, or the only one of a type that can be read.

    Returns:
        The source that sends such messages, and the topic's connections.
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
            raise ArchiveError(f'{source} has several topics, name one with --topic: {listed}')
        topic = choice[0] if choice else ''
    if topic not in usable:
        kinds = ', '.join(f'{kind} ({name})' for kind, name in by_kind.items())
        raise ArchiveError(
            f'{source} has no {topic or "topic"} of {kinds}: give --input-type for others; it '
            f'has {listed}'
        )
    return usable[topic], [connection for connection in connections if connection.topic == topic]


def _add(
    source: Path,
    bodies: Bodies,
    settings: Settings,
    options: BagOptions,
    into: Recording,
) -> None:
    """Add what one message says; refuse a topic on which joints or frame change."""
    into.rejected += bodies.rejected
    if not bodies.ids or bodies.stamp_ns is None:
        return
    names, frame_id = bodies.joint_names, bodies.frame_id
    if not into.joint_names:
        into.joint_names, into.frame_id = names, frame_id
        into.layout = settings.layouts.get(bodies.layout) or recognised_layout(names)
    if into.joint_names != names:
        raise ArchiveError(
            f'{source} changes its joints on the way: from {len(into.joint_names)}'
            f' ({into.joint_names[0]}, ...) to {len(names)} ({names[0]}, ...)'
        )
    if into.frame_id != frame_id:
        raise ArchiveError(
            f"{source} changes its frame on the way: from '{into.frame_id}' to '{frame_id}'"
        )
    poses = np.array(bodies.positions, np.float32)
    if bodies.confidence is not None:
        # Written so that NaN counts as not confident.
        poses[~(bodies.confidence >= options.min_confidence)] = np.nan
    for person, pose in zip(bodies.ids, poses, strict=True):
        into.add(person, bodies.stamp_ns, pose)


def _output_layout(source: Path, recording: Recording, options: BagOptions) -> Layout:
    if options.layout is not None:
        return layout_named(options.layout)
    layout = recording.layout
    if layout is not None and layout.joint_names == recording.joint_names:
        return layout
    try:
        return plain_layout(recording.joint_names)
    except ArchiveError as error:
        raise ArchiveError(f'{source}: {error}') from error


def _turn(source: Path, recording: Recording, options: BagOptions) -> Rotation | None:
    """Return what turns the recorded frame level, None if it is."""
    if options.rotation is not None:
        if not np.isfinite(options.rotation).all() or not np.any(options.rotation):
            raise ArchiveError(f'{options.rotation} is not a quaternion')
        return Rotation.from_quat(options.rotation)
    frame = recording.frame_id
    if frame.endswith(('_optical_frame', '_optical')) or _lies(recording):
        raise ArchiveError(
            f"{source} is recorded in frame '{frame}', whose z does not point up: give --optical "
            'for the optical frame of a level camera, or its --rotation X Y Z W'
        )
    return None


def _lies(recording: Recording) -> bool:
    """Whether the people on an Azure Kinect's topic, whose frame is optical, lie on their side."""
    if recording.joint_names != known_layouts()['azure32'].joint_names:
        return False
    poses = np.concatenate([np.stack(track.poses) for track in recording.tracks.values()])
    trunk = poses[:, recording.joint_names.index('NECK')] - poses[:, 0]
    seen = trunk[np.isfinite(trunk).all(axis=-1)]
    if not len(seen):
        return False
    upwards = seen.mean(axis=0)
    return bool(upwards[2] < np.abs(upwards).max())


def level_motion(
    source: Path, recording: Recording, options: BagOptions
) -> Callable[[FloatArray], FloatArray]:
    """Return what turns motion (..., 3) of a recording so that z points up.

    Raises:
        ArchiveError: if z does not, and the options do not say how to turn it.
    """
    turn = _turn(source, recording, options)
    if turn is None:
        return lambda motion: motion
    matrix = turn.as_matrix().T
    return lambda motion: np.asarray(motion @ matrix, np.float32)


def _stretches(track: Track, options: BagOptions) -> Iterator[FloatArray]:
    """Yield the stretches (T, J, 3) of a person without gaps, at the rate wanted."""
    stamps = np.array(track.stamps_ns, np.int64)
    poses = np.stack(track.poses)
    poses[~np.isfinite(poses).all(axis=-1)] = np.nan
    gaps = np.flatnonzero(np.diff(stamps) > options.max_gap_s * 1e9) + 1
    for part in np.split(np.arange(len(stamps)), gaps):
        if len(part) < 2:
            continue
        yield read_at(poses[part], _places(stamps[part], options.rate_hz))


def _places(stamps_ns: NDArray[np.int64], rate_hz: float) -> NDArray[np.float64]:
    """Return where between stamps (T,) the instants of a rate lie, as fractional frames."""
    seconds = (stamps_ns - stamps_ns[0]) / 1e9
    instants = np.arange(int(seconds[-1] * rate_hz + 1e-6) + 1) / rate_hz
    return np.interp(instants, seconds, np.arange(len(seconds), dtype=np.float64))
