"""Corrects predicted radii as the node does: each person's earlier errors change the radii."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint.header import Header
from motion_predictor.common.status import Status
from motion_predictor.prediction import Prediction
from motion_predictor.self_check.check import SelfCheck
from motion_predictor.tracking.history import ObservedWindow
from motion_predictor.tracking.scene import Person
from motion_predictor.tracking.track import LastSeen
from motion_predictor_training.data.windows import Windows, cut_windows

FloatArray = NDArray[np.float32]
STEP_FRAMES = 4
"""Number of frames between observations. Windows must start at multiples of this number."""
PAUSE_S = 0.5
"""Time between two clips of a person."""


def observations(archive: MotionArchive, header: Header, windows: Windows) -> Windows:
    """Return all observations of those clips that contain any of the given windows.

    Observations start every STEP_FRAMES frames. Each observation is a window that is one frame
    longer than a history.
    """
    window = header.window
    frames = window.history_frames + 1
    dense = cut_windows(archive, header.layout, window.rate_hz, frames, STEP_FRAMES)
    return dense.choose(np.flatnonzero(np.isin(dense.clips, windows.clips)))


def corrected(
    observed: Windows,
    subjects: Sequence[str],
    header: Header,
    mean: FloatArray,
    radius: FloatArray,
    coverage: float,
) -> FloatArray:
    """Return radii after the self-correction of the node, metres (W, F, J).

    Args:
        observed: W observations, in order of time within each clip.
        subjects: name of the person in each clip of the archive.
        header: header of the checkpoint that makes the predictions.
        mean: means of the W predictions, one for each observation, metres (W, F, J, 3).
        radius: calibrated radii of these W predictions, metres (W, F, J).
        coverage: the promised coverage.
    """
    window = header.window
    times = (np.arange(1, mean.shape[1] + 1) / window.rate_hz).astype(np.float32)
    checks: dict[str, SelfCheck] = {}
    result = np.empty_like(radius)
    for index, (subject, stamp_ns) in enumerate(_moments(observed, subjects, window.rate_hz)):
        history = observed.batch(np.array([index]))[0, : window.history_frames].numpy()
        joints = history.shape[1]
        seen = ObservedWindow(history, 1.0, 1.0, 1.0, np.zeros(joints, np.float32))
        last = LastSeen(stamp_ns, history[-1], history[-1, 0], 1.0)
        clip = int(observed.clips[index])
        person = Person(subject, Status.OK, 1.0, seen, last, clip)
        here = slice(index, index + 1)
        told = Prediction(
            deviations=np.zeros((1, 1, 1, joints, 3), np.float32),  # not used by `SelfCheck`
            synthesis=np.zeros((len(times), 1), np.float32),
            mean=mean[here],
            radius=radius[here],
            body_radius_scale=np.ones((1, len(times)), np.float32),
            coverage=coverage,
            times=times,
            familiarity=np.ones(1, np.float32),
            unfamiliar=np.zeros(1, bool),
        )
        check = checks.setdefault(subject, SelfCheck(times))
        result[index] = check.step(stamp_ns, [person], told).radius[0]
    return result


def _moments(
    observed: Windows, subjects: Sequence[str], rate_hz: float
) -> Iterator[tuple[str, int]]:
    """Yield the person and the stamp of each observation.

    The clips of a person follow each other in time, with a pause of PAUSE_S between two clips.
    """
    begins_s: dict[str, float] = {}
    first, clip = 0, -1
    for start, own in zip(observed.starts.tolist(), observed.clips.tolist(), strict=True):
        subject = subjects[own] or f'clip {own}'
        if own != clip:
            length_s = (observed.bounds[own + 1] - observed.bounds[own]) / rate_hz
            first, clip = start, own
            offset_s = begins_s.get(subject, 1.0)
            begins_s[subject] = offset_s + length_s + PAUSE_S
        yield subject, round((offset_s + (start - first) / rate_hz) * 1e9)
