"""Shows the results of the benchmark as tables and curves."""

from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tabulate import tabulate

Row = dict[str, Any]

TIMES = {'median_ms': 'median', 'p99_ms': 'p99', 'p999_ms': 'p99.9', 'max_ms': 'max'}
WHO = {'checkpoint': '', 'engine': 'engine', 'precision': 'precision'}


def tables(result: dict[str, Any]) -> str:
    """Return the tables of all sections as text, with times in milliseconds."""
    machine = result['machine']
    peak = ', '.join(
        f'{speed:.0f} GFLOP/s {precision}' for precision, speed in machine['peak'].items()
    )
    parts = [
        f'{machine["cpu"]}, {machine["cores"]} cores ({", ".join(machine["flags"])}), torch '
        f'{machine["torch"]} on {machine["device"]} with {machine["threads"]} threads; matrix '
        f'products reach {peak}'
    ]
    settings = result['settings']
    one = f'one person, {settings["samples"]} samples, ms'
    if rows := result.get('model'):
        names = {'gap_ms': 'gap', 'calls': 'calls', **TIMES, 'error_p99_cm': 'error p99, cm'}
        parts.append(_table(f'Prediction: {one}', rows, WHO | names, '.2f'))
    if rows := result.get('scaling'):
        names = {'people': 'people', 'samples': 'samples', 'calls': 'calls', **TIMES}
        parts.append(_table('Cost of people and samples, ms', rows, WHO | names, '.2f'))
    if rows := result.get('published'):
        names = {
            'calls': 'calls',
            'median_ms': 'median',
            'p99_ms': 'p99',
            'gflop': 'GFLOP',
            'share_of_peak': 'share of peak',
            'default_is_faster': 'default is faster, x',
            'in_the_same_engine': 'in the same engine, x',
        }
        parts.append(_table(f'Published sizes: {one}', rows, WHO | names, '.2f'))
    if rows := result.get('training'):
        names = {
            'stage': '',
            'batch': 'batch',
            'precision': 'precision',
            'steps_per_s': 'steps a second',
            'windows_per_s': 'windows a second',
        }
        parts.append(_table('Training', rows, names, '.2f'))
    if rows := result.get('planning'):
        names = {
            'arm': 'arm',
            'distance_m': 'distance, m',
            'language': '',
            'closest_min_ms': 'distance, ms: least',
            'closest_median_ms': 'median',
            'closest_p99_ms': 'p99',
            'touch_min_ms': 'touch, ms: least',
            'touch_median_ms': 'median',
            'touch_p99_ms': 'p99',
        }
        title = '50 samples x 120 frames x 22 joints x 8 capsules of a robot'
        parts.append(_table(title, rows, names, '.2f'))
    if rows := result.get('refused'):
        names = {'engine': 'engine', 'precision': 'precision', 'reason': 'reason'}
        of_all = defaultdict(list)
        for row in rows:
            of_all[tuple(row[key] for key in names)].append(row['checkpoint'])
        rows = [
            {'checkpoint': ', '.join(who), **dict(zip(names, what, strict=True))}
            for what, who in of_all.items()
        ]
        parts.append(_table('Refused engines', rows, names | {'checkpoint': 'of'}, '.2f'))
    if end_to_end := result.get('end_to_end'):
        parts += _end_to_end(end_to_end)
    return '\n\n'.join(parts)


def plot(result: dict[str, Any], path: Path) -> None:
    """Plot the time against samples and people, for the network alone and end to end."""
    panels = []
    settings = result['settings']
    most = settings['samples']
    if rows := result.get('scaling'):
        one_person = [row for row in rows if row['people'] == 1]
        everyone = [row for row in rows if row['samples'] == most]
        panels += [
            ('samples', 'prediction, one person', one_person),
            ('people', f'prediction, {most} samples', everyone),
        ]
    if end_to_end := result.get('end_to_end'):
        rows = [
            {'people': run['people'], 'checkpoint': 'message to message', **run['received']}
            for run in end_to_end
            if 'received' in run
        ]
        panels.append(('people', 'end to end', rows))
    figure = Figure(figsize=(5 * len(panels), 4), dpi=110, layout='constrained')
    for index, (axis, title, rows) in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), index)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(axis)
        axes.set_ylabel('ms: median, p99 dashed')
        _curves(axes, axis, rows)
        if title == 'end to end':
            axes.axhline(settings['budget_ms'], color='grey', linestyle=':', label='budget')
        axes.set_xticks(sorted({row[axis] for row in rows}))
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _curves(axes: Axes, axis: str, rows: list[Row]) -> None:
    """Plot median and p99 against people or samples, with one colour per contender."""
    by_label = defaultdict(list)
    for row in rows:
        by_label[' '.join(row[key] for key in WHO if key in row)].append(row)
    for label, points in by_label.items():
        points.sort(key=lambda row: row[axis])
        places = [row[axis] for row in points]
        (line,) = axes.plot(places, [row['median_ms'] for row in points], 'o-', label=label)
        p99 = [row['p99_ms'] for row in points]
        axes.plot(places, p99, '--', color=line.get_color())


def _end_to_end(runs: list[Row]) -> list[str]:
    """Return three tables: message latency, the node's stages, and start-up and resource use."""
    latency, stages, use = [], [], []
    for run in runs:
        people = {'people': run['people']}
        counted = {'statuses': _shares(run['statuses']), 'samples': _middle(run['samples'])}
        latency.append(
            people
            | {key: run[key] for key in ('sent', 'unanswered', 'over_budget')}
            | counted
            | run.get('received', {})
        )
        stages += [people | {'stage': name} | spent for name, spent in run['stages'].items()]
        if 'transport' in run:
            stages.append(people | {'stage': 'published to received'} | run['transport'])
        rest = {
            'cpu': 100 * run['cpu_share'],
            'scheduling': run['diagnostics'].get('scheduling'),
        }
        use.append(people | run['start_up'] | run['memory_mb'] | rest)
    people = {'people': 'people'}
    counts = {
        'sent': 'sent',
        'unanswered': 'unanswered',
        'over_budget': 'over budget',
        'samples': 'samples, median / least',
        'statuses': 'statuses',
    }
    start = {
        'cache': 'cache',
        'active_s': 'active, s',
        'predicting_s': 'first prediction, s',
        'engine_s': 'best engine, s',
    }
    memory = {'start': 'memory, MB', 'end': 'at the end, MB'}
    rest = {'cpu': 'CPU, % of a core', 'scheduling': 'scheduling'}
    percentiles = {key: TIMES[key] for key in ('median_ms', 'p99_ms', 'max_ms')}
    return [
        _table('Message in to message out, ms', latency, people | TIMES | counts, '.1f'),
        _table(
            'Where it goes, ms (the last 1000 predictions)',
            stages,
            people | {'stage': 'stage'} | percentiles,
            '.1f',
        ),
        _table('Start and use', use, people | start | memory | rest, '.1f'),
    ]


def _shares(counts: dict[str, int]) -> str:
    every = sum(counts.values())
    return ', '.join(f'{name} {n} ({100 * n / every:.1f} %)' for name, n in counts.items())


def _middle(counts: dict[str, int]) -> str:
    numbers = [int(number) for number, n in counts.items() for _ in range(n)]
    return f'{median(numbers):g} / {min(numbers)}' if numbers else ''


def _table(title: str, rows: list[Row], names: dict[str, str], form: str) -> str:
    """Return a table with the columns of `names`. Missing values become empty cells."""
    cells = [[row.get(key) for key in names] for row in rows]
    return f'{title}\n\n' + tabulate(cells, list(names.values()), 'github', form)
