"""The groups that windows are in: who, doing what, how fast, and whether trained on."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.archive import MotionArchive
from motion_predictor.model.statistics import speed_of

WALKING_M_S = 0.6
"""Whoever's root went at least so fast over the ground in the history walks."""
PACES_M_S = {'still': 0.0, 'slower': 0.1, 'walking': WALKING_M_S, 'running': 2.0}
"""Speeds of the root from which on each pace is."""
QUIET_M_S = 0.1
"""Whoever's joints moved slower on average in the history is quiet."""
STEP_S = 0.1
"""What the speed of joints is taken over: from frame to frame it is a tracker's noise."""


def pace_of(speed_m_s: float) -> str:
    """Return the pace of a root's speed over the ground."""
    return [pace for pace, least in PACES_M_S.items() if speed_m_s >= least][-1]


def body_speed(history: Tensor, rate_hz: float) -> Tensor:
    """Return the average speed (B,) of all joints in histories (B, H, J, 3), in m/s."""
    step = min(history.shape[1] - 1, max(1, round(STEP_S * rate_hz)))
    way = history[:, step:] - history[:, :-step]
    return way.norm(dim=-1).mean((1, 2)) * rate_hz / step


def joint_speed(history: Tensor, rate_hz: float) -> Tensor:
    """Return how fast each joint (B, J) moved in the last STEP_S of histories (B, H, J, 3)."""
    step = min(history.shape[1] - 1, max(1, round(STEP_S * rate_hz)))
    return (history[:, -1] - history[:, -1 - step]).norm(dim=-1) * rate_hz / step


def groups_of(
    archive: MotionArchive,
    clips: NDArray[np.int64],
    history: Tensor,
    rate_hz: float,
    seen: Mapping[str, str],
) -> list[dict[str, str]]:
    """Return the groups of B windows by kind; kinds that the archive lacks, lack.

    Args:
        archive: of the windows.
        clips: (B,) that each window is of.
        history: (B, H, J, 3) metres.
        rate_hz: frames per second.
        seen: of each subject, whether they were trained or calibrated on (see `known`).
    """
    paces = speed_of(history.numpy(), rate_hz).tolist()
    speeds = body_speed(history, rate_hz).tolist()
    groups = []
    for clip, pace, speed in zip(clips, paces, speeds, strict=True):
        of_window = {'pace': pace_of(pace), 'body': 'quiet' if speed < QUIET_M_S else 'moving'}
        of_window['training'] = seen[archive.subjects[clip]]
        if any(archive.categories):
            of_window['category'] = archive.categories[clip] or 'not named'
        if any(archive.subjects):
            subject = archive.subjects[clip]
            of_window['subject'] = subject or 'not named'
        groups.append(of_window)
    return groups
