"""Measures how accurate predictions are with a bad tracker.

Simulated faults of trackers are added to recorded motion. The faulty motion goes, frame by frame,
through the tracking code of the node. Predictions are compared with the recording without faults.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tabulate import tabulate
from torch import Tensor
from tqdm import tqdm

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import load_checkpoint
from motion_predictor.model.frames import to_features
from motion_predictor.prediction import Prediction
from motion_predictor.predictor import MotionPredictor
from motion_predictor.tracking.history import ObservedWindow
from motion_predictor.tracking.people import People
from motion_predictor.tracking.scene import Observation
from motion_predictor_training.data.windows import cut_windows
from motion_predictor_training.evaluation.faults import FAULTS, Fault, Source
from motion_predictor_training.evaluation.unfamiliar import familiarity_table, measure_familiarity
from motion_predictor_training.predicting.every_window import predictor_of

FloatArray = NDArray[np.float32]
LEAD_S = 0.5
"""Time before the history in which the plausibility checks of the tracking code warm up."""
TOGETHER = 8


def measure_robustness(
    checkpoint_path: str | Path,
    archive_path: Path,
    samples: int = 50,
    stride: int = 30,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure the errors of a checkpoint under each simulated fault of a tracker.

    Args:
        checkpoint_path: file of the checkpoint, or "default" for the one that ships.
        archive_path: motion archive to measure on.
        samples: number of samples per window, S of "best of S".
        stride: number of frames between the starts of windows.
        seed: seed of the random faults.

    Returns:
        `rows` has the following figures for each fault. `predicted`: share of windows for which
        the node would make a prediction. All figures except `predicted` count only windows with a
        prediction. `ADE`, `FDE` (of the pose) and `root_ADE_m`: errors of the best of S samples,
        metres. `coverage`: share of all joints that are within the published radius.
        `coverage_unseen`: among the joints that are missing in the newest frame, the share that is
        within the published radius. Both coverages exist only if the checkpoint is calibrated.
        `observed`: fraction of positions that were observed. `rejected`: number of rejected
        observations by reason. `joint_error_m`: for each joint, the error of the mean in windows
        whose newest frame has the joint. `joint_seen`: for each joint, the share of windows whose
        newest frame has the joint.

        `familiarity`: result of `measure_familiarity`. Further entries describe the checkpoint and
        the archive.

    Raises:
        ArchiveError: if the archive has no window for this model.
    """
    checkpoint = load_checkpoint(checkpoint_path)
    header = checkpoint.header
    window = header.window
    archive = load_archive(archive_path)
    lead = round(LEAD_S * window.rate_hz)
    seen = lead + window.history_frames
    windows = cut_windows(
        archive, header.layout, window.rate_hz, seen + window.future_frames, stride
    )
    predictor = predictor_of(checkpoint, samples)
    motions = windows.all()
    rows = {
        name: _row(predictor, motions[:, :seen], motions[:, seen:], fault, seed)
        for name, fault in tqdm(FAULTS.items(), desc=header.name, leave=False, disable=None)
    }
    return {
        'checkpoint': checkpoint.model_id,
        'archive': archive.fingerprint,
        'windows': len(windows),
        'stride': stride,
        'samples': samples,
        'nominal': None if np.isnan(predictor.coverage) else predictor.coverage,
        'rows': rows,
        'familiarity': measure_familiarity(checkpoint, archive, stride, seed),
    }


def table(result: dict[str, Any]) -> str:
    """Return the rows of `measure_robustness` as a table, with the change from clean input.

    The table is for a terminal, and is also valid Markdown.
    """
    clean = result['rows']['clean']
    lines = []
    for name, row in result['rows'].items():
        errors = [_against(row, clean, key) for key in ('ADE', 'FDE', 'root_ADE_m')]
        errors.append(_of_seen_joints(row, clean))
        shares = [row.get(key) for key in ('coverage', 'coverage_unseen', 'observed', 'predicted')]
        lines.append([name, *(part for error in errors for part in error), *shares])
    head = [
        '',
        'ADE',
        '',
        'FDE',
        '',
        'root ADE m',
        '',
        'mean mm',
        '',
        'coverage',
        'of unseen',
        'observed',
    ]
    return tabulate(lines, [*head, 'predicted'], tablefmt='github', floatfmt='.3f')


def markdown(result: dict[str, Any]) -> str:
    """Return the result of `measure_robustness` as a page of Markdown."""
    nominal = f', nominal coverage {result["nominal"]:.0%}' if result['nominal'] else ''
    about = (
        f'`{result["checkpoint"]}` on {result["windows"]} windows of the archive '
        f'{result["archive"]}, one every {result["stride"]} frames, best of {result["samples"]} '
        f'samples{nominal}. Percentages are against clean input.'
    )
    parts = ['# Robustness', about, table(result)]
    if result['familiarity']:
        parts += ['## Unfamiliar motion', familiarity_table(result['familiarity'])]
    return '\n\n'.join(parts) + '\n'


