"""The motion archive: one .npz of clips of human motion, the only format that training and replay read."""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motion_predictor.skeleton import Layout, known_layouts

REQUIRED = ('positions', 'clip_offsets', 'fps', 'joint_names', 'parents')


class ArchiveError(ValueError):
    """A motion archive is missing, damaged, empty or malformed."""


@dataclass(frozen=True)
class MotionArchive:
    """Clips of motion: metres = positions * scale, right-handed, z up (REP-103).

    Text fields hold one entry per clip; an archive that lacks them has empty strings.
    """

    positions: NDArray[np.generic]  # (N, J, 3) all clips, one after the other
    scale: float
    clip_offsets: NDArray[np.int64]  # (clips + 1,)
    rate_hz: float
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    valid: NDArray[np.bool_] | None  # (N, J) joint was measured in that frame; None = all
    clip_names: tuple[str, ...]
    subjects: tuple[str, ...]
    categories: tuple[str, ...]
    fingerprint: str
    """SHA-256 of the file, 16 characters."""

    def __len__(self) -> int:
        return len(self.clip_offsets) - 1

    def clip(self, index: int) -> NDArray[np.float32]:
        """Return one clip (T, J, 3) in metres; joints that were not measured are NaN."""
        part = slice(*self.clip_offsets[index : index + 2])
        motion = self.positions[part].astype(np.float32) * np.float32(self.scale)
        if self.valid is not None:
            motion[~self.valid[part]] = np.nan
        return motion

    @property
    def layout(self) -> Layout:
        """The archive's skeleton: a known layout with these joints, or one of its own."""
        for layout in known_layouts().values():
            if layout.joint_names == self.joint_names and layout.parents == self.parents:
                return layout
        names = self.joint_names
        parents = (None if p < 0 else names[p] for p in self.parents)
        return Layout(name='archive', joints=dict(zip(names, parents, strict=True)))


def load_archive(path: Path) -> MotionArchive:
    """Read a motion archive.

    Raises:
        ArchiveError: in one sentence, if the file is not a sound motion archive.
    """
    if not path.is_file():
        raise ArchiveError(f'there is no motion archive {path}')
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ArchiveError(f'{path} is not a readable .npz: {error}') from error
    if missing := [name for name in REQUIRED if name not in content]:
        raise ArchiveError(f'{path} is no motion archive: it lacks {", ".join(missing)}')
    positions, offsets = content['positions'], content['clip_offsets']
    names = tuple(str(name) for name in content['joint_names'])
    if positions.ndim != 3 or positions.shape[1:] != (len(names), 3):
        raise ArchiveError(
            f'{path} holds positions of shape {positions.shape}, expected (N, {len(names)}, 3)'
        )
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(positions):
        raise ArchiveError(f'{path} has clip_offsets that do not span its {len(positions)} frames')
    if (np.diff(offsets) <= 0).any():
        raise ArchiveError(f'{path} has clips of no frames')
    if len(content['parents']) != len(names):
        raise ArchiveError(f'{path} has {len(content["parents"])} parents for {len(names)} joints')
    rate_hz = float(content['fps'])
    if not 0 < rate_hz <= 1000:
        raise ArchiveError(f'{path} states {rate_hz} frames per second')

    def text(key: str) -> tuple[str, ...]:
        clips = len(offsets) - 1
        return tuple(str(entry) for entry in content.get(key, [''] * clips))

    return MotionArchive(
        positions=positions,
        scale=float(content.get('scale', 1.0)),
        clip_offsets=offsets.astype(np.int64),
        rate_hz=rate_hz,
        joint_names=names,
        parents=tuple(int(parent) for parent in content['parents']),
        valid=content.get('valid'),
        clip_names=text('clip_names'),
        subjects=text('subject'),
        categories=text('category'),
        fingerprint=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
    )
