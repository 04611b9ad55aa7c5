"""Imports AMASS, either as positions of joints or as raw parameters of body models.

All of AMASS is in metres with z up. The archives that are written have the layout smpl22. There
are three kinds of sources:

- `data_3d_amass.npz` and `data_3d_amass_test.npz`, which TransFusion reads. Each file has the
  array `arr_0` (windows, 150, 22, 3) at 60 Hz. Each window of the array becomes a clip.

- Folders that BeLFusion's preprocessing writes, one for each data set. A folder has poses.zarr
  (N, 22, 3) at 60 Hz, and poses_index.zarr (files, 2) with the first frame and end of each file.

- AMASS as it is downloaded (SMPL+H or SMPL-X): <data set>/<subject>/<recording>.npz. Each file has
  poses (T, 156 or 165) in axis-angle form, trans (T, 3), betas (the body shape), gender and the
  frame rate. The package smplx computes the joints with a body model, which users download from
  the SMPL site. For SMPL+H, smplx uses only 10 of the 16 betas.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray

from motion_predictor.archive import ArchiveError
from motion_predictor_training.data.importers.clips import (
    Clip,
    FloatArray,
    at_rate,
    check_subjects,
    is_wanted,
    layout_named,
    write_clips,
)
from motion_predictor_training.data.importers.plain import array_names, read_arrays

RATE_HZ = 60.0
JOINTS = 22
NEAR_M = 0.3
"""Positions are relative to the pelvis if both hips are always nearer to the origin than this."""
BATCH = 512

TEST_WINDOWS = {
    'Transitions': 233,
    'SSM': 12,
    'DFaust': 97,
    'DanceDB': 5979,
    'GRAB': 4116,
    'HUMAN4D': 1880,
    'SOMA': 410,
}
"""Number of windows of each data set in data_3d_amass_test.npz, in the order of the file."""

MODEL_OF_COLUMNS = {156: 'smplh', 165: 'smplx'}
"""Body model by the number of values of a pose, which is 3 for each of 52 or 55 joints."""


def import_amass(
    source: Path,
    subjects: Sequence[str] | None,
    out: Path,
    body_models: Path | None = None,
    rate_hz: float = RATE_HZ,
) -> str:
    """Write motion from AMASS to an archive, and return a line that summarises the archive.

    Args:
        source: file or folder of one of the three kinds that the module describes.
        subjects: data sets (like CMU) and people (like CMU/01) to keep. If no names are given,
            everybody is kept.
        out: archive to write.
        body_models: folder with files like smplh/SMPLH_MALE.pkl or smplx/SMPLX_NEUTRAL.npz. Only
            raw recordings need this folder.
        rate_hz: frames per second of the archive to write.

    Raises:
        ArchiveError: if a file is damaged or of another kind, or a body model or package is
            missing.
    """
    if not source.exists():
        raise ArchiveError(f'there is no file or folder {source}')
    if zarrs := sorted(source.glob('**/poses.zarr')):
        clips = _of_zarr(source, zarrs, subjects, rate_hz)
    elif source.is_dir() or 'arr_0' not in array_names(source):
        clips = _of_raw(source, subjects, body_models, rate_hz)
    else:
        clips = _of_windows(source, subjects, rate_hz)
    return write_clips(out, clips, layout_named('smpl22'), rate_hz, 'amass')


def _of_windows(source: Path, subjects: Sequence[str] | None, rate_hz: float) -> list[Clip]:
    """Read an array of windows. In the test file, a window is named after its data set."""
    windows = read_arrays(source, ['arr_0'])['arr_0']
    _check(source, 'arr_0', windows, 4)
    relative = _is_relative(windows)
    names = ['amass'] * len(windows)
    if len(windows) == sum(TEST_WINDOWS.values()):
        names = [name for name, count in TEST_WINDOWS.items() for _ in range(count)]
    check_subjects(subjects, names, source)
    return [
        Clip(f'{name}/{index}', name, name, at_rate(_in_world(window, relative), RATE_HZ, rate_hz))
        for index, (name, window) in enumerate(zip(names, windows, strict=True))
        if is_wanted(name, subjects)
    ]


def _of_zarr(
    source: Path, folders: Sequence[Path], subjects: Sequence[str] | None, rate_hz: float
) -> list[Clip]:
    """Read data sets that were preprocessed into zarr arrays."""
    zarr = _optional('zarr', 'to read preprocessed AMASS folders')
    check_subjects(subjects, [folder.parent.name for folder in folders], source)
    clips = []
    for folder in folders:
        name = folder.parent.name
        if not is_wanted(name, subjects):
            continue
        try:
            poses = np.asarray(zarr.open(str(folder), mode='r')[:])
            index = np.asarray(zarr.open(str(folder.parent / 'poses_index.zarr'), mode='r')[:])
        except Exception as error:  # the types of zarr's errors depend on its version
            raise ArchiveError(f'{folder.parent} cannot be read: {error}') from error
        _check(folder, 'poses', poses, 3)
        relative = _is_relative(poses)
        if index.ndim != 2 or index.shape[1] != 2 or not (index >= 0).all():
            raise ArchiveError(
                f'{folder.parent} holds poses_index of shape {index.shape}, expected (files, 2)'
            )
        for number, (start, end) in enumerate(index):
            if not start < end <= len(poses):
                raise ArchiveError(
                    f'{folder.parent} says that recording {number} has the frames {start} '
                    f'to {end}, but it has {len(poses)} frames in all'
                )
            motion = at_rate(_in_world(poses[start:end], relative), RATE_HZ, rate_hz)
            clips.append(Clip(f'{name}/{number}', name, name, motion))
    return clips


def _check(source: Path, name: str, positions: NDArray[np.generic], dimensions: int) -> None:
    fits = positions.ndim == dimensions and positions.shape[-2:] == (JOINTS, 3)
    if not fits or positions.dtype.kind != 'f' or not positions.size:
        raise ArchiveError(
            f'{source} holds {name} of shape {positions.shape} and type {positions.dtype}, '
            f'expected floating-point positions of {JOINTS} joints'
        )


def _is_relative(positions: NDArray[np.generic]) -> bool:
    """Whether positions (..., 22, 3) are relative to the pelvis, as some loaders give them."""
    hips = positions[..., 1:3, :].astype(np.float32)
    return bool(np.linalg.norm(hips, axis=-1).max() < NEAR_M)


def _in_world(motion: NDArray[np.generic], relative: bool) -> FloatArray:
    """Return motion (T, 22, 3) with all joints in world coordinates."""
    positions = motion.astype(np.float32, copy=False)
    if relative:
        positions = positions.copy()
        positions[:, 1:] += positions[:, :1]
    return positions


def _of_raw(
    source: Path, subjects: Sequence[str] | None, body_models: Path | None, rate_hz: float
) -> list[Clip]:
    """Compute the joints of recordings that contain parameters of a body model."""
    files = sorted(source.rglob('*.npz')) if source.is_dir() else [source]
    recordings = {path: '/'.join(path.resolve().parts[-3:-1]) for path in files}
    check_subjects(subjects, recordings.values(), source)
    models = BodyModels(body_models)
    clips = []
    for path, subject in recordings.items():
        if not is_wanted(subject, subjects):
            continue
        # Some files contain only the body shape of a person, without motion.
        if 'poses' not in array_names(path):
            continue
        motion = _raw_joints(path, models, rate_hz)
        clips.append(Clip(f'{subject}/{path.stem}', subject, subject.split('/')[0], motion))
    if not clips:
        raise ArchiveError(f'{source} holds no AMASS recording: none of its .npz files has poses')
    return clips


def _raw_joints(path: Path, models: 'BodyModels', rate_hz: float) -> FloatArray:
    """Compute the joints of one recording, at `rate_hz` frames per second (T, 22, 3)."""
    rates = ('mocap_framerate', 'mocap_frame_rate')
    arrays = read_arrays(path, ['poses', 'trans', 'betas', 'gender', *rates])
    rate = next((arrays[name] for name in rates if name in arrays), None)
    for name in ('trans', 'betas', 'gender'):
        if name not in arrays:
            raise ArchiveError(f'{path} is not an AMASS recording: it has no {name}')
    if rate is None or rate.size != 1 or not 0 < float(rate.reshape(())) <= 1000:
        raise ArchiveError(
            f'{path} states a frame rate of {rate}, expected more than 0 and at most 1000'
        )
    poses, trans, betas = (arrays[name] for name in ('poses', 'trans', 'betas'))
    kind = MODEL_OF_COLUMNS.get(poses.shape[-1]) if poses.ndim == 2 else None
    if kind is None or not len(poses) or trans.shape != (len(poses), 3) or betas.ndim != 1:
        raise ArchiveError(
            f'{path} holds poses {poses.shape}, trans {trans.shape} and betas '
            f'{betas.shape}, expected (T, 156) for SMPL+H or (T, 165) for SMPL-X, (T, 3) '
            'and (B,)'
        )
    gender = arrays['gender'].reshape(-1)[0]
    gender = gender.decode() if isinstance(gender, bytes) else str(gender)
    recorded_hz = float(rate.reshape(()))
    step = round(recorded_hz / rate_hz)
    if step > 1 and abs(recorded_hz - step * rate_hz) < 1e-6:  # skip unused frames
        poses, trans, recorded_hz = poses[::step], trans[::step], rate_hz
    # Some files have the gender as the printed form of a byte string: "b'female'".
    joints = models.joints(kind, gender.removeprefix("b'").rstrip("'"), poses, trans, betas)
    return at_rate(joints, recorded_hz, rate_hz)


class BodyModels:
    """Body models of the package smplx. Each model file is read only once.

    Args:
        folder: folder with files like smplh/SMPLH_MALE.pkl, or None if the user gave no folder.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._models: dict[tuple[str, str], torch.nn.Module] = {}

    def joints(
        self,
        kind: str,
        gender: str,
        poses: NDArray[np.generic],
        trans: NDArray[np.generic],
        betas: NDArray[np.generic],
    ) -> FloatArray:
        """Compute 22 joints (T, 22, 3) from poses (T, C), trans (T, 3) and betas (B,)."""
        if (kind, gender) not in self._models:
            self._models[kind, gender] = self._load(kind, gender, len(betas))
        model = self._models[kind, gender]
        shape = torch.from_numpy(betas.astype(np.float32))[: int(model.num_betas)]  # type: ignore[arg-type]
        # The body joints do not depend on hands and face.
        rest = {'left_hand_pose': 45, 'right_hand_pose': 45}
        if kind == 'smplx':
            expressions = int(model.num_expression_coeffs)  # type: ignore[arg-type]
            rest |= {'jaw_pose': 3, 'leye_pose': 3, 'reye_pose': 3, 'expression': expressions}
        parts = []
        with torch.inference_mode():
            for start in range(0, len(poses), BATCH):
                pose = torch.from_numpy(poses[start : start + BATCH].astype(np.float32))
                place = torch.from_numpy(trans[start : start + BATCH].astype(np.float32))
                body = model(
                    betas=shape.expand(len(pose), -1),
                    global_orient=pose[:, :3],
                    body_pose=pose[:, 3:66],
                    transl=place,
                    return_verts=False,
                    **{name: pose.new_zeros(len(pose), width) for name, width in rest.items()},
                )
                parts.append(body.joints[:, :JOINTS].numpy())
        return np.concatenate(parts)

    def _load(self, kind: str, gender: str, betas: int) -> torch.nn.Module:
        smplx = _optional('smplx', 'to compute joints from raw AMASS recordings')
        if self._folder is None:
            raise ArchiveError(
                'raw AMASS recordings need a body model: give the folder of '
                f'{kind}/{kind.upper()}_{gender.upper()}.npz with --body-models'
            )
        stem = self._folder / kind / f'{kind.upper()}_{gender.upper()}'
        kinds = [end for end in ('npz', 'pkl') if stem.with_suffix(f'.{end}').is_file()]
        if not kinds:
            raise ArchiveError(f'there is no body model {stem}.npz or {stem.name}.pkl')
        try:
            model: torch.nn.Module = smplx.create(
                str(self._folder),
                model_type=kind,
                gender=gender,
                ext=kinds[0],
                num_betas=betas,
                use_pca=False,
            )
        except Exception as error:  # damaged files raise exceptions of many types
            raise ArchiveError(f'smplx cannot read {stem}.{kinds[0]}: {error}') from error
        return model.eval()


def _optional(package: str, purpose: str) -> ModuleType:
    """Import a package that only this importer needs.

    Raises:
        ArchiveError: if the package is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ArchiveError(
            f'the package {package} is needed {purpose}: pip install {package}'
        ) from error
