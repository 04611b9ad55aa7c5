"""Reports the sensitivity of a student as a table and as a plot."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tabulate import tabulate

from motion_predictor_training.ablation.rows import METRICS

AXES = {
    'ddim_steps': "teacher's denoising steps",
    'bank_size': 'rows of the bank',
    'noises': 'noises per condition',
    'timestep': 'timestep of the one step',
}
BASES = {'timestep': 'one-step'}
"""Row that the other rows of an axis are compared with, by axis. For axes that are not listed it
is `student`."""
COLOURS = {'leading': '#1f4e79', 'trailing': '#d9822b'}
Row = dict[str, Any]


def sensitivity_table(report: dict[str, Any]) -> str:
    """Return the rows of a report as a table for a terminal, valid Markdown."""
    lines = []
    for row in report['rows']:
        if 'failed' in row:
            lines.append([row['name'], f'failed: {row["failed"]}'])
            continue
        figures = [f'{row[metric]:.3f}' for metric in (*METRICS, 'energy_m')]
        change, verdict = '', row.get('verdict', '')
        if 'ADE_change' in row:
            change = f'{row["ADE_change"]:+.1%}'
            if row['interval'] is not None:
                change += ' ({:+.1%} to {:+.1%})'.format(*row['interval'])
            verdict += f', of {row["against"]}'
        lines.append([row['name'], *figures, change, verdict])
    head = ['', *METRICS, 'energy', 'ADE', '']
    return tabulate(lines, head, tablefmt='github', disable_numparse=True)


def write_sensitivity_markdown(report: dict[str, Any], path: Path) -> None:
    """Write the report as a Markdown page, for people."""
    asked, student = report['configuration'], report['student']
    reference = ', '.join(f'{name} {value}' for name, value in report['reference'].items())
    about = (
        f'Teacher `{report["teacher"]}`; {report.get("windows", 0)} windows of the archive '
        f'{report["data"]["validation"]}, one every {asked["stride"]} frames, '
        f'{asked["samples"]} samples, metres. Students learn directly from the teacher, '
        f'{student["optimisation"]["steps"]} steps of {student["optimisation"]["batch"]}. Unless '
        f'a row says otherwise: {reference}. Figures are averages over {asked["seeds"]} seeds. '
        'Differences are paired, with intervals of 95 % over clips within people and seeds. '
        'The network of a student has no timestep as input, so the rows with other timesteps are '
        'of one-step TransFusions.'
    )
    path.write_text(f'# Sensitivity of the student\n\n{about}\n\n{sensitivity_table(report)}\n')


def plot_sensitivity(report: dict[str, Any], path: Path) -> None:
    """Plot the ADE over each varied setting, with confidence intervals."""
    rows = {row['name']: row for row in report['rows'] if 'failed' not in row}
    shown = [axis for axis in AXES if any(axis in row for row in rows.values())]
    if not shown:
        return
    figure = Figure(figsize=(3.6 * len(shown), 3.6), dpi=110, layout='constrained')
    for place, axis in enumerate(shown, 1):
        axes = figure.add_subplot(1, len(shown), place)
        _draw(axes, axis, rows, report['reference'])
        axes.set_xlabel(AXES[axis])
        axes.set_ylabel('ADE, m')
        if axis != 'timestep':
            axes.set_xscale('log')
            values = {row[axis] for row in rows.values() if axis in row}
            places = sorted(values | {report['reference'][axis]})
            axes.set_xticks(places, places)
            axes.minorticks_off()
        axes.legend(fontsize=7)
    figure.savefig(path)


def _draw(axes: Axes, axis: str, rows: dict[str, Row], reference: Row) -> None:
    """Draw the ADE over one varied setting, for teachers and students.

    One point of each line is the variant with the reference settings, if it has the step grid of
    the line. A vertical bar is the confidence interval of the difference between a variant and the
    variant that it is compared with.
    """
    grids = ('leading', 'trailing') if axis == 'ddim_steps' else (reference['grid'],)
    for name, style in (('teacher', '--'), (BASES.get(axis, 'student'), '-')):
        for grid in grids:
            line = [
                row
                for row in rows.values()
                if axis in row and row['name'].startswith(name) and row.get('grid', grid) == grid
            ]
            if not line:
                continue
            own = reference | rows.get(name, {})
            if name in rows and own['grid'] == grid:
                line.append(own)
            line.sort(key=lambda row: row[axis])
            places, errors = [row[axis] for row in line], [row['ADE'] for row in line]
            label = f'{name}, {grid}' if axis == 'ddim_steps' else name
            colour = COLOURS[grid]
            axes.plot(places, errors, style, marker='o', ms=3, color=colour, label=label)
            for row in line:
                if row.get('interval') is not None and row['against'] in rows:
                    ends = [rows[row['against']]['ADE'] * (1 + end) for end in row['interval']]
                    axes.plot([row[axis]] * 2, ends, color=colour, lw=0.8, alpha=0.6)
