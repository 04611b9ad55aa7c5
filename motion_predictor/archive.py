"""The motion archive: an .npz file with clips of human motion, read by training and replay."""

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion_predictor.common.files import written_whole
from motion_predictor.common.installed import installed
from motion_predictor.skeleton import Layout, common_names_of, known_layouts

SCALE_M = 0.00025
"""Metres per step of the stored integers. Positions up to 8 m from the origin can be stored."""

REQUIRED = ('positions', 'clip_offsets', 'fps', 'joint_names', 'parents')
FORMS = {
    'positions': (3, 'iuf'),
    'scale': (0, 'iuf'),
    'clip_offsets': (1, 'iu'),
    'fps': (0, 'iuf'),
    'joint_names': (1, 'U'),
    'parents': (1, 'iu'),
    'valid': (2, 'b'),
    'clip_names': (1, 'U'),
    'subject': (1, 'Uiu'),
    'category': (1, 'U'),
}
"""Number of dimensions and allowed kinds of numpy types, for every field of the file."""
LONG = ('positions', 'valid')
"""Fields with an entry per frame. To save memory, these fields are read from disk when needed."""


class ArchiveError(ValueError):
    """A motion archive is missing, damaged, empty or malformed."""


@dataclass(frozen=True)
class MotionArchive:
    """Clips of human motion, right-handed, z up (REP-103).

    Positions in metres are `positions * scale`. A text field, such as `clip_names`, has one entry
    per clip. The entries are empty if the file lacks the field.
    """

    positions: NDArray[np.generic]  # (N, J, 3), all clips one after the other
    scale: float
    clip_offsets: NDArray[np.int64]  # (clips + 1,), the first frame of each clip, then N
    rate_hz: float
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    valid: NDArray[np.bool_] | None  # (N, J), whether a joint was measured; None: all were
    clip_names: tuple[str, ...]
    subjects: tuple[str, ...]
    categories: tuple[str, ...]
    fingerprint: str
    """The first 16 hexadecimal characters of the file's SHA-256."""

    def __len__(self) -> int:
        return len(self.clip_offsets) - 1

    def clip(self, index: int) -> NDArray[np.float32]:
        """Return one clip (T, J, 3), metres. Joints that were not measured are NaN."""
        part = slice(*self.clip_offsets[index : index + 2])
        motion = self.positions[part].astype(np.float32) * np.float32(self.scale)
        if self.valid is not None:
            motion[~self.valid[part]] = np.nan
        return motion

    @property
    def layout(self) -> Layout:
        """The layout of the positions: a known layout with these joints, or else a new layout."""
        for layout in known_layouts().values():
            if layout.joint_names == self.joint_names and layout.parents == self.parents:
                return layout
        names = self.joint_names
        parents = (None if p < 0 else names[p] for p in self.parents)
        return Layout(
            name='archive',
            joints=dict(zip(names, parents, strict=True)),
            common_names=dict(zip(names, common_names_of(names, None), strict=True)),
        )


def load_archive(path: Path) -> MotionArchive:
    """Read a motion archive.

    Raises:
        ArchiveError: if the file is not a valid motion archive. The error message is one sentence.
    """
    if not path.is_file():
        raise ArchiveError(f'there is no motion archive {path}')
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {
                name: _mapped(path, name) if name in LONG else file[name] for name in file.files
            }
    except Exception as error:  # damaged files cause errors of many kinds
        raise ArchiveError(f'{path} is not a readable .npz: {error}') from error
    if missing := [name for name in REQUIRED if name not in content]:
        raise ArchiveError(f'{path} is no motion archive: it lacks {", ".join(missing)}')
    for key, (dimensions, kinds) in FORMS.items():
        value = content.get(key)
        if value is not None and (value.ndim != dimensions or value.dtype.kind not in kinds):
            raise ArchiveError(f'{path} holds {key} of shape {value.shape} and type {value.dtype}')
    positions, offsets = content['positions'], content['clip_offsets'].astype(np.int64)
    names = tuple(str(name) for name in content['joint_names'])
    if positions.shape[1:] != (len(names), 3):
        raise ArchiveError(
            f'{path} holds positions of shape {positions.shape}, expected (N, {len(names)}, 3)'
        )
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(positions):
        raise ArchiveError(
            f'{path} has clip_offsets that do not go from 0 to its {len(positions)} frames'
        )
    if (np.diff(offsets) <= 0).any():
        raise ArchiveError(f'{path} has an empty clip: clip_offsets must rise')
    if len(names) < 2 or len(set(names)) != len(names):
        raise ArchiveError(f'{path} needs two joints or more, with different names')
    parents = tuple(int(parent) for parent in content['parents'])
    if len(parents) != len(names):
        raise ArchiveError(f'{path} has {len(parents)} parents for {len(names)} joints')
    if parents[0] != -1 or not all(0 <= p < joint for joint, p in enumerate(parents[1:], 1)):
        raise ArchiveError(
            f'{path} has parents that form no tree: the root comes first with -1, and '
            'every parent before its children'
        )
    clips = len(offsets) - 1
    shapes = dict.fromkeys(('clip_names', 'subject', 'category'), (clips,))
    for key, shape in (shapes | {'valid': positions.shape[:2]}).items():
        if key in content and content[key].shape != shape:
            raise ArchiveError(
                f'{path} holds {key} of shape {content[key].shape}, expected {shape}'
            )
    rate_hz = float(content['fps'])
    if not 0 < rate_hz <= 1000:
        raise ArchiveError(
            f'{path} states {rate_hz} frames per second, expected more than 0 and at most 1000'
        )

    scale = float(content.get('scale', 1.0))
    if not 0 < scale < np.inf:
        raise ArchiveError(f'{path} states a scale of {scale}, expected a positive number')

    def text(key: str) -> tuple[str, ...]:
        return tuple(str(entry) for entry in content.get(key, [''] * clips))

    return MotionArchive(
        positions=positions,
        scale=scale,
        clip_offsets=offsets,
        rate_hz=rate_hz,
        joint_names=names,
        parents=parents,
        valid=content.get('valid'),
        clip_names=text('clip_names'),
        subjects=text('subject'),
        categories=text('category'),
        fingerprint=_fingerprint(path),
    )


