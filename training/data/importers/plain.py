"""Imports plain arrays of positions (.npz, .npy), whose format the user describes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motion_predictor.archive import ArchiveError
from motion_predictor.skeleton import Layout, common_names_of
from motion_predictor_training.data.importers.clips import (
    Clip,
    check_subjects,
    in_layout,
    is_wanted,
    layout_named,
    plain_layout,
    write_clips,
    z_up,
)


@dataclass(frozen=True)
class PlainFormat:
    """The user's description of the format of the files."""

    rate_hz: float
    layout: str | None = None
    """Layout of the archive to write. Without `joint_names`, the files have the same layout."""
    joint_names: Sequence[str] | None = None
    """Names of the J joints in the files, in order, if they differ from those of the layout."""
    key: str | None = None
    """Name of the array to read. Needed only if a file has several arrays that could be
    positions."""
    scale_to_metres: float = 1.0
    up: str = 'z'
    zeros_are_missing: bool = False
    """Whether a position of exactly 0, 0, 0 means that the joint was not measured."""


def import_plain(
    sources: Sequence[Path], form: PlainFormat, subjects: Sequence[str] | None, out: Path
) -> str:
    """Write an archive: an array (T, J, 3) becomes one clip, an array (N, T, J, 3) N clips.

    Joints with NaN count as not measured. The subject of a clip is its entry in the array
    `subject` (N,), or else the name of the file. The function returns a line that summarises the
    archive.

    Raises:
        ArchiveError: if a file is damaged, or its arrays do not fit the description in `form`.
    """
    own, names = _joints(form)
    layout = layout_named(form.layout) if form.layout else own
    clips: list[Clip] = []
    there: set[str] = set()
    for source in sources:
        arrays = read_arrays(source, None if form.key is None else (form.key, 'subject'))
        positions = _positions(source, arrays, form.key, len(own.joints))
        batch = positions[None] if positions.ndim == 3 else positions
        people = _subjects(source, arrays, len(batch))
        there.update(people)
        for index, (raw, subject) in enumerate(zip(batch, people, strict=True)):
            if not is_wanted(subject, subjects):
                continue
            missing = ~np.isfinite(raw).all(axis=-1)
            if form.zeros_are_missing:
                missing |= (raw == 0).all(axis=-1)
            motion = z_up(raw.astype(np.float32) * np.float32(form.scale_to_metres), form.up)
            motion[missing] = np.nan
            if layout is not own:
                motion = in_layout(source, motion, names, layout, make_missing=True)
            name = source.stem if positions.ndim == 3 else f'{source.stem}/{index}'
            clips.append(Clip(name, subject, '', motion))
    check_subjects(subjects, there, sources[0])
    return write_clips(out, clips, layout, form.rate_hz, 'npz')


def _joints(form: PlainFormat) -> tuple[Layout, list[str]]:
    """Return the layout of the positions in the files, and the common names of the joints."""
    if form.joint_names is None:
        if form.layout is None:
            raise ArchiveError(
                'the joints are not known: give --layout NAME or --joint-names NAME ...'
            )
        layout = layout_named(form.layout)
        return layout, [layout.common_name(joint) for joint in layout.joints]
    return plain_layout(form.joint_names), common_names_of(form.joint_names, None)


def read_arrays(
    path: Path, wanted: Collection[str] | None = None
) -> dict[str, NDArray[np.generic]]:
    """Read arrays of an .npz, or the only array of an .npy, as `positions`.

    Pickled objects are refused.

    Args:
        path: file to read.
        wanted: names of the arrays to read from an .npz. With None, all arrays are read.

    Raises:
        ArchiveError: if the file is missing or damaged. An ArchiveError has a message of one
            sentence.
    """
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return {'positions': content}
        with content:
            names = [n for n in content.files if wanted is None or n in wanted]
            return {name: content[name] for name in names}
    except Exception as error:  # damaged files raise exceptions of many types
        raise ArchiveError(f'{path} is not a readable .npz or .npy: {error}') from error


def array_names(path: Path) -> list[str]:
    """Return the names of the arrays in an .npz.

    Raises:
        ArchiveError: if the file is not an .npz. An ArchiveError has a message of one sentence.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            return list(content.files)
    except Exception as error:  # damaged files raise exceptions of many types
        raise ArchiveError(f'{path} is not a readable .npz: {error}') from error


def _positions(
    source: Path, arrays: dict[str, NDArray[np.generic]], key: str | None, joints: int
) -> NDArray[np.generic]:
    if key is None:
        likely = [n for n, a in arrays.items() if a.ndim in (3, 4) and a.dtype.kind in 'fiu']
        if len(likely) != 1:
            there = ', '.join(f'{name} {array.shape}' for name, array in arrays.items())
            raise ArchiveError(
                f'{source}: choose with --key which of its arrays holds the positions: {there}'
            )
        key = likely[0]
    if key not in arrays:
        raise ArchiveError(f'{source} has no array {key}: it has {", ".join(array_names(source))}')
    positions = arrays[key]
    fits = positions.ndim in (3, 4) and positions.shape[-2:] == (joints, 3)
    if not fits or positions.dtype.kind not in 'fiu' or not positions.size:
        raise ArchiveError(
            f'{source} holds {key} of shape {positions.shape} and type {positions.dtype}, '
            f'expected numbers (frames, {joints}, 3) or (clips, frames, {joints}, 3)'
        )
    return positions


def _subjects(source: Path, arrays: dict[str, NDArray[np.generic]], clips: int) -> list[str]:
    named = arrays.get('subject')
    if named is None:
        return [source.stem] * clips
    if named.shape not in ((), (clips,)):
        raise ArchiveError(f'{source} holds subject of shape {named.shape}, expected ({clips},)')
    return [str(entry) for entry in np.broadcast_to(named, clips)]
