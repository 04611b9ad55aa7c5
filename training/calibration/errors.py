"""The data for a calibration: the errors, the person and the state of motion of each window."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Header
from motion_predictor.model.statistics import spread_of
from motion_predictor.predictor import MotionPredictor
from motion_predictor.uncertainty.sets import state_terms, trunk_of
from motion_predictor.uncertainty.state import State, StateReader
from motion_predictor_training.config import CalibrationConfig
from motion_predictor_training.data.windows import Windows, model_windows
from motion_predictor_training.predicting.every_window import predict_windows

FloatArray = NDArray[np.float32]
APART_S = 0.5
"""Time between the starts of two windows that count as independent. Windows that start closer
together count as one."""
KNOTS = 16


@dataclass(frozen=True)
class Scores:
    """Errors of the predictions of W windows, at K future frames, for R numbers of samples."""

    times_s: FloatArray  # (K,) times of the frames after the last observation
    people: NDArray[np.str_]  # (W,) name of the person
    trained: NDArray[np.bool_]  # (W,) whether the network was trained on the person
    share: FloatArray  # (W,) part of an independent window (APART_S) that the window stands for
    state: State  # motion of the people at the last observation of the W windows
    spread: FloatArray  # (R, W, K, J) spread of the samples, metres
    error: FloatArray  # (R, W, K, J) error of the mean, metres; NaN where it is unknown

    def __len__(self) -> int:
        return len(self.people)

    def choose(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> 'Scores':
        """Return only the chosen windows."""
        return replace(
            self,
            people=self.people[chosen],
            trained=self.trained[chosen],
            share=self.share[chosen],
            state=State(*(values[chosen] for values in self.state)),
            spread=self.spread[:, chosen],
            error=self.error[:, chosen],
        )

    def still(self, parts: Sequence[int]) -> FloatArray:
        """Return those inputs of the expected error that do not depend on the frame (A', W, J).

        Args:
            parts: part of the body to which each joint belongs (J,).
        """
        return np.stack(state_terms(self.state, trunk_of(parts)))


def knots_of(frames: int) -> tuple[int, ...]:
    """Return which of the future frames, 1 to `frames`, are calibrated: mostly early frames."""
    spaced = np.geomspace(1, frames, KNOTS)
    return tuple(sorted({round(frame) for frame in spaced.tolist()}))


def score(
    predictor: MotionPredictor,
    archive: MotionArchive,
    samples: Sequence[int],
    config: CalibrationConfig,
    trained: Sequence[bool],
) -> Scores:
    """Predict windows of an archive, and return the errors of the predictions.

    Joints of a window may be missing, for example the legs of a person behind a bench. Missing
    joints of the history are guessed by the same method as in the node. The error of a joint
    counts only if the joint was seen in the last frame of the history and in the future. If a
    joint was not seen in the last frame, the node makes its radius larger (`Prediction.widened`).

    Args:
        predictor: predictor that draws as many samples as the largest number in `samples`.
        archive: recorded motion.
        samples: R numbers of samples per prediction, in descending order. Errors for a smaller
            number of samples are computed from the first samples of the same prediction.
        config: settings of the calibration, among them the choice of windows.
        trained: for each clip, whether the network was trained on the person in it.
    """
    header = predictor.checkpoint.header
    windows, people, share = calibration_windows(archive, header, config)
    read = StateReader(header.window.history_frames, header.window.rate_hz)
    frames = np.array(knots_of(header.window.future_frames)) - 1
    states, spreads, errors = [], [], []
    for predicted in predict_windows(predictor, windows):
        states.append(read(predicted.history.numpy()))
        future = predicted.future[:, frames]
        rungs = []
        for count in samples:
            drawn = predicted.samples[:, :count][:, :, frames]
            mean = drawn.mean(1)
            off = torch.linalg.vector_norm(mean - future, dim=-1)
            off[(predicted.doubt_m > 0)[:, None].expand_as(off)] = torch.nan
            rungs.append((spread_of(drawn, mean).numpy(), off.numpy()))
        spreads.append(np.stack([spread for spread, _ in rungs]))
        errors.append(np.stack([off for _, off in rungs]))
    return Scores(
        times_s=((frames + 1) / header.window.rate_hz).astype(np.float32),
        people=people,
        trained=np.asarray(trained, bool)[windows.clips],
        share=share,
        state=State(*map(np.concatenate, zip(*states, strict=True))),
        spread=np.concatenate(spreads, 1),
        error=np.concatenate(errors, 1),
    )


def calibration_windows(
    archive: MotionArchive, header: Header, config: CalibrationConfig
) -> tuple[Windows, NDArray[np.str_], FloatArray]:
    """Return the windows of an archive for calibration, their people (W,) and their shares (W,).

    If windows start less than APART_S apart, each of them counts for a part of an independent
    window. This part is the share of the window.
    """
    windows = model_windows(archive, header, config.stride, partial=True)
    windows, share = _thinned(archive, windows, config.windows_per_person)
    share = share * config.stride / (APART_S * header.window.rate_hz)
    return windows, people_of(archive)[windows.clips], np.minimum(share, 1).astype(np.float32)


def together(parts: Sequence[Scores]) -> Scores:
    """Join the scores of several archives. People with the same name count as the same person."""
    first = parts[0]
    return replace(
        first,
        people=np.concatenate([part.people for part in parts]),
        trained=np.concatenate([part.trained for part in parts]),
        share=np.concatenate([part.share for part in parts]),
        state=State(*map(np.concatenate, zip(*(part.state for part in parts), strict=True))),
        spread=np.concatenate([part.spread for part in parts], 1),
        error=np.concatenate([part.error for part in parts], 1),
    )


def people_of(archive: MotionArchive) -> NDArray[np.str_]:
    """Return the name of the person in each clip.

    Each clip without a name counts as a person of its own.
    """
    names = zip(archive.subjects, archive.clip_names, strict=True)
    return np.array([s or c or f'clip {i}' for i, (s, c) in enumerate(names)])


def _thinned(archive: MotionArchive, windows: Windows, most: int) -> tuple[Windows, FloatArray]:
    """Return at most `most` windows of each person, with weights (W,).

    The returned windows of a person stand for all given windows of this person. The weight of a
    window is the number of windows for which it stands.
    """
    owners = people_of(archive)[windows.clips]
    chosen, stands_for = [], []
    for person in np.unique(owners):
        own = np.flatnonzero(owners == person)
        kept = own[np.linspace(0, len(own) - 1, min(most, len(own))).round().astype(int)]
        chosen.append(kept)
        stands_for.append(np.full(len(kept), len(own) / len(kept), np.float32))
    order = np.argsort(np.concatenate(chosen))
    return windows.choose(np.concatenate(chosen)[order]), np.concatenate(stands_for)[order]
