"""Windows over a motion archive: history and future, cut out when they are asked for."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.archive import ArchiveError, MotionArchive
from motion_predictor.frames import person_frame, to_features, to_model
from motion_predictor.skeleton import JointMap, Layout, common_names_of


@dataclass(frozen=True)
class Windows:
    """Every window of `frames` consecutive frames that starts at a multiple of a stride.

    The clips are held once; a window is a slice of them.
    """

    motion: NDArray[np.float32]  # (N, J, 3) metres, all clips
    starts: NDArray[np.int64]  # (W,) first frame of each window
    clips: NDArray[np.int64]  # (W,) clip each window is of
    frames: int
    layout: Layout

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, indices: NDArray[np.int64]) -> Tensor:
        """Return windows (B, frames, J, 3), metres, world frame."""
        rows = self.starts[indices, None] + np.arange(self.frames)
        return torch.from_numpy(self.motion[rows])

    def all(self) -> Tensor:
        """Return every window (W, frames, J, 3)."""
        return self.batch(np.arange(len(self)))


def cut_windows(
    archive: MotionArchive, layout: Layout, rate_hz: float, frames: int, stride: int
) -> Windows:
    """Cut an archive into windows of a layout and rate.

    Joints are mapped by name and time is resampled linearly. Windows with an unmeasured joint
    are left out.

    Raises:
        LayoutError: if the archive's joints cannot be mapped.
        ArchiveError: if no clip is long enough.
    """
    joint_map = JointMap.between(common_names_of(archive.joint_names, archive.layout), layout)
    clips = [
        _resample(joint_map(archive.clip(i)), archive.rate_hz / rate_hz)
        for i in range(len(archive))
    ]
    starts, owners, offset = [], [], 0
    for index, clip in enumerate(clips):
        first = np.arange(0, len(clip) - frames + 1, stride)
        gaps = np.cumsum(np.isnan(clip).any(axis=(1, 2)))
        whole = gaps[first + frames - 1] - np.concatenate([[0], gaps])[first] == 0
        starts.append(first[whole] + offset)
        owners.append(np.full(whole.sum(), index))
        offset += len(clip)
    if not sum(map(len, starts)):
        raise ArchiveError(
            f'no clip of the archive holds {frames} gapless frames at {rate_hz:g} Hz'
        )
    return Windows(
        np.concatenate(clips), np.concatenate(starts), np.concatenate(owners), frames, layout
    )


def _resample(clip: NDArray[np.float32], step: float) -> NDArray[np.float32]:
    """Read a clip (T, J, 3) at every `step`-th frame, linearly between frames."""
    if step == 1:
        return clip
    time = np.arange(0, len(clip) - 1 + 1e-9, step)
    left = np.minimum(time.astype(int), len(clip) - 2) if len(clip) > 1 else np.zeros(1, int)
    share = (time - left).astype(np.float32)[:, None, None]
    return clip[left] * (1 - share) + clip[np.minimum(left + 1, len(clip) - 1)] * share


def model_features(
    motion: Tensor, history_frames: int, hips: tuple[int, int] | None, with_root: bool
) -> Tensor:
    """Return features (B, N, D) of windows (B, N, J, 3) in the frame of their last seen pose."""
    frame = person_frame(motion[:, history_frames - 1], hips)
    return to_features(to_model(motion, frame), with_root)


def mirror(motion: Tensor, chosen: Tensor, layout: Layout) -> Tensor:
    """Mirror the chosen (B,) windows of (B, N, J, 3): y turned, left and right joints swapped."""
    mirrored = motion[:, :, list(layout.mirrored)] * motion.new_tensor([1.0, -1.0, 1.0])
    return torch.where(chosen[:, None, None, None], mirrored, motion)
