"""The predictions that `train shield` compares, each with balls around the predicted joints."""

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
from motion_predictor_training.shield.correction import corrected, observations

FloatArray = NDArray[np.float32]
UNLEARNT = ('zero_velocity', 'constant_velocity')
"""Names of the baselines (predictions without learning) that are compared; see `baselines`."""
ISO = 'ISO 13855'


@dataclass(frozen=True)
class Foreseen:
    """Balls around predicted joints from one method, for W windows at T frames."""

    name: str
    coverage: float | None
    """The promised coverage; None for ISO 13855, which has no probability."""
    mean: FloatArray
    """(W, T, J, 3) centres of the balls, metres."""
    radius: FloatArray
    """(W, T, J) radii of the balls, metres."""


def foresee(
    checkpoint: Checkpoint,
    archive: MotionArchive,
    windows: Windows,
    calibration_archives: Sequence[MotionArchive],
    frames: Sequence[int],
    coverages: Sequence[float],
    samples: int,
    config: CalibrationConfig,
) -> list[Foreseen]:
    """Return the balls of all methods for the windows.

    In the result, methods with the same predicted mean stand next to each other.

    Args:
        checkpoint: checkpoint of the model under test, calibrated for the coverages.
        archive: archive from which the windows come.
        windows: recorded histories with their futures.
        calibration_archives: archives on which the baselines in `UNLEARNT` are calibrated. Each
            baseline is calibrated like the model. It has its own expected error. Its scores are
            grouped by joint and speed, and each group has its own conformal factor.
        frames: numbers of the future frames, from 1 on (T,).
        coverages: the promised coverages.
        samples: number of samples that the model draws per prediction.
        config: settings of the calibration of the baselines.

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
    observed = observations(archive, header, windows)
    everywhere = np.arange(header.window.future_frames)
    mean, spread = _predicted(checkpoint, observed, samples, everywhere)
    state = _state(header, observed)
    at = np.searchsorted(observed.starts, windows.starts)
    here = mean[at][:, chosen]
    for name, corrects in (('ours', False), ('ours corrected', True)):
        for coverage in coverages:
            ours = checkpoint.sets(coverage)
            if ours is None:
                raise ValueError(f'{checkpoint.model_id} is not calibrated, so it has no sets')
            radius, body_scale = _balls(ours, state, spread, samples)
            if corrects:
                radius = corrected(observed, archive.subjects, header, mean, radius, coverage)
            radius, body_scale = radius[at][:, chosen], body_scale[at][:, chosen]
            found += _joints_and_bodies(name, coverage, here, radius, body_scale)
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
    """Return the balls for single joints and the balls for whole bodies."""
    radius, body_scale = _balls(sets, state, spread, samples)
    balls = radius[:, chosen], body_scale[:, chosen]
    return _joints_and_bodies(name, coverage, mean, *balls)


def _balls(
    sets: Sets, state: State, spread: FloatArray, samples: int
) -> tuple[FloatArray, FloatArray]:
    """Return radii in metres (W, F, J), and factors that enlarge radii for whole bodies (W, F)."""
    balls = sets(state, spread, samples)
    if balls is None:
        raise ValueError(f'the checkpoint is not calibrated for {samples} samples: draw more')
    return balls


def _joints_and_bodies(
    name: str, coverage: float, mean: FloatArray, radius: FloatArray, body_scale: FloatArray
) -> list[Foreseen]:
    return [
        Foreseen(f'{name}, joints', coverage, mean, radius),
        Foreseen(f'{name}, whole body', coverage, mean, radius * body_scale[..., None]),
    ]


def _state(header: Header, windows: Windows) -> State:
    read = StateReader(header.window.history_frames, header.window.rate_hz)
    states = [read(history.numpy()) for history in _histories(header, windows)]
    return State(*map(np.concatenate, zip(*states, strict=True)))


def _seen(
    header: Header, windows: Windows, chosen: NDArray[np.int64]
) -> tuple[State, dict[str, FloatArray]]:
    """Return the people's state of motion, and baseline predictions by name (W, T, J, 3)."""
    futures: dict[str, list[FloatArray]] = {name: [] for name in UNLEARNT}
    frames = int(chosen.max()) + 1
    for history in _histories(header, windows):
        ahead = baselines(history, frames, header.window.rate_hz)
        for name, of_name in futures.items():
            of_name.append(ahead[name][:, chosen].numpy())
    return _state(header, windows), {n: np.concatenate(f) for n, f in futures.items()}


def _predicted(
    checkpoint: Checkpoint, windows: Windows, samples: int, chosen: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Return the means of the model's predictions (W, T, J, 3), and spreads of samples (W, F, J).

    The means are given only at the T frames in `chosen`. The spreads are given at all F future
    frames.
    """
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
    """Yield each coverage with the baseline's balls, calibrated on errors of this baseline."""
    scores = together([_score(name, header, archive, config) for archive in archives])
    calibration = Calibration(
        kind='floored',
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
    """Return the errors of a baseline on recorded motion."""
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
        times_s=((frames + 1) / rate_hz).astype(np.float32),
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