def open_archive(name_or_path: str) -> MotionArchive:
    """Load a motion archive by its path. The name "bundled" loads the archive in the package.

    The motion in the bundled archive was generated by a model.

    Raises:
        ArchiveError: if the file is not a valid motion archive.
    """
    if name_or_path == 'bundled':
        return load_archive(installed('assets', 'demo_clip.npz'))
    return load_archive(Path(name_or_path))


def _mapped(path: Path, name: str) -> NDArray[Any]:
    """Return one array of an .npz file, mapped into memory from an unpacked temporary file."""
    with (
        zipfile.ZipFile(path) as archive,
        archive.open(f'{name}.npy') as packed,
        tempfile.NamedTemporaryFile(suffix='.npy') as file,
    ):
        shutil.copyfileobj(packed, file)
        file.flush()
        # The mapping stays valid after the temporary file is removed.
        return np.asarray(np.load(file.name, mmap_mode='r'))


def _fingerprint(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()[:16]


def save_archive(
    path: Path,
    clips: Sequence[NDArray[np.floating]],
    layout: Layout,
    rate_hz: float,
    text: Mapping[str, Sequence[str]],
) -> None:
    """Write a motion archive. If anything fails, no file is written.

    Positions are stored as int16 in steps of a quarter millimetre. If a position is too far from
    the origin for int16, all positions are stored as float32.

    Args:
        path: path of the file to write. The folder of the file is created if it does not exist.
        clips: one array per clip, (T, J, 3) metres, z up. A joint with values that are not finite
            counts as not measured.
        layout: names and parents of the J joints.
        rate_hz: frames per second of every clip.
        text: text fields by name (clip_names, subject, category, ...), with one entry per clip.

    Raises:
        ArchiveError: if there are no clips, a clip does not fit the layout, a text field does not
            have one entry per clip, or the file cannot be written.
    """
    joints = len(layout.joints)
    if not clips:
        raise ArchiveError(f'there is no motion to write to {path}')
    for clip in clips:
        if clip.ndim != 3 or clip.shape[1:] != (joints, 3) or not len(clip):
            raise ArchiveError(
                f'a clip has the shape {clip.shape}, expected (frames, {joints}, 3) as in '
                f'{layout.name}'
            )
    if wrong := [field for field, entries in text.items() if len(entries) != len(clips)]:
        raise ArchiveError(f'{wrong[0]} must have one entry for each of {len(clips)} clips')
    offsets = np.cumsum([0, *map(len, clips)])
    valid = np.empty((offsets[-1], joints), np.bool_)
    farthest = 0.0
    for clip, start in zip(clips, offsets, strict=False):
        seen = np.isfinite(clip).all(axis=-1)
        valid[start : start + len(clip)] = seen
        farthest = max(farthest, float(np.abs(clip[seen]).max(initial=0)))
    small = farthest / SCALE_M <= np.iinfo(np.int16).max
    scale = SCALE_M if small else 1.0
    positions = np.empty((offsets[-1], joints, 3), np.int16 if small else np.float32)
    for clip, start in zip(clips, offsets, strict=False):  # one clip at a time, to save memory
        part = slice(start, start + len(clip))
        steps = np.where(valid[part, :, None], clip, 0) / scale
        positions[part] = np.round(steps) if small else steps
    content: dict[str, Any] = {
        'positions': positions,
        'scale': np.array(scale),
        'fps': np.array(rate_hz),
        'joint_names': np.array(layout.joint_names),
        'parents': np.array(layout.parents),
        'clip_offsets': offsets,
        **{field: np.array(entries, np.str_) for field, entries in text.items()},
    }
    if not valid.all():
        content['valid'] = valid
    try:
        # numpy gets an open file, because numpy adds a suffix to a path.
        with written_whole(path) as draft, draft.open('wb') as file:
            np.savez_compressed(file, **content)
    except OSError as error:
        raise ArchiveError(f'cannot write {path}: {error}') from error
