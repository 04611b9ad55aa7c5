"""Imports BVH motion capture of any rig, and maps it to a layout by joint names.

The parser is our own because no library is good enough. The libraries pybvh and bvhTools ignore
position channels of joints, which many rigs have. The library bvhio never returns from a truncated
file. The library bvh only splits the text into words.

BVH has the following conventions. A joint is rotated about one axis after another, in the order of
its channels. Each rotation also turns the axes for the rotations after it (intrinsic rotations).
If a joint has position channels, these replace the OFFSET of the joint. Angles are in degrees. A
BVH file states neither its unit of length nor which axis points up.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.spatial.transform import Rotation

from motion_predictor.archive import ArchiveError
from motion_predictor.common.installed import installed
from motion_predictor.common.problems import first_problem
from motion_predictor_training.data.importers.clips import (
    Clip,
    at_rate,
    check_subjects,
    in_layout,
    is_wanted,
    layout_named,
    write_clips,
    z_up,
)

AXES = {'X': 0, 'Y': 1, 'Z': 2}
CHANNEL = re.compile(r'([XYZ])(position|rotation)', re.IGNORECASE)


class RigMapping(BaseModel):
    """Says how to read BVH files of a rig. Each file in config/bvh contains a rig mapping."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    layout: str = 'smpl22'
    """Layout of the archive to write."""
    up: Literal['y', 'z'] = 'y'
    """Axis that points up in the BVH files."""
    scale_to_metres: Annotated[float, Field(gt=0)]
    """Length of one unit of the BVH files, in metres."""
    skip_frames: Annotated[int, Field(ge=0)] = 0
    """Number of frames to leave out at the start of every file, such as a T-pose."""
    make_missing: bool = False
    """Whether joints that are not in `joints` are computed from other joints by the recipes of the
    layout. If not, such joints are missing."""
    subject: str = ''
    """Regular expression that is searched in the path of a file. Its first group is the name of
    the person."""
    category: str = ''
    """Regular expression that is searched in the path of a file. Its first group is the kind of
    motion."""
    joints: Annotated[dict[str, str], Field(min_length=1)]
    """Name of a joint in the rig, by its common name. The end site below a joint NAME is called
    NAME_end."""


@dataclass(frozen=True)
class BvhMotion:
    """The motion of a BVH file, in the units and axes of the file."""

    positions: NDArray[np.float64]  # (T, J, 3)
    names: list[str]
    rate_hz: float


@dataclass
class _Joint:
    name: str
    parent: int
    offset: list[float]
    channels: list[str]


def import_bvh(
    sources: Sequence[Path],
    mapping: RigMapping,
    subjects: Sequence[str] | None,
    rate_hz: float,
    out: Path,
) -> str:
    """Write an archive with one clip for each BVH file, and for each one in given folders.

    Returns:
        A line that summarises the archive.

    Raises:
        ArchiveError: if a BVH file is damaged or lacks joints of the mapping.
    """
    layout = layout_named(mapping.layout)
    known = {layout.common_name(joint) for joint in layout.joints}
    if unknown := [name for name in mapping.joints if name not in known]:
        raise ArchiveError(
            f'the mapping names the joint {", ".join(unknown)}, which {layout.name} does not have'
        )
    files = [f for s in sources for f in (sorted(s.rglob('*.bvh')) if s.is_dir() else [s])]
    if not files:
        raise ArchiveError(f'there is no .bvh file in {", ".join(map(str, sources))}')
    people = [_found(mapping.subject, file) for file in files]
    check_subjects(subjects, people, sources[0])
    clips = []
    for file, subject in zip(files, people, strict=True):
        if not is_wanted(subject, subjects):
            continue
        bvh = read_bvh(file)
        if missing := [name for name in mapping.joints.values() if name not in bvh.names]:
            raise ArchiveError(
                f'{file} has no joint {", ".join(missing)}: it has {", ".join(bvh.names)}'
            )
        if twice := [name for name in mapping.joints.values() if bvh.names.count(name) > 1]:
            raise ArchiveError(f'{file} has several joints named {", ".join(twice)}')
        if len(bvh.positions) <= mapping.skip_frames:
            raise ArchiveError(
                f'{file} has only {len(bvh.positions)} frames, and the mapping skips that many'
            )
        chosen = [bvh.names.index(name) for name in mapping.joints.values()]
        metres = bvh.positions[mapping.skip_frames :, chosen] * mapping.scale_to_metres
        motion = z_up(metres.astype(np.float32), mapping.up)
        motion = at_rate(motion, bvh.rate_hz, rate_hz)
        motion = in_layout(file, motion, list(mapping.joints), layout, mapping.make_missing)
        clips.append(Clip(file.stem, subject, _found(mapping.category, file), motion))
    return write_clips(out, clips, layout, rate_hz, 'bvh')


def _found(pattern: str, file: Path) -> str:
    match = re.search(pattern, file.as_posix()) if pattern else None
    return (match[1] or '') if match else ''


