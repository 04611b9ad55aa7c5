"""Evaluation of a checkpoint beside the two baselines that every predictor must beat."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.archive import ArchiveError, MotionArchive, load_archive
from motion_predictor.checkpoint import Checkpoint, load_checkpoint
from motion_predictor.frames import to_features
from motion_predictor.model.statistics import speed_of
from motion_predictor_training.data.windows import Windows, model_windows
from motion_predictor_training.measures import (
    Measured,
    Sums,
    divergence_bits,
    measure,
    measure_truth,
)
from motion_predictor_training.metrics import METRIC_NAMES, window_metrics
from motion_predictor_training.prediction import Predicted, predict_windows, predictor_of
from motion_predictor_training.sampling import Precision

ROWS = ('model', 'zero_velocity', 'constant_velocity')
HORIZON_STEP_S = 0.1
SHOWN = {'easy': 0.1, 'typical': 0.5, 'hard': 0.9}
"""Windows that are shown: the quantiles of the model's ADE at which they lie."""
SIMILAR_AT_ONCE = 256
WALKING_M_S = 0.6
"""Whoever's root went at least so fast over the ground in the history walks."""

Groups = dict[str, dict[str, dict[str, Sums]]]
"""Sums by kind of group ('subject'), group ('13') and row ('model')."""


RECORDED = (*METRIC_NAMES, 'root_ADE_m')


def zero_velocity(history: Tensor, future_frames: int) -> Tensor:
    """Continue histories (B, H, J, 3) by standing still: (B, F, J, 3)."""
    return history[:, -1:].expand(-1, future_frames, -1, -1)


def constant_velocity(history: Tensor, future_frames: int) -> Tensor:
    """Continue histories (B, H, J, 3) with the velocity of their last two frames."""
    steps = torch.arange(1, future_frames + 1, dtype=history.dtype)[:, None, None]
    return history[:, -1:] + steps * (history[:, -1:] - history[:, -2:-1])


def evaluate_checkpoint(
    checkpoint_path: str | Path,
    archive_path: Path,
    samples: int = 50,
    stride: int = 30,
    multimodal_threshold: float = 0.4,
    seen: Sequence[str] = (),
    precision: Precision = 'float32',
) -> dict[str, Any]:
    """Measure a checkpoint on an archive as the published protocol does, with more beside it.

    Windows are measured a few at a time and summed up, so that memory does not grow with the
    archive, which itself is held once.

    Args:
        checkpoint_path: "default" or a file.
        archive_path: a motion archive.
        samples: S of best of S.
        stride: frames between the starts of windows.
        multimodal_threshold: see `metrics`; published are 0.5 on Human3.6M and 0.4 on AMASS.
        seen: subjects that were trained on.
        precision: in which the network of a one-step model runs.

    Returns:
        Metres unless a name says otherwise:
        `rows`: the protocol's metrics and the figures of `measures`, of the model and baselines;
        `truth`: those figures that what happened has itself, to compare with;
        `horizon`: errors of the rows at `times_s`; `joints`: errors of the rows by joint;
        `coverage` of the radius, where calibrated;
        `groups`: rows and coverage by `category`, `subject`, `training` (seen, unseen) and `pace`
        (walking, slower: of the root in the history);
        `shown`: windows that are easy, typical and hard for the model;
        and what they were measured on.

    Raises:
        ArchiveError: if there is nothing to measure on.
        ValueError: if the threshold is not positive.
    """
    if not multimodal_threshold > 0:
        raise ValueError(f'the multimodal threshold must be positive, got {multimodal_threshold}')
    checkpoint = load_checkpoint(checkpoint_path)
    archive = load_archive(archive_path)
    if seen and not any(archive.subjects):
        raise ArchiveError(f'{archive_path} names no subjects that could have been seen')
    windows = model_windows(archive, checkpoint.header, stride)
    whole: dict[str, Sums] = {}
    groups: Groups = {}
    errors = np.empty(len(windows), np.float32)  # the model's ADE
    predictor = predictor_of(checkpoint, samples, precision=precision)
    for predicted in predict_windows(predictor, windows):
        measured = _measure(checkpoint, predicted, windows, multimodal_threshold)
        errors[predicted.windows] = measured['model']['figures']['ADE']
        _add(whole, measured, range(len(predicted.windows)))
        clips = windows.clips[predicted.windows]
        speeds = speed_of(predicted.history.numpy(), checkpoint.header.window.rate_hz)
        for position, clip in enumerate(clips):
            walks = bool(speeds[position] >= WALKING_M_S)
            for kind, name in _groups_of(archive, clip, seen, walks).items():
                _add(groups.setdefault(kind, {}).setdefault(name, {}), measured, [position])
    joints = checkpoint.header.layout.joint_names
    result: dict[str, Any] = {
        'checkpoint': checkpoint.model_id,
        'archive': archive.fingerprint,
        'windows': len(windows),
        'stride': stride,
        'samples': samples,
        'multimodal_threshold': multimodal_threshold,
        'seen': list(seen),
        **_summary(whole),
        'truth': _figures(whole['truth']),
        'horizon': _horizon(whole, checkpoint.header.window.rate_hz),
        'joints': {
            row: {
                name: dict(zip(joints, errors_mm.tolist(), strict=True))
                for name, errors_mm in whole[row].mean('joints').items()
            }
            for row in ROWS
        },
        'groups': {
            kind: {name: _summary(sums) for name, sums in sorted(by_name.items())}
            for kind, by_name in groups.items()
        },
        'shown': _shown(errors, windows, archive),
    }
    for name, group in result['groups'].get('subject', {}).items():
        group['seen'] = name in seen
    if whole['model'].mean('coverage'):
        result['coverage'] = {
            'nominal': predictor.coverage,
            **_coverage(whole['model'], checkpoint),
        }
    return result


