"""Plots of an evaluation: errors, scores and sets over time ahead, and some predictions."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from motion_predictor.model.frames import PersonFrame, person_frame, to_model
from motion_predictor.skeleton import Layout
from motion_predictor_training.predicting.every_window import Predicted

CURVES = {
    'FDE': 'pose error of the nearest sample, m',
    'root_of_mean_m': 'root error of the mean, m',
    'MPJPE_best_mm': 'joint error of the best sample, mm',
    'MPJPE_of_mean_mm': 'joint error of the mean, mm',
}
FORESEEN, SEEN, MEAN = '#d9822b', '#1f4e79', '#7a2e0e'
COLOURS = {
    'model': FORESEEN,
    'zero_velocity': '#777777',
    'constant_velocity': '#4c9f70',
    'damped_velocity': '#7b5ea7',
    'root_goes_on': '#b0413e',
}
WORLD = {
    'joints': 'joints in the world, mm',
    'root': 'root in the world, mm',
    'relative': 'joints relative to the root, mm',
}


def plot_evaluation(
    result: dict[str, Any],
    predicted: Predicted | None,
    layout: Layout,
    rate_hz: float,
    folder: Path,
) -> list[Path]:
    """Write all plots of an evaluation, and return their files.

    Args:
        result: result of `evaluate_checkpoint`.
        predicted: predictions of the windows in `result['shown']`, or None without such windows.
        layout: layout of the joints.
        rate_hz: frames per second.
        folder: folder for the plots.
    """
    paths = [plot_horizon(result, folder), plot_world(result, folder)]
    if 'scores' in result:
        paths.append(plot_scores(result, folder))
    if 'sets' in result:
        paths.append(plot_sets(result, folder))
    if predicted is not None:
        paths += plot_fans(result['shown'], predicted, layout, rate_hz, folder)
    return paths


def plot_horizon(result: dict[str, Any], folder: Path) -> Path:
    """Plot errors of model and baselines over time ahead, and the coverage if calibrated."""
    names = [*CURVES, *(['coverage'] if 'coverage' in result else [])]
    figure = _figure(3.4 * len(names), 3.2)
    times_s = result['horizon']['times_s']
    for position, name in enumerate(names, 1):
        axes = figure.add_subplot(1, len(names), position)
        axes.set_xlabel('seconds ahead')
        if name == 'coverage':
            axes.set_title('share of joints within the radius', fontsize=9)
            axes.plot(times_s, list(result['coverage']['reached_at_s'].values()), color=FORESEEN)
            axes.axhline(result['coverage']['nominal'], color=SEEN, linestyle='--')
            axes.set_ylim(0, 1.02)
            continue
        axes.set_title(CURVES[name], fontsize=9)
        for row, curves in result['horizon']['rows'].items():
            axes.plot(times_s, curves[name], color=COLOURS[row], label=row.replace('_', ' '))
        axes.set_ylim(bottom=0)
    figure.axes[0].legend(fontsize=8)
    return _save(figure, folder / 'error_over_horizon.png')


def plot_world(result: dict[str, Any], folder: Path) -> Path:
    """Plot the errors of the model's mean and of the baselines in the world, with intervals."""
    world = result['world']
    figure = _figure(4.2 * len(WORLD), 3.6)
    for position, (quantity, title) in enumerate(WORLD.items(), 1):
        axes = figure.add_subplot(1, len(WORLD), position)
        axes.set_xlabel('seconds ahead')
        axes.set_title(title, fontsize=9)
        for row, errors in world['all'][quantity]['rows'].items():
            _band(axes, world['times_s'], errors, COLOURS[row], row)
        if any(np.nanmax(line.get_ydata(), initial=0) > 0 for line in axes.lines):
            # A logarithmic axis shows the first tenths of a second better.
            axes.set_xscale('log')
            axes.set_yscale('log')
    figure.axes[0].legend(fontsize=8)
    return _save(figure, folder / 'world_over_horizon.png')


def plot_scores(result: dict[str, Any], folder: Path) -> Path:
    """Plot the truth's rank among the samples, and the mean's error divided by the spread."""
    scores = result['scores']
    times_s = scores['times_s']
    figure = _figure(2.3 * (len(times_s) + 1) + 1, 3.0)
    histograms = scores['all']['rank_histogram']
    for position, (time_s, shares) in enumerate(zip(times_s, histograms, strict=True), 1):
        axes = figure.add_subplot(1, len(times_s) + 1, position)
        edges = np.linspace(0, 1, len(shares) + 1)
        axes.stairs(shares, edges, fill=True, color=FORESEEN)
        axes.axhline(1 / len(shares), color=SEEN, linestyle='--')
        axes.set_title(f'rank of the truth, {time_s:g} s', fontsize=9)
    axes = figure.add_subplot(1, len(times_s) + 1, len(times_s) + 1)
    axes.set_title('error of the mean over spread', fontsize=9)
    ratio = {end: values[: len(times_s)] for end, values in _ends(scores).items()}
    _band(axes, times_s, ratio, FORESEEN, 'model')
    axes.axhline(1, color=SEEN, linestyle='--')
    axes.set_ylim(bottom=0)
    axes.set_xlabel('seconds ahead')
    return _save(figure, folder / 'samples.png')


def _ends(scores: dict[str, Any]) -> dict[str, list[float]]:
    ratio = scores['all']['error_over_spread']
    return {end: ratio[end] for end in ('mean', 'low', 'high')}


