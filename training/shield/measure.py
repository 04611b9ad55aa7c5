"""`train shield`: measures how much time a robot arm loses when it avoids predicted people.

The arm moves only if a stop would touch no ball around the predicted joints of a person.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from motion_predictor.archive import ArchiveError, MotionArchive, load_archive
from motion_predictor.checkpoint import load_checkpoint
from motion_predictor.planning.flesh import Limbs
from motion_predictor_training.config import CalibrationConfig, ConfigError
from motion_predictor_training.data.known_people import SEEN, Known
from motion_predictor_training.data.windows import Windows, cut_windows
from motion_predictor_training.evaluation.measures.per_window import plain
from motion_predictor_training.shield.forecasts import foresee
from motion_predictor_training.shield.simulate import SPEEDS, Cell, Outcome, Recorded, simulate

CONFIDENCE = 0.95
"""Confidence of the upper bound of the share of misses."""


def measure_shield(
    checkpoint_path: str | Path,
    archive_path: Path,
    calibration_paths: Sequence[Path],
    config: CalibrationConfig,
    coverages: Sequence[float] | None = None,
    cell: Cell | None = None,
    scenes: int = 20_000,
    stride: int = 12,
    samples: int = 50,
    seen: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Measure how much time an arm loses when it avoids balls around the predicted joints.

    The result also says how often the arm touches a person although its stop was verified. People
    whom the checkpoint was trained or calibrated on are left out.

    Args:
        checkpoint_path: "default" or the path of a calibrated checkpoint.
        archive_path: archive of the people beside the arm.
        calibration_paths: archives of other people, on which the baselines are calibrated.
        config: settings of the calibration of the baselines.
        coverages: coverages to measure; None for all calibrated coverages of the checkpoint.
        cell: settings of the arm; None for the default settings.
        scenes: number of simulated control cycles.
        stride: number of frames between the starts of two windows.
        samples: number of samples that the model draws per prediction.
        seen: names of further people to leave out.
        seed: seed of all random numbers.

    Returns:
        A dictionary, in which `sets` has one entry for each method and coverage. `full_speed`,
        `slowed` and `stopped` are shares of the control cycles. `lost_time` is the share of time
        that the arm loses. `cycles` gives the share of misses among the verified control cycles.
        In a miss, the person touched a part of the arm that was too fast. `at_most` is the upper
        bound of the share of misses (Clopper and Pearson 1934, one-sided). `moments` gives the
        share of misses for windows instead of control cycles. A window counts as a miss if any
        control cycle with this window is a miss. `by_person` gives the lost time and the share of
        misses for each person. Further entries of the dictionary describe the data of the
        measurement.

    Raises:
        ArchiveError: if no person is left, or no person has all joints measured for long enough.
        ConfigError: if predictions are too short for a stop, or if a person beside the arm is also
            in an archive for calibration.
        ValueError: if the checkpoint is not calibrated for a coverage.
        FleshError: if no limbs are known for the layout.
    """
    cell = cell or Cell()
    checkpoint = load_checkpoint(checkpoint_path)
    header = checkpoint.header
    if coverages is None:
        coverages = header.calibration.coverages if header.calibration else (0.95,)
    limbs = Limbs.of(header.layout.name, tuple(header.layout.joint_names))
    archive = load_archive(archive_path)
    calibration = [load_archive(path) for path in calibration_paths]
    rate_hz = header.window.rate_hz
    frames = cell.frames(rate_hz)
    history_frames, future_frames = header.window.history_frames, header.window.future_frames
    if frames[-1] > future_frames:
        raise ConfigError(
            f'a stop takes {frames[-1] / rate_hz:g} s, but {checkpoint.model_id} predicts '
            f'only {future_frames / rate_hz:g} s'
        )
    windows = cut_windows(archive, header.layout, rate_hz, history_frames + frames[-1], stride)
    windows, left_out = _unknown(windows, archive, Known.to(header).also(seen))
    _require_others(archive, windows, calibration)
    motion = windows.all()
    recorded = Recorded(
        motion[:, history_frames - 1].numpy(),
        motion[:, [history_frames + frame - 1 for frame in frames]].numpy(),
        _floors(windows),
        np.array(archive.subjects)[windows.clips],
    )
    foreseen = foresee(
        checkpoint, archive, windows, calibration, frames, coverages, samples, config
    )
    outcomes, of_windows = simulate(foreseen, recorded, limbs, cell, rate_hz, scenes, seed)
    people = recorded.people[of_windows]
    result = {
        'checkpoint': checkpoint.model_id,
        'archive': archive.fingerprint,
        'calibrated_on': [other.fingerprint for other in calibration],
        'people': {str(name): int((people == name).sum()) for name in np.unique(people)},
        'left_out': left_out,
        'windows': len(windows),
        'scenes': len(of_windows),
        'seed': seed,
        'samples': samples,
        'stride': stride,
        'cell': vars(cell) | {'speeds': SPEEDS},
        'confidence': CONFIDENCE,
        'sets': [
            {'name': kind.name, 'coverage': kind.coverage} | _figures(outcome, of_windows, people)
            for kind, outcome in zip(foreseen, outcomes, strict=True)
        ],
    }
    return plain(result)


