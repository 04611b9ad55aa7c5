"""Fits a model of familiar motion. The p-values come from people who are left out of the fit."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Checkpoint, Header
from motion_predictor.uncertainty.familiarity import Familiarity, FloatArray, Poses, strangeness
from motion_predictor_training.calibration.conformal import quantile
from motion_predictor_training.calibration.errors import APART_S, people_of
from motion_predictor_training.calibration.fit_sets import People
from motion_predictor_training.config import CalibrationConfig
from motion_predictor_training.data.hidden import complete
from motion_predictor_training.data.windows import cut_windows


def with_familiarity(
    checkpoint: Checkpoint, archives: Sequence[MotionArchive], config: CalibrationConfig
) -> Checkpoint:
    """Return a checkpoint for which the motion in these archives is familiar motion.

    Each person has the same weight. The p-values come from scores of people who are left out of
    the fit. One fold (group of people) is left out after the other, as in the calibration of the
    radii. If the name of a subject stands for several people (`not_told_apart`), the clips of this
    subject are assigned to different folds.
    """
    header = checkpoint.header
    read = [_poses(archive, header, config.stride) for archive in archives]
    poses = np.concatenate([part for part, _, _ in read])
    names = np.concatenate([of for _, of, _ in read])
    rate_hz = header.window.rate_hz
    share = np.full(len(names), min(1.0, config.stride / (APART_S * rate_hz)), np.float32)
    people = People.of(names, share, config.folds)
    folds = people.folds.copy()
    crowd = np.isin(names, config.not_told_apart)
    folds[crowd] = np.concatenate([clips for _, _, clips in read])[crowd] % (folds.max() + 1)
    scores = np.empty(len(poses))
    for fold in range(folds.max() + 1):
        own = folds == fold
        scores[own] = strangeness(poses[own], *_fit(poses[~own], people.weights[~own]))
    windows = max(1, round(float(share.sum())))
    familiarity = Familiarity(people=len(np.unique(names)), windows=windows)
    # Let n be the number of scores. A new score has each of the n + 1 ranks among them with the
    # same probability. If m of the n scores are at least as large as the new score, its p-value is
    # p = (m + 1) / (n + 1), so m = p (n + 1) - 1.
    above = (familiarity.levels() * (windows + 1) - 1) / windows
    weights = people.weights.astype(np.float64)
    kept = [quantile(scores, weights, level) for level in 1 - above]
    tensors = [*_fit(poses, people.weights), np.array(kept, np.float32)]
    return checkpoint.familiar(familiarity, tensors)


def _poses(
    archive: MotionArchive, header: Header, stride: int
) -> tuple[FloatArray, NDArray[np.str_], NDArray[np.int64]]:
    """Return the poses (W, N, D), the people (W,) and the clips (W,) of an archive's histories."""
    window = header.window
    frames, rate_hz = window.history_frames, window.rate_hz
    windows = cut_windows(archive, header.layout, rate_hz, frames, stride, partial=True)
    motion = windows.all()
    hidden = np.zeros(motion.shape[:3], bool)
    history = complete(motion, hidden, header.layout, rate_hz).frames
    poses = Poses(header.layout, frames, rate_hz)(history.numpy())
    return poses, people_of(archive)[windows.clips], windows.clips


def _fit(poses: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean of poses (D,), and the matrix (D, D) that whitens deviations from this mean.

    Whitened deviations are uncorrelated and have the variance 1. Before that, a variance of 1 is
    added to every feature, because bodies and trackers differ.

    Args:
        poses: poses of W histories at N instants (W, N, D).
        weights: weights of the histories (W,).
    """
    values = poses.reshape(-1, poses.shape[-1]).astype(np.float64)
    weight = np.repeat(weights, poses.shape[1]).astype(np.float64)
    weight /= weight.sum()
    mean = weight @ values
    off = values - mean
    covariance = (off * weight[:, None]).T @ off + np.eye(len(mean))
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
    return mean.astype(np.float32), whitening.astype(np.float32)
