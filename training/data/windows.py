"""Cuts a motion archive into windows (history and future), which are read on demand."""

import tempfile
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.archive import ArchiveError, MotionArchive
from motion_predictor.checkpoint import Header
from motion_predictor.model.frames import person_frame, to_features, to_model
from motion_predictor.skeleton import Facing, JointMap, Layout, common_names_of


@dataclass(frozen=True)
class Windows:
    """Windows of `frames` consecutive frames, which start at multiples of a stride.

    A window is a slice of the motion of all clips. The motion of all clips lies in a memory-mapped
    file, so the operating system reads and drops memory pages as needed.
    """

    motion: NDArray[np.float32]  # (N, J, 3) metres, all clips, NaN where not measured
    starts: NDArray[np.int64]  # (W,) first frame of each window
    room: NDArray[np.int64]  # (W,) largest possible length of a window that starts there
    clips: NDArray[np.int64]  # (W,) number of the clip of each window
    bounds: NDArray[np.int64]  # (clips + 1,) first frame of each clip, then N
    frames: int
    layout: Layout

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, indices: NDArray[np.int64]) -> Tensor:
        """Return windows (B, frames, J, 3), metres, world frame.

        Positions that were not measured are NaN. Such NaN positions exist only if the windows were
        cut with `partial`.

        Args:
            indices: indices of the B wanted windows (B,).
        """
        return torch.from_numpy(self.motion[self.starts[indices, None] + np.arange(self.frames)])

    def choose(self, indices: NDArray[np.int64]) -> 'Windows':
        """Return a subset of the windows. The motion is not copied."""
        chosen = {field: getattr(self, field)[indices] for field in ('starts', 'room', 'clips')}
        return replace(self, **chosen)

    def all(self) -> Tensor:
        """Return all windows (W, frames, J, 3), metres, world frame."""
        return self.batch(np.arange(len(self)))


def cut_windows(
    archive: MotionArchive,
    layout: Layout,
    rate_hz: float,
    frames: int,
    stride: int,
    partial: bool = False,
) -> Windows:
    """Cut an archive into windows, in a given layout and at a given rate.

    In each clip, joints are mapped by name, and frames are interpolated linearly to `rate_hz`. The
    resulting motion is stored in a temporary file in TMPDIR. An hour of 22 joints at 60 Hz needs
    57 MB. The temporary file is deleted when the windows are no longer used.

    Args:
        archive: motion archive to cut.
        layout: layout of the windows.
        rate_hz: frames per second of the windows.
        frames: number of frames per window.
        stride: number of frames between the starts of windows.
        partial: whether a window may have joints that were not measured (NaN), for example the
            legs of a person behind a bench. If `partial` is true, every frame of a window
            needs at least one measured joint. If `partial` is false, every frame of a window needs
            all joints.

    Raises:
        LayoutError: if the archive's joints cannot be mapped to the layout.
        ArchiveError: if no clip has enough frames in a row for a window.
    """
    joint_map = JointMap.between(common_names_of(archive.joint_names, archive.layout), layout)
    starts, rooms, owners, bounds = [], [], [], [0]
    with tempfile.TemporaryFile() as file:
        for index in range(len(archive)):
            clip = _resample(joint_map(archive.clip(index)), archive.rate_hz / rate_hz)
            file.write(np.ascontiguousarray(clip).data)
            lacking = np.logical_or.reduce(np.isnan(clip), axis=2)  # (T, J)
            gaps = np.flatnonzero(lacking.all(axis=1) if partial else lacking.any(axis=1))
            ends = np.append(gaps, len(clip))  # a window ends before the next of these
            first = np.arange(0, len(clip) - frames + 1, stride)
            room = ends[np.searchsorted(ends, first)] - first
            whole = room >= frames
            starts.append(first[whole] + bounds[-1])
            rooms.append(room[whole])
            owners.append(np.full(whole.sum(), index))
            bounds.append(bounds[-1] + len(clip))
        file.flush()
        # The memory map keeps the temporary file alive, although the file is closed and deleted.
        shape = bounds[-1], len(layout.joints), 3
        motion = np.asarray(np.memmap(file, np.float32, 'r', shape=shape))
    if not sum(map(len, starts)):
        kind = 'frames with a measured joint' if partial else 'gapless frames'
        raise ArchiveError(
            f'no clip of the archive has {frames} {kind} in a row at {rate_hz:g} Hz'
        )
    return Windows(
        motion,
        np.concatenate(starts),
        np.concatenate(rooms),
        np.concatenate(owners),
        np.array(bounds),
        frames,
        layout,
    )


def model_windows(
    archive: MotionArchive, header: Header, stride: int, partial: bool = False
) -> Windows:
    """Cut an archive into windows with the layout, rate and lengths of a model.

    The same errors are raised as by `cut_windows`.
    """
    window = header.window
    frames = window.history_frames + window.future_frames
    return cut_windows(archive, header.layout, window.rate_hz, frames, stride, partial)


def _resample(clip: NDArray[np.float32], step: float) -> NDArray[np.float32]:
    """Interpolate a clip (T, J, 3) linearly at every `step`-th frame; `step` may be a fraction."""
    if step == 1:
        return clip
    time = np.arange(0, len(clip) - 1 + 1e-9, step)
    left = np.minimum(time.astype(int), len(clip) - 2) if len(clip) > 1 else np.zeros(1, int)
    share = (time - left).astype(np.float32)[:, None, None]
    return clip[left] * (1 - share) + clip[np.minimum(left + 1, len(clip) - 1)] * share


def model_features(
    motion: Tensor, history_frames: int, facing: Facing | None, with_root: bool
) -> Tensor:
    """Return the model's features (B, N, D) of windows (B, N, J, 3).

    The features are in the coordinate frame of the person in the last observed pose.
    """
    frame = person_frame(motion[:, history_frames - 1], facing)
    return to_features(to_model(motion, frame), with_root)
