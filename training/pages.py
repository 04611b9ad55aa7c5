"""Writes the tables of documentation pages from result files, so that pages and files agree.

A page marks a table, for example `where`, by two comment lines, `<!-- table: where -->` and `<!--
end of table -->`. This module replaces the text between the two comment lines.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tabulate import tabulate

from motion_predictor.checkpoint import load_checkpoint
from motion_predictor_training.ablation.report import ablation_table
from motion_predictor_training.ablation.sensitivity_report import sensitivity_table
from motion_predictor_training.evaluation.report.cards import cards

Results = dict[str, dict[str, Any]]
MARKED = re.compile(r'(<!-- table: ([a-z]+) -->\n).*?(<!-- end of table -->)', re.DOTALL)
BASELINES = ('zero_velocity', 'constant_velocity', 'damped_velocity')
PUBLISHED = ('ADE', 'FDE', 'MMADE', 'MMFDE', 'APD')
SPREAD_TIMES_S = (0.1, 0.2, 0.5, 1.0, 2.0)
OUTSIDE_TIMES_S = (0.5, 1.0, 2.0)
SEARCH = 'search-'
TRIALS_A_LINE = 5


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """Return the part of an evaluation's result that the tables of pages need."""
    facts = ('checkpoint', 'archive', 'windows', 'clips', 'stride', 'samples', 'rows', 'intervals')
    kept = {name: result[name] for name in (*facts, 'people') if name in result}
    world = {name: result['world'][name] for name in ('times_s', 'level')}
    kept['world'] = world | {'joints': result['world']['all']['joints']['rows']}
    if 'scores' in result:
        kept['scores'] = {name: result['scores'][name] for name in ('times_s', 'all')}
    if 'sets' in result:
        kept['sets'] = {name: result['sets'][name] for name in ('times_s', 'ours', 'iso_13855')}
    return kept


def load_results(folder: Path) -> Results:
    """Read all result files of a folder, first `default` and then the others by name.

    The file of an evaluation is named after its checkpoint. The files `shield.json`,
    `ablation.json` and `sensitivity.json` are the results of `train shield`, `train ablate` and
    `train sensitivity`. A file whose name begins with `search-` is a summary of `train tune`.

    Raises:
        ValueError: if the folder has no `default.json`.
    """
    files = sorted(folder.glob('*.json'), key=lambda file: (file.stem != 'default', file.stem))
    results = {file.stem: json.loads(file.read_text()) for file in files}
    if 'default' not in results:
        raise ValueError(f'{folder} has no default.json: write it with `train evaluate --summary`')
    return results


def rewritten(page: str, results: Results) -> str:
    """Return the text of a page with all its marked tables replaced.

    Raises:
        ValueError: if the page marks no table, or a table of an unknown name.
    """

    def table(found: re.Match[str]) -> str:
        if found[2] not in TABLES:
            raise ValueError(f"there is no table '{found[2]}', only {', '.join(TABLES)}")
        return f'{found[1]}\n{TABLES[found[2]](results)}\n\n{found[3]}'

    if not MARKED.search(page):
        raise ValueError('the page has no marked table')
    return MARKED.sub(table, page)


def _evaluations(results: Results) -> list[tuple[str, dict[str, Any]]]:
    return [(name, result) for name, result in results.items() if 'world' in result]


def _where(results: Results) -> str:
    """Return a table of the mean's errors in the world by time ahead, mm."""
    world = results['default']['world']
    lines = []
    for name, result in _evaluations(results):
        model = result['world']['joints']['model']
        lines.append([f'`{name}`', *(f'{value:.0f}' for value in model['mean'])])
        if name == 'default':
            ends = zip(model['low'], model['high'], strict=True)
            lines.append(['', *(f'{low:.0f}-{high:.0f}' for low, high in ends)])
    for row in BASELINES:
        values = world['joints'][row]['mean']
        lines.append([row.replace('_', ' '), *(f'{value:.0f}' for value in values)])
    return _table(lines, ['', *_seconds(world['times_s'])])


def _futures(results: Results) -> str:
    """Return a table of the samples' scores and of the published metrics."""
    lines = []
    for name, result in _evaluations(results):
        scores = result['scores']
        at = dict(zip(scores['times_s'], range(len(scores['times_s'])), strict=True))
        spread = scores['all']['error_over_spread']['mean']
        outside = scores['all']['outside_all_world']['mean']
        lines.append(
            [
                f'`{name}`',
                f'{scores["all"]["energy_pose_m"]["mean"][-1]:.3f}',
                ', '.join(f'{spread[at[time_s]]:.2f}' for time_s in SPREAD_TIMES_S),
                ', '.join(f'{outside[at[time_s]]:.0%}' for time_s in OUTSIDE_TIMES_S),
                *_published(result, 'model'),
            ]
        )
    baselines = results['default']
    for row in ('zero_velocity', 'constant_velocity'):
        # A baseline predicts a single future, whose energy score equals its error.
        energy_m = f'{baselines["rows"][row]["ADE"]:.3f}'
        lines.append([row.replace('_', ' '), energy_m, '', '', *_published(baselines, row)])
    return _table(lines, ['', 'energy', 'error over spread', 'outside all', *PUBLISHED])


