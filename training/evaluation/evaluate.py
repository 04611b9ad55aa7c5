"""Evaluates a checkpoint by the published protocol and by measures that matter to a robot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion_predictor.archive import ArchiveError, load_archive
from motion_predictor.checkpoint import Checkpoint, load_checkpoint
from motion_predictor_training.data.known_people import SEEN, Known
from motion_predictor_training.data.windows import Windows, model_windows
from motion_predictor_training.evaluation.measures import bootstrap
from motion_predictor_training.evaluation.measures.averages import (
    coverage_of,
    figures_of,
    horizon_of,
    joints_of,
    summary_of,
)
from motion_predictor_training.evaluation.measures.coverage import (
    SET_TIMES_S,
    measure_sets,
    sets_report,
)
from motion_predictor_training.evaluation.measures.gaps import only_measured
from motion_predictor_training.evaluation.measures.groups import groups_of
from motion_predictor_training.evaluation.measures.horizons import (
    measure_world,
    times_within,
    world_report,
)
from motion_predictor_training.evaluation.measures.motion import (
    Measured,
    Sums,
    measure,
    measure_truth,
)
from motion_predictor_training.evaluation.measures.per_window import Collected, plain
from motion_predictor_training.evaluation.measures.protocol import protocol_metrics
from motion_predictor_training.evaluation.measures.published import METRIC_NAMES
from motion_predictor_training.evaluation.measures.scores import (
    SCORE_TIMES_S,
    measure_scores,
    scores_report,
)
from motion_predictor_training.evaluation.shown import choose_shown
from motion_predictor_training.predicting.baselines import constant_velocity, zero_velocity
from motion_predictor_training.predicting.every_window import (
    Predicted,
    predict_windows,
    predictor_of,
)
from motion_predictor_training.predicting.multi_step import Precision

ROWS = ('model', 'zero_velocity', 'constant_velocity')
Groups = dict[str, dict[str, dict[str, Sums]]]
"""Sums of figures by kind of group ('subject'), group ('13') and row ('model')."""

RECORDED = (*METRIC_NAMES, 'root_ADE_m')


def evaluate_checkpoint(
    checkpoint_path: str | Path,
    archive_path: Path,
    samples: int = 50,
    stride: int | None = 30,
    multimodal_threshold: float = 0.4,
    seen: Sequence[str] = (),
    precision: Precision = 'float32',
    noise_seed: int | None = None,
    coverage: float | None = None,
) -> dict[str, Any]:
    """Measure a checkpoint on an archive by the published protocol, and by further measures.

    To save memory, windows are measured a few at a time and their figures are summed. Only four
    kilobytes per window are kept, for averages over groups of windows and for confidence
    intervals. If a history lacks joints, they are completed as in the node. Errors count only
    joints that were measured.

    Args:
        checkpoint_path: file of the checkpoint, or "default" for the one that ships.
        archive_path: motion archive to measure on.
        samples: number of samples per window, S of "best of S".
        stride: number of frames between the starts of windows. If `stride` is None, windows do not
            overlap.
        multimodal_threshold: distance below which two poses are similar, metres, see `published`.
            Papers use 0.5 m on Human3.6M and 0.4 m on AMASS.
        seen: subjects that the checkpoint was trained on, in addition to the subjects that the
            checkpoint names.
        precision: numeric precision in which the network of a one-step model runs.
        noise_seed: seed of the noise that the samples start from. If `noise_seed` is None, the
            seed in the checkpoint is used.
        coverage: coverage of the sets (the balls around the joints). The checkpoint must be
            calibrated for this coverage. If `coverage` is None, the default coverage is used.

    Returns:
        A report with the following entries, and with facts about the data. Figures are in metres
        unless their name has another unit. A figure is None if nothing could be measured.

        `rows`: for the model and for each baseline, the metrics of the protocol and the figures of
        `measures`. `intervals`: the confidence interval of each figure over clips (see
        `bootstrap`). `people`: the average of each figure over people, who all have the same
        weight. `truth`: figures of the recorded motion itself, for example its jerk. `world`:
        errors of the mean in the world (mm), by time ahead and by group, of the model and of
        baselines (see `horizons`). `scores`: scores of the samples as a distribution (see
        `measures.scores`), if there are two samples or more. `sets`: the coverage and size of the
        sets (see `measures.coverage`). `coverage`: the share of joints that are within the radius.
        Both `sets` and `coverage` exist only if the checkpoint is calibrated. `horizon`: errors of
        the model and of each baseline at `times_s`. `joints`: errors of the model and of each
        baseline for each joint.

        `groups`: the figures of `rows`, and the coverage, in groups of windows. The kinds of
        groups are `category`, `subject`, `training`, `pace` and `body`. `training` is seen, unseen
        or, for old checkpoints, not recorded. `pace`, the speed of the root, is still, slower,
        walking or running. `body`, the speed of all joints, is quiet or moving.

        `shown`: one easy, one typical and one hard window for the model, to be plotted.
        `per_window`: for every window, the ADE and FDE of the model, the clip and the subject.

    Raises:
        ArchiveError: if the archive has no window for this model, or names no subjects although
            `seen` is given.
        ValueError: if `multimodal_threshold` is not positive, or the checkpoint is not calibrated
            for the coverage.
    """
    if not multimodal_threshold > 0:
        raise ValueError(f'the multimodal threshold must be positive, got {multimodal_threshold}')
    checkpoint = load_checkpoint(checkpoint_path)
    if noise_seed is not None:
        checkpoint.header = checkpoint.header.model_copy(update={'noise_seed': noise_seed})
    archive = load_archive(archive_path)
    if seen and not any(archive.subjects):
        raise ArchiveError(f'{archive_path} names no subjects, so --seen cannot be applied')
    known = Known.to(checkpoint.header).also(seen).of(archive)
    if stride is None:
        stride = checkpoint.header.window.history_frames + checkpoint.header.window.future_frames
    windows = model_windows(archive, checkpoint.header, stride, partial=True)
    whole: dict[str, Sums] = {}
    groups: Groups = {}
    members: list[dict[str, str]] = []
    kept = {kind: Collected(len(windows)) for kind in (*ROWS, 'world', 'scores', 'sets')}
    measured_share = 0.0
    predictor = predictor_of(checkpoint, samples, precision=precision, coverage=coverage)
    rate_hz = checkpoint.header.window.rate_hz
    for predicted in predict_windows(predictor, windows):
        measured = _measure(checkpoint, predicted, windows, multimodal_threshold)
        _add(whole, measured, range(len(predicted.windows)))
        clips = windows.clips[predicted.windows]
        for row in ROWS:
            kept[row].add(measured[row]['figures'])
        _keep(kept, predicted, checkpoint)
        measured_share += float(predicted.measured.float().mean((1, 2)).sum())
        belongs = groups_of(archive, clips, predicted.history, rate_hz, known)
        members += belongs
        for position, of_window in enumerate(belongs):
            for kind, name in of_window.items():
                _add(groups.setdefault(kind, {}).setdefault(name, {}), measured, [position])
    labels = {kind: np.array([of_window[kind] for of_window in members]) for kind in members[0]}
    clusters = bootstrap.clusters(windows.clips, np.array(archive.subjects)[windows.clips])
    result: dict[str, Any] = {
        'checkpoint': checkpoint.model_id,
        'archive': archive.fingerprint,
        'windows': len(windows),
        'clips': len(np.unique(windows.clips)),
        'measured': measured_share / len(windows),
        'stride': stride,
        'samples': samples,
        'multimodal_threshold': multimodal_threshold,
        'seen': [name for name, how in known.items() if how == SEEN and name],
        **summary_of(whole, ROWS),
        **_spread(kept, clusters, labels.get('subject')),
        'truth': figures_of(whole['truth']),
        **_reports(kept, labels, clusters, checkpoint, samples),
        'horizon': horizon_of(whole, ROWS, rate_hz),
        'joints': joints_of(whole, ROWS, checkpoint.header.layout),
        'groups': {
            kind: {name: summary_of(sums, ROWS) for name, sums in sorted(by_name.items())}
            for kind, by_name in groups.items()
        },
        'shown': choose_shown(kept['model']['ADE'], windows, archive),
        'per_window': {
            'clip': windows.clips,
            'subject': np.array(archive.subjects)[windows.clips],
            **{name: kept['model'][name] for name in ('ADE', 'FDE')},
        },
    }
    for name, group in result['groups'].get('subject', {}).items():
        group['seen'] = known.get(name) == SEEN
    if whole['model'].mean('coverage'):
        result['coverage'] = {
            'nominal': predictor.coverage,
            **coverage_of(whole['model'], checkpoint.header.layout, rate_hz),
        }
    return plain(result)


def record(result: dict[str, Any], checkpoint_path: str | Path, out: Path) -> None:
    """Write a copy of a checkpoint whose header contains the measured figures."""
    checkpoint = load_checkpoint(checkpoint_path)
    facts = ('archive', 'windows', 'stride', 'samples', 'coverage')
    metrics = {name: result[name] for name in facts if name in result}
    metrics |= {
        row: {name: value for name, value in result['rows'][row].items() if name in RECORDED}
        for row in ('model', 'zero_velocity')
    }
    checkpoint.header = checkpoint.header.model_copy(update={'metrics': metrics})
    checkpoint.save(out)


def _measure(
    checkpoint: Checkpoint, predicted: Predicted, windows: Windows, threshold: float
) -> dict[str, Measured]:
    """Measure the model, the baselines and the recorded motion on a few windows."""
    layout, rate_hz = checkpoint.header.layout, checkpoint.header.window.rate_hz
    frames = checkpoint.header.window.future_frames
    history, future = predicted.history, predicted.future
    rows = {
        'model': predicted.samples,
        'zero_velocity': zero_velocity(history, frames)[:, None],
        'constant_velocity': constant_velocity(history, frames)[:, None],
    }
    rows = {row: only_measured(samples, predicted.measured) for row, samples in rows.items()}
    measured = {
        row: measure(samples, future, history[:, -1], layout, rate_hz)
        for row, samples in rows.items()
    }
    for row, metrics in protocol_metrics(rows, predicted, windows, threshold).items():
        measured[row]['figures'] = metrics | measured[row]['figures']
    if _is_calibrated(predicted):
        error = (future - predicted.mean).norm(dim=-1)  # (B, F, J)
        covered = (error <= predicted.radius).float()
        covered[~predicted.measured] = float('nan')
        measured['model']['coverage'] = {'covered': covered}
    return measured | {'truth': measure_truth(future, history[:, -1], layout, rate_hz)}


def _is_calibrated(predicted: Predicted) -> bool:
    """Whether the checkpoint is calibrated for this number of samples."""
    return not predicted.radius.isnan().any()


def _keep(kept: dict[str, Collected], predicted: Predicted, checkpoint: Checkpoint) -> None:
    """Keep the figures of a few windows, for groups and confidence intervals."""
    layout, rate_hz = checkpoint.header.layout, checkpoint.header.window.rate_hz
    history, future = predicted.history, predicted.future
    kept['world'].add(measure_world(predicted.mean, history, future, rate_hz))
    if predicted.samples.shape[1] > 1:
        kept['scores'].add(measure_scores(predicted.samples, future, rate_hz))
    if _is_calibrated(predicted):
        kept['sets'].add(measure_sets(predicted, layout, rate_hz))


def _reports(
    kept: dict[str, Collected],
    labels: dict[str, NDArray[np.str_]],
    clips: NDArray[np.void],
    checkpoint: Checkpoint,
    samples: int,
) -> dict[str, Any]:
    """Return the sections `world`, `scores` and `sets` of the report."""
    layout, window = checkpoint.header.layout, checkpoint.header.window
    frames, rate_hz = window.future_frames, window.rate_hz
    times_s = times_within(frames, rate_hz)
    reports = {'world': world_report(kept['world']['world'], labels, clips, times_s)}
    if scores := kept['scores'].all():
        times_s = times_within(frames, rate_hz, SCORE_TIMES_S)
        reports['scores'] = scores_report(scores, labels, clips, samples, times_s)
    if sets := kept['sets'].all():
        times_s = times_within(frames, rate_hz, SET_TIMES_S)
        reports['sets'] = sets_report(sets, labels, layout, times_s)
    return reports


def _spread(
    kept: dict[str, Collected], clips: NDArray[np.void], people: NDArray[np.str_] | None
) -> dict[str, Any]:
    """Return the confidence intervals of all figures and their averages over people, by row."""
    figures = {row: kept[row].all() for row in ROWS}
    spread: dict[str, Any] = {
        'intervals': {
            row: {name: bootstrap.interval(values, clips) for name, values in by_name.items()}
            for row, by_name in figures.items()
        }
    }
    if people is not None:
        spread['people'] = {
            row: {name: bootstrap.over_people(values, people) for name, values in by_name.items()}
            for row, by_name in figures.items()
        }
    return spread


def _add(sums: dict[str, Sums], measured: dict[str, Measured], chosen: Sequence[int]) -> None:
    """Add the figures of the chosen windows to the sums of each row (model or baseline)."""
    for row, of_row in measured.items():
        sums.setdefault(row, Sums()).add(of_row, chosen)
