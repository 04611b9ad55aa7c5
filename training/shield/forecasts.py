"""What is compared: ways to foresee a person, each with sets that are to hold them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Checkpoint, Header
from motion_predictor.model.statistics import spread_of
from motion_predictor.uncertainty.calibration import Calibration, parts_of
from motion_predictor.uncertainty.reach import greatest_speed
from motion_predictor.uncertainty.sets import Sets
from motion_predictor.uncertainty.state import State, StateReader
from motion_predictor_training.calibration.errors import (
    Scores,
    calibration_windows,
    knots_of,
    together,
)
from motion_predictor_training.calibration.fit_sets import fit_sets
from motion_predictor_training.config import CalibrationConfig
from motion_predictor_training.data.hidden import complete
from motion_predictor_training.data.windows import Windows
from motion_predictor_training.predicting.baselines import baselines
from motion_predictor_training.predicting.every_window import CHUNK, predict_windows, predictor_of

FloatArray = NDArray[np.float32]
UNLEARNT = ('zero_velocity', 'constant_velocity')
"""Baselines, as `baselines` calls them."""
ISO = 'ISO 13855'


@dataclass(frozen=True)
class Foreseen:
    """Sets of one kind, of W windows at T frames."""

    name: str
    coverage: float | None
    """What is promised; None of ISO 13855, which knows no probability."""
    mean: FloatArray
    """(W, T, J, 3) metres."""
    radius: FloatArray
    """(W, T, J) metres."""


def foresee(
    checkpoint: Checkpoint,
    windows: Windows,
    calibration_archives: Sequence[MotionArchive],
    frames: Sequence[int],
    coverages: Sequence[float],
    samples: int,
    config: CalibrationConfig,
) -> list[Foreseen]:
    """Return all kinds of sets of the windows, those of the same mean one after the other.

    Args:
        checkpoint: of our predictions, calibrated for the coverages.
        windows: histories, and what then happened.
        calibration_archives: that the sets of `UNLEARNT` are calibrated on, as ours were: by
            conformal factors in groups of joint and speed, with an expected error of their own.
        frames: (T,) from 1 on, the future frames that are looked at.
        coverages: that are promised.
        samples: of our predictions.
        config: of the calibration.

    Raises:
        ValueError: if the checkpoint is not calibrated for a coverage.
    """
    header = checkpoint.header
    chosen = np.array(frames) - 1
    state, unlearnt = _seen(header, windows, chosen)
    speed_m_s = greatest_speed(header.layout)
    reach_m = np.array(frames)[:, None] / header.window.rate_hz * speed_m_s  # (T, J)
    still = unlearnt['zero_velocity']
    radius = np.broadcast_to(reach_m.astype(np.float32), still.shape[:3])
    found = [Foreseen(ISO, None, still, radius)]
    for name, mean in unlearnt.items():
        title = name.replace('_', ' ')
        shape = len(mean), header.window.future_frames, mean.shape[2]
        none: FloatArray = np.zeros(shape, np.float32)
        calibrated = _calibrated(name, header, calibration_archives, coverages, config)
        for coverage, sets in calibrated:
            found += _kinds(title, coverage, mean, sets, state, none, 1, chosen)
    mean, spread = _predicted(checkpoint, windows, samples, chosen)
    for coverage in coverages:
        ours = checkpoint.sets(coverage)
        if ours is None:
            raise ValueError(f'{checkpoint.model_id} is not calibrated: it has no sets')
        found += _kinds('ours', coverage, mean, ours, state, spread, samples, chosen)
    return found


def _kinds(
    name: str,
    coverage: float,
    mean: FloatArray,
    sets: Sets,
    state: State,
    spread: FloatArray,
    samples: int,
    chosen: NDArray[np.int64],
) -> list[Foreseen]:
    """Return the sets of single joints and of whole bodies."""
    balls = sets(state, spread, samples)
    if balls is None:
        raise ValueError(f'there is no promise for {samples} samples: take more')
    radius, body_scale = balls[0][:, chosen], balls[1][:, chosen, None]
    return [
        Foreseen(f'{name}, joints', coverage, mean, radius),
        Foreseen(f'{name}, whole body', coverage, mean, radius * body_scale),
    ]


def _seen(
    header: Header, windows: Windows, chosen: NDArray[np.int64]
) -> tuple[State, dict[str, FloatArray]]:
    """Return the state of the people, and what needs no learning (W, T, J, 3) by name."""
    read = StateReader(header.window.history_frames, header.window.rate_hz)
    states = []
    futures: dict[str, list[FloatArray]] = {name: [] for name in UNLEARNT}
    frames = int(chosen.max()) + 1
    for history in _histories(header, windows):
        states.append(read(history.numpy()))
        ahead = baselines(history, frames, header.window.rate_hz)
        for name, of_name in futures.items():
            of_name.append(ahead[name][:, chosen].numpy())
    state = State(*map(np.concatenate, zip(*states, strict=True)))
    return state, {n: np.concatenate(f) for n, f in futures.items()}


def _predicted(
    checkpoint: Checkpoint, windows: Windows, samples: int, chosen: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Return our means (W, T, J, 3) and the spread of the samples (W, F, J)."""
    means, spreads = [], []
    for predicted in predict_windows(predictor_of(checkpoint, samples), windows):
        means.append(predicted.mean[:, chosen].numpy())
        spreads.append(spread_of(predicted.samples, predicted.mean).numpy())
    return np.concatenate(means), np.concatenate(spreads)


