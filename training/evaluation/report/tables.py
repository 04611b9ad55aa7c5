"""Makes the tables of an evaluation. Each table is valid Markdown."""

from typing import Any

import numpy as np
from tabulate import tabulate

from motion_predictor_training.evaluation.measures.horizons import QUANTITIES

CORE = ('ADE', 'FDE', 'root_ADE_m', 'MPJPE_best_mm', 'MPJPE_of_mean_mm')
"""Figures that are shown for every group of windows."""
FEW_WINDOWS = 10
GROUP_TIMES_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Times ahead at which errors of groups are shown. The JSON file has more times."""
TITLES = {
    'joints': 'mean error of the joints in the world, mm',
    'root': 'of the root in the world, mm',
    'relative': 'of the joints relative to the root, mm',
}
SCORES = {
    'energy_pose_m': 'energy score of the pose, m',
    'energy_world_m': 'energy score in the world, m',
    'crps_mm': 'CRPS of a coordinate, mm',
    'rank_pose': 'rank of the truth, pose',
    'rank_world': 'rank of the truth, world',
    'rank_motion': 'rank of the truth, motion',
    'outside_all_pose': 'outside of all samples, pose',
    'outside_all_world': 'outside of all samples, world',
    'outside_all_motion': 'outside of all samples, motion',
    'outside_coordinates': 'coordinates outside of all samples',
    'error_over_spread': 'RMSE of the mean over spread',
    'speed_m_s': 'speed of joints of the samples, m/s',
    'true_speed_m_s': 'speed of joints as recorded, m/s',
}
WORSE, PERHAPS = ' *', ' ?'
"""Marks for a baseline that is better than the model: WORSE if the confidence interval proves it,
PERHAPS if there is only a single clip and thus no interval."""


def figures(result: dict[str, Any]) -> str:
    """Return all figures of model, baselines and recorded motion, one figure per line."""
    rows, truth = result['rows'], result['truth']
    intervals = result['intervals']['model']
    people = result.get('people', {}).get('model')
    lines = []
    for name, value in rows['model'].items():
        low, high = intervals.get(name, (None, None))
        line = [name, value, '' if low is None else f'{low:.3f} to {high:.3f}']
        line += [people.get(name)] if people else []
        line += [row[name] for other, row in rows.items() if other != 'model']
        lines.append([*line, truth.get(name)])
    level = f'{result["world"]["level"]:.0%}'
    head = ['', 'model', level, *(['over people'] if people else [])]
    return _table(lines, [*head, *(row for row in rows if row != 'model'), 'truth'])


def world(result: dict[str, Any]) -> list[str]:
    """Return one table for each quantity: the errors in the world by time ahead."""
    times_s = result['world']['times_s']
    parts = []
    for quantity in QUANTITIES:
        found = result['world']['all'][quantity]
        rows, best = found['rows'], found['best_baseline']
        model = rows['model']
        marks = [_mark(better) for better in best['is_better']]
        lines = [
            ['model', *(_mm(v) + mark for v, mark in zip(model['mean'], marks, strict=True))],
            ['', *(_span(ends) for ends in zip(model['low'], model['high'], strict=True))],
        ]
        if 'over_people' in model:
            lines.append(['model, over people', *map(_mm, model['over_people'])])
        lines += [
            [row.replace('_', ' '), *map(_mm, values['mean'])]
            for row, values in rows.items()
            if row != 'model'
        ]
        lines.append(['best baseline', *(row.replace('_', ' ') for row in best['row'])])
        parts.append(_table(lines, [TITLES[quantity], *map(_seconds, times_s)]))
    return parts


def world_groups(kind: str, result: dict[str, Any]) -> str:
    """Return the world errors of model and best baseline for each group (such as each person)."""
    times_s = result['world']['times_s']
    chosen = [index for index, time_s in enumerate(times_s) if time_s in GROUP_TIMES_S]
    lines = []
    for name, group in result['world']['groups'][kind].items():
        for quantity in ('joints', 'root'):
            model, best = group[quantity]['rows']['model'], group[quantity]['best_baseline']
            cells = [
                f'{_mm(model["mean"][i])} / {_mm(best["mean"][i])}{_mark(best["is_better"][i])}'
                for i in chosen
            ]
            lines.append([name, group['windows'], group['clips'], quantity, *cells])
    head = [kind, 'windows', 'clips', 'mm: model / best baseline']
    return _table(lines, [*head, *(_seconds(times_s[i]) for i in chosen)])


def baseline_wins(result: dict[str, Any]) -> str:
    """Return where a baseline is better than the model, one line per group and quantity."""
    wins = result['world']['where_a_baseline_is_better']
    parts = []
    for title, beyond in (
        (f'Where a baseline is better, beyond the interval (marked{WORSE})', True),
        (
            f'Where a baseline is better in a single clip, which may be chance (marked{PERHAPS})',
            None,
        ),
    ):
        cells: dict[tuple[str, str, str], list[str]] = {}
        for win in wins:
            if win['beyond_interval'] is beyond:
                cell = (
                    f'{_seconds(win["time_s"])} {_mm(win["model_mm"])} for '
                    f'{_mm(win["baseline_mm"])} ({win["baseline"].replace("_", " ")})'
                )
                cells.setdefault((win['kind'], win['group'], win['quantity']), []).append(cell)
        if cells:
            listed = [
                f'- {"" if kind == "all" else f"{kind} "}{group}, {quantity}: {"; ".join(found)}'
                for (kind, group, quantity), found in cells.items()
            ]
            parts.append(f'{title}, mm:\n\n' + '\n'.join(listed))
    return '\n\n'.join(parts) or 'Nowhere is a baseline better beyond the interval.'


def scores(result: dict[str, Any]) -> str:
    """Return the scores of the samples by time ahead."""
    found = result['scores']
    honest = found['honest']
    lines = []
    for name, title in SCORES.items():
        ideal = [value for key, value in honest.items() if name.startswith(key)]
        lines.append([title, *found['all'][name]['mean'], ideal[0] if ideal else None])
    head = ['samples', *map(_seconds, found['times_s']), 'all frames', 'honest']
    return _table(lines, head)


def scores_groups(kind: str, result: dict[str, Any]) -> str:
    """Return the most important scores over all frames, for each group (such as each person)."""
    names = [
        *('energy_pose_m', 'energy_world_m', 'rank_world', 'outside_all_world'),
        *('outside_coordinates', 'error_over_spread'),
    ]
    lines = [
        [name, group['windows'], *(group[score]['mean'][-1] for score in names)]
        for name, group in result['scores']['groups'][kind].items()
    ]
    return _table(lines, [kind, 'windows', *(SCORES[name] for name in names)])


def sets(result: dict[str, Any]) -> str:
    """Return coverage and size of our sets and of the sets of ISO 13855."""
    found = result['sets']
    lines = []
    for name, title in (('ours', 'ours'), ('iso_13855', 'ISO 13855')):
        of = found[name]
        lines += [
            [f'{title}: joints held', *map(_percent, of['coverage'])],
            [f'{title}: whole bodies held', *map(_percent, of['whole_body'])],
            [f'{title}: median radius, cm', *(f'{r:.1f}' for r in of['radius_cm'])],
        ]
        lines += [
            [f'{title}: volume, {percent} %, m3', *(f'{v:.2g}' for v in volumes)]
            for percent, volumes in of['volume_m3'].items()
        ]
    for name, title in (
        ('times_its_speeds', 'ISO 13855: factor of its speeds for the coverage of ours'),
        ('ours_at_equal_coverage', 'ours: volume over that of ISO 13855 with this factor'),
    ):
        values = found['iso_13855'][name]
        lines.append([title, *('' if v is None else f'{v:.3f}' for v in values)])
    head = [f'sets for {result["coverage"]["nominal"]:.1%}', *map(_seconds, found['times_s'])]
    return _table(lines, head)


def sets_least(result: dict[str, Any]) -> str:
    """Return the lowest coverage among people, joints, groups and limb speeds.

    Groups with fewer than FEW_WINDOWS windows are left out, since so few windows prove nothing.
    Speeds at which fewer than FEW_WINDOWS limbs were seen are left out, too.
    """
    found = result['sets']
    times_s = found['times_s']
    groups = {
        kind: {name: group for name, group in of.items() if group['windows'] >= FEW_WINDOWS}
        for kind, of in found['groups'].items()
    }
    lines = [['all joints', *map(_percent, found['ours']['coverage'])]]
    if people := groups.get('subject'):
        of_people = [person['coverage'] for person in people.values()]
        each = [np.mean(at) for at in zip(*of_people, strict=True)]
        lines.append(['people, with equal weights', *map(_percent, each)])
        lines.append(['the least person', *_least({n: p['coverage'] for n, p in people.items()})])
    at = {time_s: index for index, time_s in enumerate(found['joints']['times_s'])}
    joints = {
        joint: [held[at[t]] if t in at else None for t in times_s]
        for joint, held in found['joints']['coverage'].items()
    }
    lines.append(['the least joint', *_least(joints)])
    for kind in ('pace', 'body', 'category'):
        of_kind = {name: group['coverage'] for name, group in groups.get(kind, {}).items()}
        if of_kind:
            lines.append([f'the least {kind}', *_least(of_kind)])
            lines.append([f'the most {kind}', *_least(of_kind, most=True)])
    limbs = {
        f'from {row["from_m_s"]:g} m/s': row['coverage']
        for row in found['extremities']
        if row['joints'][0] >= FEW_WINDOWS
    }
    lines.append(['the least wrists and ankles', *_least(limbs)])
    return _table(lines, ['held', *map(_seconds, times_s)])


def _least(shares: dict[str, list[float | None]], most: bool = False) -> list[str]:
    """Return the least (or greatest) share at each time ahead, with its key in `shares`."""
    cells = []
    for values in zip(*shares.values(), strict=True):
        known = [(v, name) for v, name in zip(values, shares, strict=True) if v is not None]
        value, name = (max if most else min)(known, default=(None, ''))
        cells.append(f'{_percent(value)} {name}')
    return cells


def sets_groups(kind: str, result: dict[str, Any]) -> str:
    """Return the shares of joints and whole bodies inside the sets, for each group of a kind."""
    found = result['sets']
    lines = []
    for name, group in found['groups'][kind].items():
        for what in ('coverage', 'whole_body'):
            of = 'joints' if what == 'coverage' else 'bodies'
            lines.append([name, group['windows'], of, *map(_percent, group[what])])
    return _table(lines, [kind, 'windows', 'held', *map(_seconds, found['times_s'])])


def extremities(result: dict[str, Any]) -> str:
    """Return the share of wrists and ankles inside the sets, by speed when last seen."""
    found = result['sets']
    lines = []
    for row in found['extremities']:
        to = '' if row['to_m_s'] is None else f' to {row["to_m_s"]:g}'
        lines.append(
            [f'{row["from_m_s"]:g}{to} m/s', row['joints'][0], *map(_percent, row['coverage'])]
        )
    head = ['wrists and ankles last seen at', 'joints', *map(_seconds, found['times_s'])]
    return _table(lines, head)


def groups(kind: str, by_name: dict[str, Any]) -> str:
    """Return the CORE figures of the model and the ADE of the baselines, by group."""
    covered = any('coverage' in group for group in by_name.values())
    lines = []
    for name, group in by_name.items():
        rows = group['rows']
        label = f'{name} (seen)' if group.get('seen') else name
        line = [label, group['windows'], *(rows['model'][figure] for figure in CORE)]
        line += [row['ADE'] for other, row in rows.items() if other != 'model']
        lines.append([*line, *([group['coverage']['reached']] if covered else [])])
    baselines = [f'ADE of {row}' for row in next(iter(by_name.values()))['rows'] if row != 'model']
    return _table(lines, [kind, 'windows', *CORE, *baselines, *(['coverage'] if covered else [])])


def joints(result: dict[str, Any]) -> str:
    """Return the error of the mean by joint and, if calibrated, the coverage by time ahead."""
    held = result.get('sets', {}).get('joints')
    lines = [
        [
            joint,
            *(row['of_mean_mm'][joint] for row in result['joints'].values()),
            *(map(_percent, held['coverage'][joint]) if held else []),
        ]
        for joint in result['joints']['model']['of_mean_mm']
    ]
    head = ['mean error, mm', *result['joints']]
    head += [f'held at {_seconds(time_s)}' for time_s in held['times_s']] if held else []
    return _table(lines, head)


def _mark(is_better: bool | None) -> str:
    return {True: WORSE, None: PERHAPS, False: ''}[is_better]


def _mm(value: float | None) -> str:
    return '' if value is None else f'{value:.0f}'


def _span(ends: tuple[float | None, float | None]) -> str:
    return '' if ends[0] is None else f'{_mm(ends[0])} to {_mm(ends[1])}'


def _percent(share: float | None) -> str:
    return '' if share is None else f'{share:.1%}'


def _seconds(time_s: float) -> str:
    return f'{time_s:.2g} s'


def _table(lines: list[list[Any]], head: list[str]) -> str:
    return tabulate(lines, head, tablefmt='github', floatfmt='.3f', disable_numparse=[0])