def plot_sets(result: dict[str, Any], folder: Path) -> Path:
    """Plot coverage and radius of our balls and of the balls of ISO 13855."""
    sets = result['sets']
    figure = _figure(8.4, 3.4)
    held, size = figure.subplots(1, 2)
    for name, colour in (('ours', FORESEEN), ('iso_13855', COLOURS['zero_velocity'])):
        of = sets[name]
        label = name.replace('iso_', 'ISO ')
        held.plot(sets['times_s'], of['coverage'], color=colour, label=f'{label}, joints')
        held.plot(
            sets['times_s'],
            of['whole_body'],
            color=colour,
            linestyle=':',
            label=f'{label}, bodies',
        )
        size.plot(sets['times_s'], of['radius_cm'], color=colour, label=label)
    held.axhline(result['coverage']['nominal'], color=SEEN, linestyle='--')
    held.set_title('share that is held', fontsize=9)
    held.set_ylim(0, 1.02)
    size.set_title('median radius, cm', fontsize=9)
    size.set_ylim(bottom=0)
    for axes in (held, size):
        axes.set_xlabel('seconds ahead')
        axes.legend(fontsize=8)
    return _save(figure, folder / 'sets.png')


def _band(
    axes: Axes, times_s: list[float], values: dict[str, list[Any]], colour: str, label: str
) -> None:
    """Draw a curve and its confidence interval. Values that are None are left out."""
    mean, low, high = (np.array(values[end], float) for end in ('mean', 'low', 'high'))
    axes.plot(times_s, mean, color=colour, label=label.replace('_', ' '))
    axes.fill_between(times_s, low, high, color=colour, alpha=0.15, linewidth=0)


def plot_fans(
    shown: list[dict[str, Any]], predicted: Predicted, layout: Layout, rate_hz: float, folder: Path
) -> list[Path]:
    """Plot the samples, the mean and the truth of each window in `shown`.

    Args:
        shown: entries of `result['shown']`, one for each window.
        predicted: predictions of the windows in `shown`, in the same order.
        layout: layout of the joints.
        rate_hz: frames per second.
        folder: folder for the plots, one file for each window.
    """
    frame = person_frame(predicted.history[:, -1], layout.facing)
    history, future, mean = (
        to_model(motion, frame) for motion in (predicted.history, predicted.future, predicted.mean)
    )
    paths = []
    for i, entry in enumerate(shown):
        one = PersonFrame(frame.origin[[i]], frame.heading[[i]])
        motions = {
            'samples': to_model(predicted.samples[i].flatten(0, 1)[None], one)[0].unflatten(
                0, predicted.samples.shape[1:3]
            ),  # (S, F, J, 3)
            'mean': mean[i],
            'history': history[i],
            'future': future[i],
        }
        figure = _fan(motions, layout, rate_hz)
        about = ', '.join(filter(None, (entry['clip'], entry['category'], entry['subject'])))
        title = f'{entry["label"]}: {about} (ADE {entry["ADE"]:.2f} m)'
        figure.suptitle(title, fontsize=9, parse_math=False)
        paths.append(_save(figure, folder / f'fan_{entry["label"]}.png'))
    return paths


def _fan(motions: dict[str, Tensor], layout: Layout, rate_hz: float) -> Figure:
    """Draw a window in the person's frame: paths seen from above, then poses from the side.

    Args:
        motions: motions to draw, which are `history` (H, J, 3), `future` and `mean` (F, J, 3), and
            `samples` (S, F, J, 3).
        layout: layout of the joints.
        rate_hz: frames per second.
    """
    frames = len(motions['future'])
    moments = sorted({max(1, round(frames * share)) - 1 for share in (1 / 3, 2 / 3, 1)})
    figure = _figure(3.4 * (1 + len(moments)), 3.8)
    above = figure.add_subplot(1, 1 + len(moments), 1)
    above.set_title('root and wrists from above, m', fontsize=9)
    for joint in _drawn(layout):
        for sample in motions['samples']:
            _path(above, sample[:, joint], FORESEEN, 0.25, 0.8)
        _path(above, motions['history'][:, joint], SEEN, 0.5, 1.5)
        _path(above, motions['mean'][:, joint], MEAN, 1, 1.5)
        _path(above, motions['future'][:, joint], SEEN, 1, 2)
    for position, index in enumerate(moments, 2):
        side = figure.add_subplot(1, 1 + len(moments), position)
        side.set_title(f'{(index + 1) / rate_hz:.2g} s ahead, from the side, m', fontsize=9)
        for sample in motions['samples']:
            _pose(side, sample[index], layout, FORESEEN, 0.15, 0.8)
        _pose(side, motions['mean'][index], layout, MEAN, 1, 1.2)
        _pose(side, motions['future'][index], layout, SEEN, 1, 2)
    for axes in figure.axes:
        axes.set_aspect('equal', adjustable='datalim')
    for colour, label in ((FORESEEN, 'samples'), (MEAN, 'their mean'), (SEEN, 'truth')):
        above.plot([], [], color=colour, label=label)
    above.legend(fontsize=8)
    return figure


def _drawn(layout: Layout) -> list[int]:
    """Return the joints whose paths are drawn: the root, and wrists if the layout has them."""
    return [0, *(w for w in map(layout.index, ('l_wrist', 'r_wrist')) if w is not None)]


def _path(axes: Axes, path: Tensor, colour: str, alpha: float, width: float) -> None:
    """Draw a joint's path (F, 3) as seen from above."""
    axes.plot(path[:, 0], path[:, 1], color=colour, alpha=alpha, linewidth=width)


def _pose(
    axes: Axes, pose: Tensor, layout: Layout, colour: str, alpha: float, width: float
) -> None:
    """Draw a pose (J, 3) as seen from its right side: x points right, and z points up."""
    for joint, parent in enumerate(layout.parents):
        if parent >= 0:
            limb = pose[[joint, parent]]
            axes.plot(limb[:, 0], limb[:, 2], color=colour, alpha=alpha, linewidth=width)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)  # this canvas needs no screen
    return figure


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
