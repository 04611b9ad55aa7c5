"""Groups windows by person, activity and speed, and by whether the person was trained on."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.archive import MotionArchive
from motion_predictor.model.statistics import speed_of

WALKING_M_S = 0.6
"""A person counts as walking if the root moves at least this fast over the ground."""
PACES_M_S = {'still': 0.0, 'slower': 0.1, 'walking': WALKING_M_S, 'running': 2.0}
"""Lowest speed of the root for each pace, measured in the history."""
QUIET_M_S = 0.1
"""A person counts as quiet if the average speed of the joints in the history is below this."""
STEP_S = 0.1
"""Time over which the speed of a joint is measured. From frame to frame it would be mostly
noise."""


def pace_of(speed_m_s: float) -> str:
    """Return the pace (still, slower, walking or running) of a root with some speed, m/s."""
    return [pace for pace, least in PACES_M_S.items() if speed_m_s >= least][-1]


def body_speed(history: Tensor, rate_hz: float) -> Tensor:
    """Return the average speed (B,) of all joints in histories (B, H, J, 3), in m/s."""
    step = min(history.shape[1] - 1, max(1, round(STEP_S * rate_hz)))
    way = history[:, step:] - history[:, :-step]
    return way.norm(dim=-1).mean((1, 2)) * rate_hz / step


def joint_speed(history: Tensor, rate_hz: float) -> Tensor:
    """Return the speeds of the joints (B, J) in the last STEP_S of histories (B, H, J, 3), m/s."""
    step = min(history.shape[1] - 1, max(1, round(STEP_S * rate_hz)))
    return (history[:, -1] - history[:, -1 - step]).norm(dim=-1) * rate_hz / step


def groups_of(
    archive: MotionArchive,
    clips: NDArray[np.int64],
    history: Tensor,
    rate_hz: float,
    seen: Mapping[str, str],
) -> list[dict[str, str]]:
    """Return, for each of B windows, the name of its group in each kind of group.

    The kinds `category` and `subject` exist only if the archive names categories and subjects.

    Args:
        archive: archive that the windows are from.
        clips: number of the clip of each window (B,).
        history: observed motion (B, H, J, 3), metres.
        rate_hz: frames per second.
        seen: for each subject, whether the checkpoint was trained or calibrated on this person,
            from `Known.of`.
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
