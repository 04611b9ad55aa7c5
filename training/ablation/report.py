"""Reports the ablations as tables."""

from pathlib import Path
from typing import Any

from tabulate import tabulate

from motion_predictor_training.ablation.rows import METRICS


def ablation_table(report: dict[str, Any]) -> str:
    """Return the rows of a report as a table for a terminal, valid Markdown."""
    batches = report['configuration']['batches']
    lines = []
    for row in report['rows']:
        if 'failed' in row:
            lines.append([row['name'], f'failed: {row["failed"]}'])
            continue
        change = row.get('ADE_change')
        error_cm = row.get('bfloat16_error_cm')
        lines.append(
            [
                row['name'],
                row['about'],
                *(f'{row[metric]:.3f}' for metric in METRICS),
                f'{row["energy_m"]:.3f}',
                '' if change is None else f'{change:+.1%}{_range(row)} of {row["against"]}',
                row.get('verdict', ''),
                *(_milliseconds(row['latency_ms'].get(str(people))) for people in batches),
                '' if error_cm is None else f'{error_cm["p99"]:.2f}',
                f'{row["parameters"] / 1e6:.2f}',
            ]
        )
    zero = [f'{value:.3f}' for value in report.get('zero_velocity', {}).values()]
    lines.append(['zero velocity', 'standing still', *zero])
    timed = [f'ms x{people}' for people in batches]
    differs, extras = ('ADE against', 'verdict'), (*timed, 'bf16 error, cm', 'M weights')
    head = ['', 'what', *METRICS, 'energy', *differs, *extras]
    return tabulate(lines, head, tablefmt='github', disable_numparse=True)


def _range(row: dict[str, Any]) -> str:
    if row.get('interval') is None:
        return ''
    low, high = row['interval']
    return f' ({low:+.1%} to {high:+.1%})'


def _milliseconds(value: float | None) -> str:
    return '' if value is None else f'{value:.1f}'


def write_ablation_markdown(report: dict[str, Any], path: Path) -> None:
    """Write the report as a Markdown page, for people."""
    asked = report['configuration']
    student = report['student']
    about = (
        f'Teacher `{report["teacher"]}`; {report.get("windows", 0)} windows of the archive '
        f'{report["data"]["validation"]}, one every {asked["stride"]} frames, best of '
        f'{asked["samples"]} samples, metres. Students: the same network, a bank of '
        f'{student["bank"]["size"]} rows with {asked["noises"]} noises for each condition, '
        f'{student["optimisation"]["steps"]} steps of {student["optimisation"]["batch"]} in '
        f'{asked["precision"]}, unless a row says otherwise. Figures are averages over '
        f'{asked["seeds"]} seeds: of the noises and, of students, of training too. Differences '
        'are paired, window by window and seed by seed, with intervals of 95 % over clips within '
        f'people and seeds; parity is an interval within {report["tolerance"]:.1%}. '
        f'Latencies are medians of {asked["repeats"]} predictions of so many people, '
        f'with {report["threads"]} threads where they run on a CPU.'
    )
    parts = ['# Ablations', about, ablation_table(report)]
    path.write_text('\n\n'.join(parts) + '\n')
