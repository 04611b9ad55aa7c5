"""Imports Human3.6M from the file `data_3d_h36m.npz`, which VideoPose3D makes.

The file contains one array, `positions_3d`, with a pickled dictionary. The keys are subjects
('S1', ...). Each value is again a dictionary: its keys are actions ('Directions 1', ...), and its
values are positions (T, 32, 3) float32. GSPS and TransFusion read the same file.
VideoPose3D has converted the positions from millimetres to metres, in the world frame. In the
world frame z points up. The frame rate is 50 Hz.
"""

import pickle
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from motion_predictor.archive import ArchiveError
from motion_predictor_training.data.importers.clips import (
    Clip,
    check_subjects,
    is_wanted,
    layout_named,
    write_clips,
)

RATE_HZ = 50.0
MEMBER = 'positions_3d'
JOINTS = 32
KEPT = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Columns of the joints of the layout h36m17, in the order of the layout. The other columns repeat
these joints, or are fingers and toes."""


def import_human36m(source: Path, subjects: Sequence[str] | None, out: Path) -> str:
    """Write the motion of all or some subjects to an archive; return a summary in one line.

    Raises:
        ArchiveError: if the file is damaged, has another format, or lacks a wanted subject.
    """
    content = read_pickled_array(source, MEMBER)
    if not isinstance(content, Mapping) or not content:
        raise ArchiveError(
            f'{source} holds {type(content).__name__} as {MEMBER}, expected a dictionary of '
            'subjects'
        )
    check_subjects(subjects, map(str, content), source)
    clips = [
        Clip(f'{subject}/{action}', str(subject), _category(str(action)), positions[:, KEPT])
        for subject, actions in content.items()
        if is_wanted(str(subject), subjects)
        for action, positions in _actions(source, subject, actions).items()
    ]
    return write_clips(out, clips, layout_named('h36m17'), RATE_HZ, 'human36m')


def _actions(source: Path, subject: object, actions: object) -> dict[str, Any]:
    """Check the actions of a subject; return positions (T, 32, 3) float32 by action."""
    if not isinstance(actions, Mapping):
        raise ArchiveError(
            f'{source} holds {type(actions).__name__} for {subject}, expected a dictionary of '
            'actions'
        )
    for action, positions in actions.items():
        shape = getattr(positions, 'shape', type(positions).__name__)
        numbers = isinstance(positions, np.ndarray) and positions.dtype.kind == 'f'
        if not numbers or positions.ndim != 3 or shape[1:] != (JOINTS, 3) or not shape[0]:
            raise ArchiveError(
                f'{source} holds {shape} for {subject}, {action}, expected (frames, {JOINTS}, 3) '
                'floating-point positions'
            )
    return {str(action): positions.astype(np.float32) for action, positions in actions.items()}


def _category(action: str) -> str:
    """Return an action without the number of its repetition, such as Walking for Walking 1."""
    return re.sub(r'\s*\d+$', '', action)


def read_pickled_array(path: Path, member: str) -> object:
    """Return the object that is pickled in an .npz, without running code from the file.

    With `allow_pickle=True`, numpy would run any function that the file names.

    Raises:
        ArchiveError: if the file is damaged, or contains objects other than arrays and builtin
            containers.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f'{member}.npy') as file:
            major = npy.read_magic(file)[0]
            header: Callable[..., tuple[Any, ...]] = (
                npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
            )
            shape, _, dtype = header(file)
            if not dtype.hasobject:
                raise ArchiveError(
                    f'{path} holds {member} of type {dtype}, expected a pickled object'
                )
            content = ArrayUnpickler(file, encoding='latin1').load()
    except ArchiveError:
        raise
    except KeyError as error:
        raise ArchiveError(f'{path} has no array {member}') from error
    except Exception as error:  # damaged files raise exceptions of many types
        raise ArchiveError(f'{path} is not a readable .npz: {error}') from error
    if not isinstance(content, np.ndarray) or content.size != 1 or shape not in ((), (1,)):
        raise ArchiveError(f'{path} holds {member} of shape {shape}, expected a single object')
    return content.reshape(())[()]


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles numpy arrays and builtin containers, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a function or class that numpy arrays need, or else refuse the pickle."""
        module = module.replace('numpy.core', 'numpy._core')
        if (module, name) == ('numpy', 'ndarray'):
            return np.ndarray
        if (module, name) == ('numpy', 'dtype'):
            return np.dtype
        if (module, name) == ('numpy._core.multiarray', '_reconstruct'):
            return _empty_array
        if (module, name) == ('_codecs', 'encode'):
            return _latin1
        raise pickle.UnpicklingError(f'it asks for {module}.{name}, which is not part of an array')


def _empty_array(kind: type, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """Return an empty array, as numpy's `_reconstruct` does.

    After this call, the unpickler fills the array with the pickled values.
    """
    if kind is not np.ndarray or shape != (0,):
        raise pickle.UnpicklingError('it rebuilds an array in a way that numpy never does')
    return np.ndarray(shape, np.dtype('b'))


def _latin1(text: str, encoding: str = 'latin1') -> bytes:
    """Convert text to bytes. Old pickle protocols write bytes as text in the encoding latin1."""
    return text.encode('latin1')
