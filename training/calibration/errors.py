"""Data of a calibration: errors of predictions, with the person and the state of each window."""

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
"""Windows that start closer together than this count as one."""
KNOTS = 16


@dataclass(frozen=True)
class Scores:
    """W predicted windows, at K of the future frames, for each of R numbers of samples."""

    times_s: FloatArray  # (K,) times of the frames after the last observation
    people: NDArray[np.str_]  # (W,) name of the person
    trained: NDArray[np.bool_]  # (W,) whether the network was trained on the person
    share: FloatArray  # (W,) share of an independent window that it stands for (APART_S)
    state: State  # states of the W windows
    spread: FloatArray  # (R, W, K, J) spread of the samples, metres
    error: FloatArray  # (R, W, K, J) error of the mean, metres; NaN where it is unknown

    def __len__(self) -> int:
        return len(self.people)

    def choose(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> 'Scores':
        """Return some of the windows."""
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
        """Return the terms of the expected error that are the same at all frames (A', W, J).

        Args:
            parts: part of each joint (J,).
        """
        return np.stack(state_terms(self.state, trunk_of(parts)))


def knots_of(frames: int) -> tuple[int, ...]:
    """Return the future frames, 1 to `frames`, that are calibrated; they are denser at first."""
    spaced = np.geomspace(1, frames, KNOTS)
    return tuple(sorted({round(frame) for frame in spaced.tolist()}))


def score(
    predictor: MotionPredictor,
    archive: MotionArchive,
    samples: Sequence[int],
    config: CalibrationConfig,
    trained: Sequence[bool],
) -> Scores:
    """Predict windows of an archive and compare them with what then happened.

    Windows may be partial, for example of a person behind a bench. They are completed as in the
    node. A joint counts only if it was seen in the last frame of the history and measured in the
    future. For other joints a doubt is added to the radius (`Prediction.widened`).

    Args:
        predictor: predictor that draws the largest of the numbers of samples.
        archive: recorded motion.
        samples: R numbers of samples, the largest first. For each, the first samples are used.
        config: says which windows are used.
        trained: for each clip, whether the network was trained on its person.
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
    """Return the windows of an archive for calibration, their people (W,) and shares (W,).

    The share says what part of an independent window each stands for, see `Scores`.
    """
    windows = model_windows(archive, header, config.stride, partial=True)
    windows, share = _thinned(archive, windows, config.windows_per_person)
    share = share * config.stride / (APART_S * header.window.rate_hz)
    return windows, people_of(archive)[windows.clips], np.minimum(share, 1).astype(np.float32)


def together(parts: Sequence[Scores]) -> Scores:
    """Return the windows of several archives; people of the same name are the same person."""
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
    """Return at most `most` windows of each person, and how many windows each stands for (W,)."""
    owners = people_of(archive)[windows.clips]
    chosen, stands_for = [], []
    for person in np.unique(owners):
        own = np.flatnonzero(owners == person)
        kept = own[np.linspace(0, len(own) - 1, min(most, len(own))).round().astype(int)]
        chosen.append(kept)
        stands_for.append(np.full(len(kept), len(own) / len(kept), np.float32))
    order = np.argsort(np.concatenate(chosen))
    return windows.choose(np.concatenate(chosen)[order]), np.concatenate(stands_for)[order]