def _figures(
    outcome: Outcome, windows: NDArray[np.int64], people: NDArray[np.str_]
) -> dict[str, Any]:
    verified = outcome.speed > 0
    moments, missed = np.unique(windows[verified]), np.unique(windows[outcome.missed])
    return {
        'full_speed': (outcome.speed == 1).mean(),
        'slowed': (verified & (outcome.speed < 1)).mean(),
        'stopped': (~verified).mean(),
        'lost_time': 1 - outcome.speed.mean(),
        'cycles': _bounded(int(outcome.missed.sum()), int(verified.sum())),
        'moments': _bounded(len(missed), len(moments)),
        'by_person': {
            str(name): {'lost_time': 1 - outcome.speed[people == name].mean()}
            | _bounded(int(outcome.missed[people == name].sum()), int((verified & own).sum()))
            for name in np.unique(people)
            for own in [people == name]
        },
    }


def _bounded(missed: int, verified: int) -> dict[str, Any]:
    """Return the share of misses and its upper bound at CONFIDENCE, for independent cycles."""
    if not verified:
        return {'missed': 0, 'verified': 0, 'share': float('nan'), 'at_most': 1.0}
    test = binomtest(missed, verified, alternative='less')
    bound = float(test.proportion_ci(CONFIDENCE, 'exact').high)
    return {'missed': missed, 'verified': verified, 'share': missed / verified, 'at_most': bound}


def _unknown(windows: Windows, archive: MotionArchive, known: Known) -> tuple[Windows, list[str]]:
    """Return the windows of people unknown to the checkpoint, and the names of known people.

    Known people were used to train or to calibrate the checkpoint.
    """
    left_out = [name for name, how in known.of(archive).items() if how == SEEN]
    kept = np.flatnonzero(~np.isin(np.array(archive.subjects)[windows.clips], left_out))
    if not len(kept):
        raise ArchiveError(
            'the checkpoint was trained or calibrated on everybody in the archive '
            f'({", ".join(left_out)}): take other people'
        )
    return windows.choose(kept), left_out


def _require_others(
    archive: MotionArchive, windows: Windows, calibration: Sequence[MotionArchive]
) -> None:
    beside = {archive.subjects[clip] for clip in np.unique(windows.clips)} - {''}
    for other in calibration:
        both = sorted(beside & set(other.subjects))
        if both or other.fingerprint == archive.fingerprint:
            raise ConfigError(
                'the baselines must be calibrated on other people than those beside the '
                'arm, but both archives hold '
                f'{", ".join(both) or "it is the same archive"}'
            )


def _floors(windows: Windows) -> NDArray[np.float32]:
    """Return the height of the floor for each window: the lowest joint of its clip (W,)."""
    of_clip = {
        clip: np.nanmin(windows.motion[windows.bounds[clip] : windows.bounds[clip + 1], :, 2])
        for clip in np.unique(windows.clips).tolist()
    }
    return np.array([of_clip[clip] for clip in windows.clips.tolist()], np.float32)
