"""Rotates motion from a bag so that z points up. In the axes of a camera, z points elsewhere."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from motion_predictor.archive import ArchiveError
from motion_predictor.skeleton import known_layouts
from motion_predictor_training.data.importers.bag_reading import BagOptions, Recording
from motion_predictor_training.data.importers.clips import FloatArray

OPTICAL = (-0.5, 0.5, -0.5, 0.5)
"""Quaternion x, y, z, w that converts from the optical frame of a level camera (x right, y down, z
forward) to x forward, y left, z up."""


def _turn(source: Path, recording: Recording, options: BagOptions) -> Rotation | None:
    """Return the rotation of the recorded frame that makes z point up, or None if z does so."""
    if options.rotation is not None:
        if not np.isfinite(options.rotation).all() or not np.any(options.rotation):
            raise ArchiveError(
                f'the rotation {options.rotation} is not a quaternion: give four finite '
                'numbers x, y, z, w'
            )
        return Rotation.from_quat(options.rotation)
    frame = recording.frame_id
    if frame.endswith(('_optical_frame', '_optical')) or _lies(recording):
        raise ArchiveError(
            f"{source} is recorded in frame '{frame}', whose z does not point up: give "
            '--optical for the optical frame of a level camera, or else --rotation X Y Z '
            'W'
        )
    return None


def _lies(recording: Recording) -> bool:
    """Whether people recorded by an Azure Kinect seem to lie on the ground.

    In the optical frame of the camera people seem to lie, because z does not point up there.
    """
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
    """Return a function that rotates motion (..., 3) of a recording so that z points up.

    Raises:
        ArchiveError: if z of the recording does not point up and the options give no rotation.
    """
    turn = _turn(source, recording, options)
    if turn is None:
        return lambda motion: motion
    matrix = turn.as_matrix().T
    return lambda motion: np.asarray(motion @ matrix, np.float32)
