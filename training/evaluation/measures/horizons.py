"""Errors of the predicted mean in the world, by time ahead, compared with simple baselines.

The errors of the mean matter because a robot acts on the mean of the samples. `joints` is the
distance of the predicted joints from the recorded joints, averaged over the measured joints.
`root` is the distance of the predicted root from the recorded root. `relative` is the average
distance of all joints except the root, after the predicted pose of each frame was moved so that
its root is at the recorded root.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor_training.evaluation.measures import bootstrap
from motion_predictor_training.evaluation.measures.gaps import mean, norm
from motion_predictor_training.evaluation.measures.per_window import plain
from motion_predictor_training.predicting.baselines import ABOUT, BASELINES, baselines

TIMES_S = (1 / 60, 0.05, 0.1, 0.2, 0.33, 0.5, 1.0, 1.5, 2.0)
QUANTITIES = ('joints', 'root', 'relative')
ROWS = ('model', *BASELINES)

FloatArray = NDArray[np.floating]


def times_within(frames: int, rate_hz: float, times_s: tuple[float, ...] = TIMES_S) -> list[float]:
    """Return the times ahead (seconds) that are not later than the last future frame."""
    return [time_s for time_s in times_s if time_s <= frames / rate_hz + 1e-6]


def read(curves: Tensor, times_s: list[float], rate_hz: float, start: float = 0.0) -> Tensor:
    """Interpolate curves (..., F) linearly at T times ahead.

    Entry f of a curve, counted from 0, is the value f + 1 frames after the last observed frame. At
    the last observed frame itself, every curve has the value `start`.

    Returns:
        Values of the curves at the T times (..., T). A value is NaN if one of the two frames that
        it is interpolated from is NaN.
    """
    place = np.array(times_s) * rate_hz - 1
    left = np.floor(place + 1e-6).astype(int)
    share = torch.from_numpy(place - left).to(curves.dtype)
    at_zero = torch.full_like(curves[..., :1], start)
    padded = torch.cat([at_zero, curves, curves[..., -1:]], dim=-1)
    before, after = padded[..., left + 1], padded[..., left + 2]
    return torch.where(share < 1e-5, before, before * (1 - share) + after * share)


def errors_mm(motion: Tensor, future: Tensor) -> Tensor:
    """Return the errors of motions (B, F, J, 3) in each of QUANTITIES (B, 3, F), millimetres.

    The errors are NaN in frames without a measured joint.
    """
    difference = motion - future
    world = norm(difference)  # (B, F, J)
    relative = norm(difference[:, :, 1:] - difference[:, :, :1])
    return torch.stack([mean(world, -1), world[..., 0], mean(relative, -1)], dim=1) * 1000


def measure_world(
    model_mean: Tensor, history: Tensor, future: Tensor, rate_hz: float
) -> dict[str, Tensor]:
    """Measure the errors of the model's mean and of the baselines on B windows.

    Args:
        model_mean: mean of the model (B, F, J, 3), metres, world frame.
        history: observed motion (B, H, J, 3), metres, world frame.
        future: recorded future (B, F, J, 3), metres, world frame; NaN where not measured.
        rate_hz: frames per second.

    Returns:
        `world`: errors (mm) of each of ROWS, the model and the baselines, in each of QUANTITIES at
        T times ahead (B, R, 3, T).
    """
    frames = future.shape[1]
    rows = {'model': model_mean, **baselines(history, frames, rate_hz)}
    curves = torch.stack([errors_mm(rows[row], future) for row in ROWS], dim=1)
    return {'world': read(curves, times_within(frames, rate_hz), rate_hz)}


def summarise_world(
    world: FloatArray, clips: NDArray[np.void], people: NDArray[np.str_] | None
) -> dict[str, Any]:
    """Return errors averaged over windows, and say at which times a baseline is better.

    Args:
        world: errors of all W windows from `measure_world` (W, R, 3, T), mm.
        clips: clip and person of each window (W,), see `bootstrap.clusters`.
        people: name of the person of each window (W,), or None if unknown.

    Returns:
        The numbers of `windows` and `clips`, and for each of QUANTITIES the following figures in
        mm. Each figure has one value per time ahead.

        `rows`: for each row (the model or a baseline) the average error over windows (`mean`), and
        the ends of the confidence interval (`low` and `high`). If the people are known, each row
        also has `over_people`, the average error over people.

        `best_baseline` describes the baseline with the least error at each time ahead. `row` and
        `mean` are the name and the error of the best baseline. `difference` is the error of the
        model minus the error of the best baseline, with the confidence interval `low` to `high`.
        `is_better` says whether the best baseline is better than the model. `is_better` is true if
        the whole interval from `low` to `high` is above zero. If all windows are from a single
        clip, there is no interval: `is_better` is then None if the error of the model is larger,
        and false otherwise.
    """
    means = bootstrap.mean(world)  # (R, 3, T)
    low, high = bootstrap.interval(world, clips)
    over_people = None if people is None else bootstrap.over_people(world, people)
    summary: dict[str, Any] = {'windows': len(world), 'clips': len(np.unique(clips))}
    for q, quantity in enumerate(QUANTITIES):
        rows = {
            row: {'mean': means[r, q], 'low': low[r, q], 'high': high[r, q]}
            | ({} if over_people is None else {'over_people': over_people[r, q]})
            for r, row in enumerate(ROWS)
        }
        best = 1 + np.where(np.isfinite(means[1:, q]), means[1:, q], np.inf).argmin(0)  # (T,)
        time = np.arange(world.shape[-1])
        difference = world[:, 0, q] - world[:, best, q, time]  # (W, T)
        ends = bootstrap.interval(difference, clips)
        summary[quantity] = plain(
            {
                'rows': rows,
                'best_baseline': {
                    'row': [ROWS[b] for b in best],
                    'mean': means[best, q, time],
                    'difference': bootstrap.mean(difference),
                    'low': ends[0],
                    'high': ends[1],
                    'is_better': [
                        bool(end > 0) if np.isfinite(end) else (None if worse > 0 else False)
                        for end, worse in zip(ends[0], bootstrap.mean(difference), strict=True)
                    ],
                },
            }
        )
    return summary


def world_report(
    world: FloatArray,
    labels: dict[str, NDArray[np.str_]],
    clips: NDArray[np.void],
    times_s: list[float],
) -> dict[str, Any]:
    """Return `summarise_world` of all windows and of each group, and the list of `baseline_wins`.

    Args:
        world: errors of all W windows from `measure_world` (W, R, 3, T), mm.
        labels: for each kind of group, the name of the group that each window belongs to (W,).
        clips: clip and person of each window (W,), see `bootstrap.clusters`.
        times_s: times ahead of the errors (T,), seconds.
    """
    people = labels.get('subject')
    report: dict[str, Any] = {
        'times_s': times_s,
        'baselines': ABOUT,
        'level': bootstrap.LEVEL,
        'all': summarise_world(world, clips, people),
        'groups': {},
    }
    for kind, names in labels.items():
        report['groups'][kind] = {}
        for name in np.unique(names):
            own = names == name
            whose = None if people is None or kind == 'subject' else people[own]
            report['groups'][kind][str(name)] = summarise_world(world[own], clips[own], whose)
    report['where_a_baseline_is_better'] = baseline_wins(report)
    return report


def baseline_wins(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every group, quantity and time at which the best baseline is better than the model.

    A baseline counts as better only if the whole confidence interval of the difference is above
    zero. Groups of a single clip have no interval. If the baseline's error is smaller in a group
    of a single clip, the entry has `beyond_interval` None.
    """
    groups = [('all', 'all', report['all'])]
    groups += [
        (kind, name, summary)
        for kind, by_name in report['groups'].items()
        for name, summary in by_name.items()
    ]
    wins = []
    for kind, name, summary in groups:
        for quantity in QUANTITIES:
            best = summary[quantity]['best_baseline']
            for index, time_s in enumerate(report['times_s']):
                if best['is_better'][index] is False:
                    continue
                wins.append(
                    {
                        'kind': kind,
                        'group': name,
                        'quantity': quantity,
                        'time_s': time_s,
                        'baseline': best['row'][index],
                        'baseline_mm': best['mean'][index],
                        'model_mm': summary[quantity]['rows']['model']['mean'][index],
                        'low_mm': best['low'][index],
                        'high_mm': best['high'][index],
                        'beyond_interval': best['is_better'][index],
                        'windows': summary['windows'],
                        'clips': summary['clips'],
                    }
                )
    return wins
