"""Shows results of `train shield` as a table and as a plot."""

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tabulate import tabulate

COLOURS = {
    'ISO 13855': '#777777',
    'zero velocity': '#4c9f70',
    'constant velocity': '#7b5ea7',
    'ours corrected': '#b03a2e',
    'ours': '#d9822b',
}


def table(result: dict[str, Any]) -> str:
    """Return the results as a table for a terminal; the table is valid Markdown."""
    bound = f'at most ({result["confidence"]:.0%})'
    head = ['sets', 'coverage', 'time lost, %', 'full speed, %', 'slowed, %', 'stopped, %']
    head += ['missed of verified', '%', f'{bound}, %', 'moments missed', f'{bound}, %']
    lines = []
    for sets in result['sets']:
        cycles, moments = sets['cycles'], sets['moments']
        shares = ('lost_time', 'full_speed', 'slowed', 'stopped')
        lines.append(
            [
                sets['name'],
                '' if sets['coverage'] is None else f'{sets["coverage"]:g}',
                *(f'{100 * sets[share]:.1f}' for share in shares),
                f'{cycles["missed"]} of {cycles["verified"]}',
                '' if cycles['share'] is None else f'{100 * cycles["share"]:.3f}',
                f'{100 * cycles["at_most"]:.3f}',
                f'{moments["missed"]} of {moments["verified"]}',
                f'{100 * moments["at_most"]:.2f}',
            ]
        )
    return tabulate(lines, head, 'github', disable_numparse=True)


def people(result: dict[str, Any]) -> str:
    """Return a table of the time lost and the misses for each person."""
    names = list(result['people'])
    lines = []
    for sets in result['sets']:
        of = sets['by_person']
        cells = [
            f'{100 * of[name]["lost_time"]:.1f}, {of[name]["missed"]} of {of[name]["verified"]}'
            for name in names
        ]
        coverage = '' if sets['coverage'] is None else f'{sets["coverage"]:g}'
        lines.append([sets['name'], coverage, *cells])
    return tabulate(lines, ['time lost, %; missed of verified', '', *names], 'github')


def about(result: dict[str, Any]) -> str:
    """Return a sentence about the measurement and its data."""
    cell = result['cell']
    who = ', '.join(result['people'])
    left_out = ', '.join(result['left_out']) or 'nobody'
    return (
        f'`{result["checkpoint"]}`, {result["scenes"]} control cycles beside {who} (archive '
        f'{result["archive"]}, {result["windows"]} windows); left out, as the checkpoint knows '
        f'them: {left_out}. An arm of up to {cell["speed_m_s"]:g} m/s, cycles of '
        f'{cell["cycle_s"]:g} s, {cell["latency_s"]:g} s after capture, {cell["stop_s"]:g} s to '
        f'stop. Contact with what is slower than {cell["allowed_m_s"]:g} m/s does not count.'
    )


def markdown(result: dict[str, Any]) -> str:
    """Return the results as a page of Markdown."""
    parts = ['# What sets are worth to a robot', about(result), table(result), people(result)]
    return '\n\n'.join(parts) + '\n'


def plot(result: dict[str, Any], path: Path) -> None:
    """Draw the share of misses (y) against the time lost (x).

    Each method is a curve, and each coverage is a point of the curve.
    """
    figure = Figure(figsize=(7.5, 4.5), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)  # this canvas needs no screen
    axes = figure.add_subplot()
    kinds: dict[str, list[dict[str, Any]]] = {}
    for sets in result['sets']:
        kinds.setdefault(sets['name'], []).append(sets)
    for name, of_kind in kinds.items():
        of_kind = sorted(of_kind, key=lambda sets: sets['coverage'] or 0)
        lost = [100 * sets['lost_time'] for sets in of_kind]
        share = [100 * (sets['cycles']['share'] or 0) for sets in of_kind]
        most = [100 * sets['cycles']['at_most'] for sets in of_kind]
        colour = next(colour for start, colour in COLOURS.items() if name.startswith(start))
        style = '--' if 'whole body' in name else '-'
        axes.plot(lost, share, style, marker='o', markersize=4, color=colour, label=name)
        axes.vlines(lost, share, most, color=colour, alpha=0.4)
        for x, y, sets in zip(lost, share, of_kind, strict=True):
            if sets['coverage'] is not None:
                note = f'{sets["coverage"]:g}'
                axes.annotate(note, (x, y), fontsize=7, xytext=(3, 3), textcoords='offset points')
    axes.set_yscale('symlog', linthresh=0.01)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.set_xlabel('time lost, %')
    axes.set_ylabel('verified cycles with contact, % (lines: up to the bound)')
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
