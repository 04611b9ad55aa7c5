"""Stores the motion from which random windows are drawn, on the device that trains."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.archive import ArchiveError, MotionArchive
from motion_predictor.skeleton import Layout
from motion_predictor.tracking.body import Body
from motion_predictor_training.data.hidden import limb_lengths
from motion_predictor_training.data.windows import Windows

PACES_M_S = (0.1, 0.6, 1.2, 2.0)
"""Speeds of the root that divide standing, shifting, strolling, walking and running."""
PACE_OVER_S = 0.5
"""Time over which the speed of the root is measured, from the beginning of a window."""


@dataclass(frozen=True)
class Pool:
    """The windows of an archive, each with the probability that it is drawn.

    Positions that were not measured are estimated from the whole clip, by the code of the ROS
    node. Without these estimates, limbs could not be scaled and turned. Only positions in the mask
    `measured` count in a loss.
    """

    motion: Tensor  # (N, J, 3) metres, without gaps
    measured: Tensor  # (N, J) whether it was measured
    starts: Tensor  # (W,) first frame of each window
    room: Tensor  # (W,) largest possible length of a window that starts there
    cumulative: Tensor  # (W,) cumulative probability of the windows, float64
    frames: int
    layout: Layout

    def draw(self, count: int, speed: Tensor) -> tuple[Tensor, Tensor]:
        """Draw windows with replacement, with the random numbers of torch.

        Args:
            count: number of windows B.
            speed: playback speed of each window, where 1 is the recorded speed (B,). If the
                recording is too short for this speed, the window is played more slowly.

        Returns:
            The motion in the world frame (B, frames, J, 3), metres, and a mask of its measured
            positions (B, frames, J).
        """
        device = self.motion.device
        chance = torch.rand(count, device=device, dtype=torch.float64)
        chosen = torch.searchsorted(self.cumulative, chance).clamp(max=len(self.starts) - 1)
        room = self.room[chosen]
        fastest = (room - 1) / (self.frames - 1)
        place = torch.minimum(speed, fastest)[:, None] * torch.arange(self.frames, device=device)
        left = torch.minimum(place.long(), room[:, None] - 2)
        share = (place - left)[..., None, None]
        rows = self.starts[chosen, None] + left  # (B, frames)
        motion = self.motion[rows] * (1 - share) + self.motion[rows + 1] * share
        return motion, self.measured[rows] & self.measured[rows + 1]


def pool_of(
    windows: Windows,
    archive: MotionArchive,
    rate_hz: float,
    balance: float,
    device: torch.device,
) -> Pool:
    """Return a pool of all windows in which the root was measured in every frame.

    Args:
        windows: windows to choose from, which may have joints that were not measured.
        archive: archive that the windows are from.
        rate_hz: frames per second of the windows.
        balance: with 0, every window is drawn equally often. With 1, every kind of motion is drawn
            equally often. Windows show the same kind of motion if their clips have the same
            category and their roots have the same pace (range of speeds, see PACES_M_S).
        device: torch device for the motion.

    Raises:
        ArchiveError: if no window has its root measured in every frame.
    """
    measured: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(windows.motion), axis=-1)
    lost = np.append(np.flatnonzero(~measured[:, 0]), len(measured))
    rooted = lost[np.searchsorted(lost, windows.starts)] - windows.starts  # (W,) frames
    room = np.minimum(windows.room, rooted)
    long_enough = np.flatnonzero(room >= windows.frames)
    if not len(long_enough):
        raise ArchiveError(
            'the archive has no window in which the root was measured in every frame'
        )
    windows, room = windows.choose(long_enough), room[long_enough]
    motion = windows.motion if measured.all() else _completed(windows, measured)
    chances = _chances(windows, archive, rate_hz, balance)
    return Pool(
        motion=torch.tensor(motion, device=device),
        measured=torch.tensor(measured, device=device),
        starts=torch.tensor(windows.starts, device=device),
        room=torch.tensor(room, device=device),
        cumulative=torch.tensor(chances, device=device),
        frames=windows.frames,
        layout=windows.layout,
    )


def _chances(
    windows: Windows, archive: MotionArchive, rate_hz: float, balance: float
) -> NDArray[np.float64]:
    """Return the cumulative probability with which windows are drawn (W,)."""
    frames = min(round(PACE_OVER_S * rate_hz), windows.frames - 1)
    roots = windows.motion[:, 0, :2]
    way_m = np.linalg.norm(roots[windows.starts + frames] - roots[windows.starts], axis=-1)
    pace = np.digitize(way_m * rate_hz / frames, PACES_M_S)
    _, category = np.unique(np.array(archive.categories)[windows.clips], return_inverse=True)
    kinds = category * (len(PACES_M_S) + 1) + pace
    counts = np.bincount(kinds)[kinds]
    chances: NDArray[np.float64] = np.cumsum(counts ** -float(balance))
    return chances / chances[-1]


def _completed(windows: Windows, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the motion (N, J, 3) with estimates for missing positions, clip by clip."""
    body = Body(windows.layout)
    parents = list(windows.layout.parents)
    motion = np.array(windows.motion)
    for first, last in pairwise(windows.bounds):
        part, seen = motion[first:last], measured[first:last]
        if seen.all() or not seen.any():
            continue
        lengths = limb_lengths(part, seen, parents)
        whole = body.fill(part, seen, np.arange(len(part)), lengths)
        assert whole is not None  # `fill` returns None only if no joint was seen
        motion[first:last] = whole.frames
    # Clips without any measured position contain no windows, so zeros do no harm there.
    return np.nan_to_num(motion)
