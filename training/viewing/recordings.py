"""Opens recordings to play: clips of a motion archive, or all people of a rosbag together."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motion_predictor.archive import MotionArchive, open_archive
from motion_predictor.skeleton import Layout, common_names_of
from motion_predictor.tracking.people import Observation
from motion_predictor_training.data.importers.clips import FloatArray, in_layout

Frames = list[tuple[int, list[Observation]]]
"""Stamps in nanoseconds, each with the people seen at that time."""
START_NS = 1_000_000_000
SIDE_BY_SIDE_M = 1.6


@dataclass(frozen=True)
class Recording:
    """The takes (clips) of a recording, with joints in the requested layout."""

    names: tuple[str, ...]
    frames: Callable[[int], Frames]
    """Function that returns the frames of a take, given its number. The first frame has the stamp
    `START_NS`."""


def open_recording(source: str, layout: Layout, people: int = 1) -> Recording:
    """Open the bundled recording, a motion archive or a rosbag.

    Args:
        source: "bundled", or the path of a motion archive or a rosbag.
        layout: layout to which the joints of the recording are mapped.
        people: number of clips of an archive to play side by side.

    Raises:
        ArchiveError: if the recording cannot be read, or holds no motion to play.
    """
    path = Path(source)
    if path.is_dir() or path.suffix in ('.mcap', '.db3'):
        return _of_bag(path, layout)
    return _of_archive(source, open_archive(source), layout, people)


def _of_archive(source: str, archive: MotionArchive, layout: Layout, people: int) -> Recording:
    names = tuple(name or f'clip {k}' for k, name in enumerate(archive.clip_names))

    def motion(index: int) -> FloatArray:
        own = archive.layout
        common = common_names_of(archive.joint_names, own)
        return in_layout(Path(source), archive.clip(index), common, layout, True, own)

    def frames(index: int) -> Frames:
        chosen = [(index + k) % len(archive) for k in range(people)]
        motions = [motion(k) for k in chosen]
        for place, one in enumerate(motions):
            one[..., 1] += (place - (people - 1) / 2) * SIDE_BY_SIDE_M
        return [
            (
                START_NS + round(t * 1e9 / archive.rate_hz),
                [
                    Observation(names[k], one[t])
                    for k, one in zip(chosen, motions, strict=True)
                    if t < len(one)
                ],
            )
            for t in range(max(map(len, motions)))
        ]

    return Recording(names, frames)


def _of_bag(path: Path, layout: Layout) -> Recording:
    from motion_predictor_training.data.importers.bag_axes import level_motion
    from motion_predictor_training.data.importers.bag_reading import BagOptions, read_recording

    options = BagOptions(layout=layout.name)
    recording = read_recording(path, options)
    turned = level_motion(path, recording, options)
    own, seen = recording.layout, defaultdict(list)
    names = common_names_of(recording.joint_names, own)
    for person, track in recording.tracks.items():
        motion = in_layout(path, turned(np.stack(track.poses)), names, layout, True, own)
        for stamp_ns, pose in zip(track.stamps_ns, motion, strict=True):
            seen[stamp_ns].append(Observation(person, pose))
    first_ns = min(seen)
    frames = [(START_NS + stamp - first_ns, seen[stamp]) for stamp in sorted(seen)]
    return Recording((path.stem,), lambda index: frames)


def choose(names: Sequence[str], wanted: str) -> int:
    """Return the number of a take, given its name or its number as text.

    Raises:
        ValueError: if no take has this name or number.
    """
    if wanted in names:
        return list(names).index(wanted)
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise ValueError(f"none of the {len(names)} clips is named or numbered '{wanted}'")
