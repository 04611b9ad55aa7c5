"""What an evaluation found, for people and programs: tables, Markdown, JSON and plots."""

import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tabulate import tabulate
from torch import Tensor

from motion_predictor.frames import PersonFrame, person_frame, to_model
from motion_predictor.skeleton import Layout
from motion_predictor_training.prediction import Predicted

CORE = ('ADE', 'FDE', 'root_ADE_m', 'MPJPE_best_mm', 'MPJPE_of_mean_mm')
"""Figures that are shown of every group."""
TIMES_S = (0.1, 0.2, 0.5, 1.0, 1.5, 2.0)
"""Horizons that tables show; JSON and plots have them all."""
CURVES = {
    'FDE': 'pose error of the nearest sample, m',
    'root_of_mean_m': 'root error of the mean, m',
    'MPJPE_best_mm': 'joint error of the best sample, mm',
    'MPJPE_of_mean_mm': 'joint error of the mean, mm',
}
FORESEEN, SEEN, MEAN = '#d9822b', '#1f4e79', '#7a2e0e'
COLOURS = {'model': FORESEEN, 'zero_velocity': '#777777', 'constant_velocity': '#4c9f70'}


def table(result: dict[str, Any]) -> str:
    """Return the rows of `evaluate_checkpoint`, the horizon and the groups, for a terminal.

    It is valid Markdown.
    """
    parts = [_figures(result), _horizon(result)]
    parts += [_groups(kind, groups) for kind, groups in result['groups'].items()]
    return '\n\n'.join(filter(None, parts))


def markdown(result: dict[str, Any]) -> str:
    """Return everything as a page of Markdown."""
    about = (
        f'`{result["checkpoint"]}` on {result["windows"]} windows of the archive '
        f'{result["archive"]}, one every {result["stride"]} frames, best of {result["samples"]} '
        f'samples, multimodal threshold {result["multimodal_threshold"]:g} m. Distances of poses '
        '(ADE, FDE, ...) are L2 norms over the whole pose relative to its root, in metres.'
    )
    return '\n\n'.join(['# Evaluation', about, table(result), _joints(result)]) + '\n'


def write_json(result: dict[str, Any], path: Path) -> None:
    """Write a result for programs to read."""
    write_text(json.dumps(result, indent=2) + '\n', path)


def write_markdown(result: dict[str, Any], path: Path) -> None:
    """Write a result for people to read."""
    write_text(markdown(result), path)


def plot_horizon(result: dict[str, Any], folder: Path) -> Path:
    """Plot the errors of the rows over the horizon, and the coverage of a calibrated radius."""
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


def plot_fans(
    shown: list[dict[str, Any]], predicted: Predicted, layout: Layout, rate_hz: float, folder: Path
) -> list[Path]:
    """Plot the fans of predictions on the windows that a result shows.

    Args:
        shown: the result's entries of the windows.
        predicted: what was predicted of them, in their order.
        layout: of the joints.
        rate_hz: frames per second.
        folder: one file for each window goes there.
    """
    frame = person_frame(predicted.history[:, -1], layout.hips)
    history, future, mean = (
        to_model(motion, frame) for motion in (predicted.history, predicted.future, predicted.mean)
    )
    paths = []
    for i, entry in enumerate(shown):
        one = PersonFrame(frame.origin[[i]], frame.rotation[[i]])
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
    """Draw a window in the person's frame: paths from above, then poses from the side.

    Args:
        motions: `history` (H, J, 3), `future` and `mean` (F, J, 3), `samples` (S, F, J, 3).
        layout: of the joints.
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
    """Return the joints whose paths are drawn: the root and the wrists that there are."""
    return [0, *(w for w in map(layout.index, ('l_wrist', 'r_wrist')) if w is not None)]


def _path(axes: Axes, path: Tensor, colour: str, alpha: float, width: float) -> None:
    """Draw a path (F, 3) from above."""
    axes.plot(path[:, 0], path[:, 1], color=colour, alpha=alpha, linewidth=width)


def _pose(
    axes: Axes, pose: Tensor, layout: Layout, colour: str, alpha: float, width: float
) -> None:
    """Draw a pose (J, 3) from its right side: ahead to the right, up upwards."""
    for joint, parent in enumerate(layout.parents):
        if parent >= 0:
            limb = pose[[joint, parent]]
            axes.plot(limb[:, 0], limb[:, 2], color=colour, alpha=alpha, linewidth=width)


def _figures(result: dict[str, Any]) -> str:
    """Return all figures, one a line, with what happened beside them."""
    rows, truth = result['rows'], result['truth']
    lines = [
        [name, *(row[name] for row in rows.values()), truth.get(name)] for name in rows['model']
    ]
    return _table(lines, ['', *rows, 'truth'])


def _horizon(result: dict[str, Any]) -> str:
    """Return the errors of the mean at some horizons; nothing of horizons that are too short."""
    horizon, reached = result['horizon'], result.get('coverage', {}).get('reached_at_s')
    lines = []
    for index, time_s in enumerate(horizon['times_s']):
        if time_s in TIMES_S:
            errors = [row['MPJPE_of_mean_mm'][index] for row in horizon['rows'].values()]
            lines.append(
                [f'{time_s:g} s', *errors, *([reached[f'{time_s:g}']] if reached else [])]
            )
    head = ['MPJPE_of_mean_mm', *horizon['rows'], *(['coverage'] if reached else [])]
    return _table(lines, head) if lines else ''


def _groups(kind: str, groups: dict[str, Any]) -> str:
    """Return the core figures of the model in each group, and the ADE of the baselines."""
    covered = any('coverage' in group for group in groups.values())
    lines = []
    for name, group in groups.items():
        rows = group['rows']
        label = f'{name} (seen)' if group.get('seen') else name
        line = [label, group['windows'], *(rows['model'][figure] for figure in CORE)]
        line += [row['ADE'] for other, row in rows.items() if other != 'model']
        lines.append([*line, *([group['coverage']['reached']] if covered else [])])
    baselines = [f'ADE of {row}' for row in next(iter(groups.values()))['rows'] if row != 'model']
    return _table(lines, [kind, 'windows', *CORE, *baselines, *(['coverage'] if covered else [])])


def _joints(result: dict[str, Any]) -> str:
    """Return the error of the mean and the coverage by joint."""
    reached = result.get('coverage', {}).get('reached_by_joint')
    lines = [
        [
            joint,
            *(row['of_mean_mm'][joint] for row in result['joints'].values()),
            *([reached[joint]] if reached else []),
        ]
        for joint in result['joints']['model']['of_mean_mm']
    ]
    head = ['mean error, mm', *result['joints'], *(['coverage'] if reached else [])]
    return _table(lines, head)


def _table(lines: list[list[Any]], head: list[str]) -> str:
    return tabulate(lines, head, tablefmt='github', floatfmt='.3f', disable_numparse=[0])


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)  # draws without a screen, whatever the machine has
    return figure


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def write_text(text: str, path: Path) -> None:
    """Write a text to a file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