def _against(row: dict[str, Any], clean: dict[str, Any], key: str) -> tuple[float | None, str]:
    """Return a figure, and its difference from the figure for clean input, as text."""
    if row.get(key) is None:
        return None, ''
    return row[key], '' if row is clean else f'{row[key] / clean[key] - 1:+.0%}'


def _of_seen_joints(row: dict[str, Any], clean: dict[str, Any]) -> tuple[float | None, str]:
    """Return the mean's error (mm) at joints that the newest frame has, and the error's change."""
    if 'joint_error_m' not in row:
        return None, ''
    seen = np.array(row['joint_seen'])
    ours, before = (
        1000 * np.average(which['joint_error_m'], weights=seen) for which in (row, clean)
    )
    return float(ours), '' if row is clean else f'{ours / before - 1:+.0%}'


def _row(
    predictor: MotionPredictor, observed: Tensor, futures: Tensor, fault: Fault, seed: int
) -> dict[str, Any]:
    """Measure all windows under one simulated fault."""
    header = predictor.checkpoint.header
    source = Source(header.layout, header.window.rate_hz, np.random.default_rng(seed))
    rejected: Counter[str] = Counter()
    windows: list[ObservedWindow] = []
    truths: list[Tensor] = []
    newest: list[FloatArray] = []  # the newest observed frame (J, 3) of each window
    for motion, future in zip(observed.numpy(), futures, strict=True):
        faulty = fault(motion.copy(), source)
        window = _follow(predictor, faulty, rejected)
        if window is not None:
            windows.append(window)
            truths.append(future)
            newest.append(faulty[-1])
    row: dict[str, Any] = {
        'predicted': len(windows) / len(observed),
        'rejected': dict(rejected),
        'observed': float(np.mean([w.observed_fraction for w in windows])) if windows else 0.0,
    }
    parts = [
        _figures(predictor, windows[first : first + TOGETHER], truths[first : first + TOGETHER])
        for first in range(0, len(windows), TOGETHER)
    ]
    figures = (
        {name: torch.cat([part[name] for part in parts]) for name in parts[0]} if parts else {}
    )
    if figures:
        error = figures.pop('joint_error_m').numpy()  # (B, J)
        seen = np.isfinite(newest).all(-1)  # (B, J)
        row['joint_error_m'] = ((error * seen).sum(0) / seen.sum(0).clip(min=1)).tolist()
        row['joint_seen'] = seen.mean(0).tolist()
    for name, values in figures.items():
        row[name] = float(values.double().mean()) if len(values) else None
    return row


def _follow(
    predictor: MotionPredictor, motion: FloatArray, rejected: Counter[str]
) -> ObservedWindow | None:
    """Return the history from which the node would predict after a motion (T, J, 3).

    The result is None if the node would make no prediction. Frames without any joint are not sent
    to the tracking code.
    """
    window = predictor.checkpoint.header.window
    people = People(  # the defaults of the other arguments are those of the node
        predictor.checkpoint.header.layout,
        window.rate_hz,
        window.history_frames,
        max_people=1,
    )
    for frame, pose in enumerate(motion):
        if np.isfinite(pose).any():
            stamp_ns = round((1 + frame / window.rate_hz) * 1e9)
            people.update(stamp_ns, [Observation('person', pose)])
    scene = people.scene()
    rejected.update(people.rejected)
    (person,) = scene.people if scene is not None and scene.people else (None,)
    return None if person is None else person.window


def _figures(
    predictor: MotionPredictor, windows: Sequence[ObservedWindow], truths: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Predict a few windows and return their figures, by name.

    Most figures have one value for each window. `joint_error_m` has one value for each joint of
    each window. `coverage_unseen` has one value for each unseen joint.
    """
    doubt_m = np.stack([w.doubt_m for w in windows])
    prediction: Prediction = predictor.predict(np.stack([w.positions for w in windows]))
    prediction = prediction.widened(doubt_m)
    samples, truth = torch.from_numpy(prediction.samples), torch.stack(list(truths))
    pose_error = torch.linalg.vector_norm(
        to_features(samples, False) - to_features(truth, False)[:, None], dim=-1
    )  # (B, S, F)
    root_error = torch.linalg.vector_norm(samples[..., 0, :] - truth[:, None, :, 0], dim=-1)
    error = torch.linalg.vector_norm(
        torch.from_numpy(prediction.mean) - truth, dim=-1
    )  # (B, F, J)
    figures = {
        'joint_error_m': error.mean(1),
        'ADE': pose_error.mean(2).amin(1),
        'FDE': pose_error[..., -1].amin(1),
        'root_ADE_m': root_error.mean(2).amin(1),
    }
    if not np.isnan(prediction.coverage):
        held = (error <= torch.from_numpy(prediction.radius)).float()  # (B, F, J)
        figures['coverage'] = held.mean((1, 2))
        figures['coverage_unseen'] = held.mean(1)[torch.from_numpy(doubt_m > 0)]
    return figures