def record(result: dict[str, Any], checkpoint_path: str | Path, out: Path) -> None:
    """Write a copy of a checkpoint whose header holds what was measured of it."""
    checkpoint = load_checkpoint(checkpoint_path)
    facts = ('archive', 'windows', 'stride', 'samples', 'coverage')
    metrics = {name: result[name] for name in facts if name in result}
    metrics |= {
        row: {name: value for name, value in result['rows'][row].items() if name in RECORDED}
        for row in ('model', 'zero_velocity')
    }
    checkpoint.header = checkpoint.header.model_copy(update={'metrics': metrics})
    checkpoint.save(out)


def predict_shown(
    checkpoint_path: str | Path, archive_path: Path, result: dict[str, Any]
) -> Predicted:
    """Predict the windows that a result shows once more, as they were predicted then."""
    checkpoint = load_checkpoint(checkpoint_path)
    windows = model_windows(load_archive(archive_path), checkpoint.header, result['stride'])
    shown = [entry['window'] for entry in result['shown']]
    windows = windows.choose(np.array(shown))
    (predicted,) = predict_windows(predictor_of(checkpoint, result['samples']), windows)
    return predicted


def _measure(
    checkpoint: Checkpoint, predicted: Predicted, windows: Windows, threshold: float
) -> dict[str, Measured]:
    """Measure the rows, and the truth, on a few windows."""
    layout, rate_hz = checkpoint.header.layout, checkpoint.header.window.rate_hz
    frames = checkpoint.header.window.future_frames
    history, future = predicted.history, predicted.future
    rows = {
        'model': predicted.samples,
        'zero_velocity': zero_velocity(history, frames)[:, None],
        'constant_velocity': constant_velocity(history, frames)[:, None],
    }
    measured = {
        row: measure(samples, future, history[:, -1], layout, rate_hz)
        for row, samples in rows.items()
    }
    protocol = _protocol(rows, future, _similar(predicted, windows, threshold), windows)
    for row, metrics in protocol.items():
        by_name = dict(zip(METRIC_NAMES, metrics.unbind(1), strict=True))
        measured[row]['figures'] = by_name | measured[row]['figures']
    if not predicted.radius.isnan().any():  # calibrated for so many samples
        error = torch.linalg.vector_norm(future - predicted.mean, dim=-1)  # (B, F, J)
        measured['model']['coverage'] = {'covered': error <= predicted.radius}
    return measured | {'truth': measure_truth(future, history[:, -1], layout, rate_hz)}


def _similar(predicted: Predicted, windows: Windows, threshold: float) -> NDArray[np.bool_]:
    """Return (B, W) which of all windows end their history as those predicted do."""
    offset = predicted.history.shape[1] - 1
    last = torch.from_numpy(windows.motion[windows.starts + offset])  # (W, J, 3)
    poses, own = to_features(last, False), to_features(predicted.history[:, -1], False)
    exact = 'donot_use_mm_for_euclid_dist'  # the quick way is inexact at small distances
    return (torch.cdist(own, poses, compute_mode=exact) < threshold).numpy()


def _protocol(
    rows: dict[str, Tensor], future: Tensor, similar: NDArray[np.bool_], windows: Windows
) -> dict[str, Tensor]:
    """Return the protocol's metrics (B, 13) of each row.

    Args:
        rows: (B, S, F, J, 3) predicted futures, by row.
        future: (B, F, J, 3) what then happened.
        similar: (B, W) windows whose futures could have been theirs as well.
        windows: all W windows.
    """
    features = {row: to_features(samples, False) for row, samples in rows.items()}
    truth = to_features(future, False)  # (B, F, D)
    metrics: dict[str, list[NDArray[np.float64]]] = {row: [] for row in rows}
    for i in range(len(future)):
        others = np.flatnonzero(similar[i])
        parts = np.array_split(others, np.ceil(len(others) / SIMILAR_AT_ONCE))
        measured: dict[str, list[list[float]]] = {row: [] for row in rows}
        for part in parts:
            futures = to_features(windows.batch(part)[:, -future.shape[1] :], False)
            for row in rows:
                measured[row].append(window_metrics(features[row][i], truth[i], futures))
        for row, of_parts in measured.items():  # each an average over its part
            metrics[row].append(np.average(of_parts, axis=0, weights=[len(p) for p in parts]))
    return {row: torch.from_numpy(np.stack(values)) for row, values in metrics.items()}


