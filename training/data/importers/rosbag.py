"""Imports a skeleton topic of a rosbag2 (sqlite3 or MCAP) as clips of a motion archive.

The frames of a person become several clips if there are gaps in time. Frames are resampled to a
constant rate by their time stamps of capture.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motion_predictor.archive import ArchiveError
from motion_predictor.skeleton import Layout, common_names_of
from motion_predictor_training.data.importers.bag_axes import level_motion
from motion_predictor_training.data.importers.bag_reading import (
    BagOptions,
    Frames,
    Recording,
    listed,
    read_recording,
)
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


def import_rosbag(
    sources: Sequence[Path], options: BagOptions, subjects: Sequence[str] | None, out: Path
) -> str:
    """Write the people of bags to an archive, and return a line that summarises the archive.

    The subject of a clip is named <bag>/<person>.

    Raises:
        ArchiveError: if a bag is damaged, lacks the topic, or z of its frame does not point up.
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
            raise ArchiveError(
                f'{source} has other joints than {sources[0]}: give --layout to map both to one'
            )
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
            f'nobody in {", ".join(map(str, sources))} is seen twice within '
            f'{options.max_gap_s:g} s'
        )
    summary = write_clips(out, clips, kept, options.rate_hz, 'rosbag')
    return f'{summary}, {late} out-of-order frames dropped{listed(rejected)}'


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


def _stretches(track: Frames, options: BagOptions) -> Iterator[FloatArray]:
    """Yield the gapless parts (T, J, 3) of a person's motion, at the rate of the archive."""
    stamps = np.array(track.stamps_ns, np.int64)
    poses = np.stack(track.poses)
    poses[~np.isfinite(poses).all(axis=-1)] = np.nan
    gaps = np.flatnonzero(np.diff(stamps) > options.max_gap_s * 1e9) + 1
    for part in np.split(np.arange(len(stamps)), gaps):
        if len(part) < 2:
            continue
        yield read_at(poses[part], _places(stamps[part], options.rate_hz))


def _places(stamps_ns: NDArray[np.int64], rate_hz: float) -> NDArray[np.float64]:
    """Return where the frames of a constant rate lie among the recorded frames.

    Each result is a fractional number of a recorded frame: 2.5 is halfway between frames 2 and 3.

    Args:
        stamps_ns: time stamps of the recorded frames (T,), nanoseconds.
        rate_hz: the constant rate, frames per second.
    """
    seconds = (stamps_ns - stamps_ns[0]) / 1e9
    instants = np.arange(int(seconds[-1] * rate_hz + 1e-6) + 1) / rate_hz
    return np.interp(instants, seconds, np.arange(len(seconds), dtype=np.float64))