def _published(result: dict[str, Any], row: str) -> list[str]:
    cells = []
    for metric in PUBLISHED:
        low, high = result['intervals'][row][metric]
        value = result['rows'][row][metric]
        span = f' ({low:.2f}-{high:.2f})' if row == 'model' else ''
        cells.append(f'{value:.3f}{span}' if metric != 'APD' else f'{value:.1f}')
    return cells


def _sets(results: Results) -> str:
    """Return a table of the coverage and the median radius of the checkpoint `default`."""
    sets = results['default']['sets']
    lines = [
        ['held, %', *(f'{100 * value:.1f}' for value in sets['ours']['coverage'])],
        ['median radius, cm', *(_centimetres(value) for value in sets['ours']['radius_cm'])],
        ['ISO 13855, radius, cm', *(f'{value:.0f}' for value in sets['iso_13855']['radius_cm'])],
    ]
    return _table(lines, ['', *_seconds(sets['times_s'])])


def _cards(results: Results) -> str:
    """Return a table with the model cards of all evaluated checkpoints."""
    names = [name for name, _ in _evaluations(results)]
    shipped = [load_checkpoint(name) for name in names]
    return _table(cards(shipped), ['', *(f'`{name}`' for name in names)])


def _shield(results: Results) -> str:
    """Return a table of the simulated robot arm, after a line about its data."""
    found = results['shield']
    lines = []
    for sets in found['sets']:
        name, coverage, cycles = sets['name'], sets['coverage'], sets['cycles']
        learnt = name.startswith('ours')
        if coverage is not None and not learnt and (coverage != 0.9 or 'joints' not in name):
            continue
        lines.append(
            [
                name,
                '' if coverage is None else f'{coverage:g}',
                *(f'{100 * sets[share]:.1f}' for share in ('lost_time', 'full_speed', 'stopped')),
                f'{cycles["missed"]} of {cycles["verified"]}',
                f'{100 * cycles["at_most"]:.3f}',
            ]
        )
    head = ['sets', 'coverage', 'time lost, %', 'full speed, %', 'stopped, %']
    head += ['missed of verified cycles', 'at most, %']
    about = (
        f'Measured with `{found["checkpoint"]}`: {found["scenes"]} cycles beside '
        f'{len(found["people"])} people.'
    )
    return f'{about}\n\n{_table(lines, head)}'


def _ablation(results: Results) -> str:
    return ablation_table(results['ablation'])


def _sensitivity(results: Results) -> str:
    return sensitivity_table(results['sensitivity'])


def _searches(results: Results) -> str:
    """Return a table of the best score of each search after different numbers of trials."""
    searches = {
        name.removeprefix(SEARCH).replace('-', ' '): result
        for name, result in results.items()
        if name.startswith(SEARCH)
    }
    most = max(len(search['trials']) for search in searches.values())
    lines = []
    for count in range(2 * TRIALS_A_LINE, most + 1, TRIALS_A_LINE):
        best = (_best(search['trials'][:count]) for search in searches.values())
        lines.append(
            [str(count), *(f'{trial["score_m"]:.3f}, trial {trial["number"]}' for trial in best)]
        )
    costs = [search['cost'] for search in searches.values()]
    lines.append(['trials stopped early', *(str(cost['pruned']) for cost in costs)])
    lines.append(['training steps', *(f'{cost["steps"]:,}' for cost in costs)])
    return _table(lines, ['trials', *searches])


def _best(trials: list[dict[str, Any]]) -> dict[str, Any]:
    return min((t for t in trials if t['score_m'] is not None), key=lambda t: t['score_m'])


TABLES: dict[str, Callable[[Results], str]] = {
    'where': _where,
    'futures': _futures,
    'sets': _sets,
    'cards': _cards,
    'shield': _shield,
    'ablation': _ablation,
    'sensitivity': _sensitivity,
    'searches': _searches,
}


def _seconds(times_s: list[float]) -> list[str]:
    first, *others = (f'{round(time_s, 2):g}' for time_s in times_s)
    return [f'{first} s', *others]


def _centimetres(value: float) -> str:
    return f'{value:.1f}' if value < 10 else f'{value:.0f}'


def _table(lines: list[list[str]], head: list[str]) -> str:
    return tabulate(lines, head, tablefmt='github', disable_numparse=True)