def _groups_of(
    archive: MotionArchive, clip: int, seen: Sequence[str], walks: bool
) -> dict[str, str]:
    """Return the groups that a window of a clip is in; kinds that the archive lacks, lack."""
    groups = {'pace': 'walking' if walks else 'slower'}
    if any(archive.categories):
        groups['category'] = archive.categories[clip] or 'not named'
    if any(archive.subjects):
        subject = archive.subjects[clip]
        groups['subject'] = subject or 'not named'
        groups['training'] = 'seen' if subject in seen else 'unseen'
    return groups


def _add(sums: dict[str, Sums], measured: dict[str, Measured], chosen: Sequence[int]) -> None:
    """Add the chosen windows to the sums of each row."""
    for row, of_row in measured.items():
        sums.setdefault(row, Sums()).add(of_row, chosen)


def _summary(sums: dict[str, Sums]) -> dict[str, Any]:
    """Return the averages of the rows over the windows of a group, and the coverage."""
    true_speeds = sums['truth'].mean('speeds')['count']
    rows = {row: _figures(sums[row]) for row in ROWS}
    if true_speeds.any():  # not if futures are of one frame
        for row, figures in rows.items():
            speeds = sums[row].mean('speeds')['count']
            figures['speed_JSD_bits'] = divergence_bits(speeds, true_speeds)
    summary: dict[str, Any] = {'windows': sums['model'].windows, 'rows': rows}
    if covered := sums['model'].mean('coverage'):
        summary['coverage'] = {'reached': float(covered['covered'].mean())}
    return summary


def _figures(sums: Sums) -> dict[str, float]:
    return {name: float(value) for name, value in sums.mean('figures').items()}


def _horizon(sums: dict[str, Sums], rate_hz: float) -> dict[str, Any]:
    """Return the errors of the rows at multiples of HORIZON_STEP_S."""
    curves = {row: sums[row].mean('horizon') for row in ROWS}
    frames = len(curves['model']['FDE'])
    times_s = _horizon_times(frames, rate_hz)
    return {
        'times_s': times_s,
        'rows': {
            row: {name: _read(curve, times_s, rate_hz) for name, curve in by_name.items()}
            for row, by_name in curves.items()
        },
    }


def _horizon_times(frames: int, rate_hz: float) -> list[float]:
    """Return the multiples of HORIZON_STEP_S from the first to the last of some frames."""
    first, last = (np.array([1, frames]) / rate_hz / HORIZON_STEP_S).tolist()
    multiples = np.arange(np.ceil(first - 1e-6), np.floor(last + 1e-6) + 1)
    return [round(float(m) * HORIZON_STEP_S, 6) for m in multiples if m > 0]


def _read(curve: NDArray[np.float64], times_s: list[float], rate_hz: float) -> list[float]:
    """Read a curve (F,), whose frame f is f + 1 frames ahead, linearly between frames."""
    at_s = np.arange(1, len(curve) + 1) / rate_hz
    return [float(value) for value in np.interp(times_s, at_s, curve)]


def _coverage(sums: Sums, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return how often the radius held: overall, over the horizon, and by joint."""
    covered = sums.mean('coverage')['covered']  # (F, J)
    rate_hz = checkpoint.header.window.rate_hz
    times_s = _horizon_times(len(covered), rate_hz)
    reached = _read(covered.mean(1), times_s, rate_hz)
    joints = checkpoint.header.layout.joint_names
    return {
        'reached': float(covered.mean()),
        'reached_at_s': {f'{t:g}': value for t, value in zip(times_s, reached, strict=True)},
        'reached_by_joint': dict(zip(joints, covered.mean(0).tolist(), strict=True)),
    }


def _shown(
    errors: NDArray[np.float32], windows: Windows, archive: MotionArchive
) -> list[dict[str, Any]]:
    """Choose the windows to show by the model's ADE (W,) on them; of few windows, fewer."""
    order = np.argsort(errors, kind='stable')
    chosen = {int(order[round(at * (len(order) - 1))]): label for label, at in SHOWN.items()}
    return [
        {
            'label': label,
            'window': index,
            'clip': archive.clip_names[windows.clips[index]],
            'subject': archive.subjects[windows.clips[index]],
            'category': archive.categories[windows.clips[index]],
            'ADE': float(errors[index]),
        }
        for index, label in chosen.items()
    ]