def _calibrated(
    name: str,
    header: Header,
    archives: Sequence[MotionArchive],
    coverages: Sequence[float],
    config: CalibrationConfig,
) -> Iterator[tuple[float, Sets]]:
    """Yield the sets of what needs no learning, calibrated to its own errors, by coverage."""
    scores = together([_score(name, header, archive, config) for archive in archives])
    calibration = Calibration(
        kind='conditional',
        coverages=tuple(sorted(coverages)),
        samples=(1,),
        frames=knots_of(header.window.future_frames),
        speeds=tuple(config.speeds),
        body_speeds=tuple(config.body_speeds),
        paces=tuple(config.paces),
        people=len(np.unique(scores.people)),
        windows=max(1, round(float(scores.share.sum()))),
    )
    tensors, _ = fit_sets(scores, calibration, parts_of(header.layout), config)
    for coverage in coverages:
        frames = header.window.future_frames
        yield coverage, Sets(calibration, tensors, header.layout, frames, coverage)


def _score(name: str, header: Header, archive: MotionArchive, config: CalibrationConfig) -> Scores:
    """Compare what needs no learning with what then happened."""
    windows, people, share = calibration_windows(archive, header, config)
    frames = np.array(knots_of(header.window.future_frames)) - 1
    history_frames, rate_hz = header.window.history_frames, header.window.rate_hz
    read = StateReader(history_frames, rate_hz)
    motion = windows.all()
    seen, future = motion[:, :history_frames], motion[:, history_frames:]
    hidden = np.zeros(seen.shape[:3], bool)
    history, doubt_m = complete(seen, hidden, header.layout, rate_hz)
    mean = baselines(history, future.shape[1], rate_hz)[name]
    error = torch.linalg.vector_norm(mean - future, dim=-1)[:, frames].numpy()
    error[np.broadcast_to(doubt_m[:, None] > 0, error.shape)] = np.nan
    return Scores(
        people=people,
        trained=np.zeros(len(people), bool),
        share=share,
        state=read(history.numpy()),
        spread=np.zeros((1, *error.shape), np.float32),
        error=error[None],
    )


def _histories(header: Header, windows: Windows) -> Iterator[torch.Tensor]:
    for first in range(0, len(windows), CHUNK):
        chosen = np.arange(first, min(first + CHUNK, len(windows)))
        yield windows.batch(chosen)[:, : header.window.history_frames]