def read_mapping(name_or_path: str) -> RigMapping:
    """Read a rig mapping from a file, or the mapping of this name that ships with the package.

    Raises:
        ArchiveError: if there is no such mapping, or the mapping is invalid. An
            ArchiveError has a message of one sentence.
    """
    shipped = installed('config', 'bvh')
    path = Path(name_or_path)
    if not path.suffix:
        path = shipped / f'{name_or_path}.yaml'
        if not path.is_file():
            names = ', '.join(sorted(file.stem for file in shipped.glob('*.yaml')))
            raise ArchiveError(
                f"there is no mapping '{name_or_path}': give a .yaml file, or one of {names}"
            )
    try:
        mapping = RigMapping.model_validate(yaml.safe_load(path.read_text()))
        for pattern in filter(None, (mapping.subject, mapping.category)):
            if not re.compile(pattern).groups:
                raise ArchiveError(
                    f'{path}: the pattern {pattern} needs a group (...) for the name'
                )
    except (OSError, yaml.YAMLError, UnicodeDecodeError, re.error) as error:
        raise ArchiveError(f'cannot read the mapping {path}: {error}') from error
    except ValidationError as error:
        problem = first_problem(error)
        raise ArchiveError(f'{path} is not a valid mapping: {problem}') from error
    return mapping


def read_bvh(path: Path) -> BvhMotion:
    """Read the positions of all joints and end sites in all frames of a BVH file.

    Raises:
        ArchiveError: if the file is missing, damaged or empty. An ArchiveError has a message of
            one sentence.
    """
    try:
        text = path.read_text(encoding='utf-8-sig', errors='replace')
        parts = re.split(r'^\s*MOTION\s*$', text, maxsplit=1, flags=re.MULTILINE)
        joints = _parse_joints(iter(re.sub('([{}])', r' \1 ', parts[0]).split()))
        count, rate_hz, body = _parse_motion(parts[-1])
        values = np.array(body.split(), np.float64)
    except (OSError, ValueError, StopIteration) as error:
        reason = str(error) or 'it ends too early'
        raise ArchiveError(f'{path} is not a readable BVH file: {reason}') from error
    channels = sum(len(joint.channels) for joint in joints)
    if values.size != count * channels or not np.isfinite(values).all():
        raise ArchiveError(
            f'{path} holds {values.size} numbers, expected {count} frames '
            f'of {channels} finite values'
        )
    positions = _positions(joints, values.reshape(count, channels))
    return BvhMotion(positions, [joint.name for joint in joints], rate_hz)


def _parse_joints(words: Iterator[str]) -> list[_Joint]:
    """Parse the hierarchy of a BVH file. Return joints and end sites, parents first."""
    joints: list[_Joint] = []
    open_joints = [-1]
    for word in words:
        key, parent = word.upper(), open_joints[-1]
        if key in ('ROOT', 'JOINT', 'END'):
            name = ' '.join(iter(words.__next__, '{'))
            if key == 'END':  # end sites have no name of their own
                name = f'{joints[parent].name}_end'
            joints.append(_Joint(name, parent, [0.0, 0.0, 0.0], []))
            open_joints.append(len(joints) - 1)
        elif key == '}' and parent >= 0:
            open_joints.pop()
        elif key == 'OFFSET' and parent >= 0:
            joints[parent].offset = [float(next(words)) for _ in range(3)]
        elif key == 'CHANNELS' and parent >= 0:
            joints[parent].channels = [next(words) for _ in range(int(next(words)))]
        elif key != 'HIERARCHY':
            raise ValueError(f"'{word}' is unexpected in the hierarchy")
    if len(open_joints) != 1 or not joints:
        raise ValueError('its hierarchy is incomplete')
    for channel in (channel for joint in joints for channel in joint.channels):
        if CHANNEL.fullmatch(channel) is None:
            raise ValueError(f"'{channel}' is not a channel")
    return joints


def _parse_motion(text: str) -> tuple[int, float, str]:
    """Return the number of frames, the frame rate in Hz, and the text of all values."""
    header = re.match(r'\s*Frames:\s*(\d+)\s+Frame\s+Time:\s*(\S+)(.*)', text, re.DOTALL | re.I)
    if header is None:
        raise ValueError('the lines Frames: and Frame Time: are missing after MOTION')
    count, seconds = int(header[1]), float(header[2])
    if not count or not 1e-3 <= seconds < np.inf:
        raise ValueError(f'it states {count} frames of {seconds} s each')
    rate_hz = 1 / seconds
    if abs(rate_hz - round(rate_hz)) < 1e-4 * rate_hz:  # a frame time of 0.0083333 means 120 Hz
        rate_hz = float(round(rate_hz))
    return count, rate_hz, header[3]


def _positions(joints: Sequence[_Joint], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the positions (T, J, 3) of all joints from the values of channels (T, channels)."""
    places: list[NDArray[np.float64]] = []
    turns: list[Rotation] = []
    column = 0
    for joint in joints:
        place = np.tile(joint.offset, (len(values), 1))
        order, angles = '', []
        for channel in joint.channels:
            axis = channel[0].upper()
            if channel[1:].lower() == 'position':
                place[:, AXES[axis]] = values[:, column]
            else:
                order += axis
                angles.append(values[:, column])
            column += 1
        turn = _rotation(order, angles, len(values))
        if joint.parent >= 0:
            place = places[joint.parent] + turns[joint.parent].apply(place)
            turn = turns[joint.parent] * turn
        places.append(place)
        turns.append(turn)
    return np.stack(places, axis=1)


def _rotation(order: str, angles: list[NDArray[np.float64]], frames: int) -> Rotation:
    """Combine rotations about successive axes, with angles in degrees (frames,).

    Each rotation also turns the axes for the rotations after it (intrinsic rotations).
    """
    turn = Rotation.identity(frames)
    for axis, angle in zip(order, angles, strict=True):
        turn = turn * Rotation.from_euler(axis, angle, degrees=True)
    return turn
