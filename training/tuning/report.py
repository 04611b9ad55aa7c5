"""Reports the results of a search as a table and plots."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from skopt.plots import plot_convergence, plot_objective
from tabulate import tabulate

from motion_predictor_training.config import TuneConfig
from motion_predictor_training.tuning.proposals import Search
from motion_predictor_training.tuning.results import PRODUCTS, Product, Trial, pareto_front

COLOURS = {'accuracy': '#1f4e79', 'balance': '#d9822b'}
SCORES = {'energy': 'energy score', 'ADE': 'ADE'}
OBJECTIVES = {
    'accuracy': 'score, m',
    'balance': 'cost of latency and excess score',
}


def table(config: TuneConfig, trials: Sequence[Trial], chosen: Mapping[Product, Trial]) -> str:
    """Return a table of all trials for a terminal, with the best finished trials on top."""
    front = pareto_front(trials)
    lines = []
    for trial in sorted(trials, key=lambda t: t.reached_m if t.finished else math.inf):
        marks: list[str] = [product for product in chosen if chosen[product] == trial]
        latency = trial.latency
        lines.append(
            [
                trial.number,
                trial.sought,
                *(f'{v:.2g}' if isinstance(v, float) else v for v in trial.values.values()),
                f'{trial.reached_m:.4f}' if trial.finished else '',
                f'{latency.median_ms:.2f}' if latency else '',
                f'{latency.p99_ms:.2f}' if latency else '',
                trial.problem
                or (f'stopped at {trial.reached_m:.4f}' if trial.pruned else '')
                or ', '.join([*marks, *(['Pareto front'] if trial in front else [])]),
            ]
        )
    keys = (key.partition('.')[2] for key in trials[0].values)
    head = ['trial', 'sought', *keys, f'{SCORES[config.score]}, m', 'median, ms', 'p99, ms', '']
    align = ['right'] * (len(head) - 1) + ['left']
    return tabulate(lines, head, tablefmt='github', disable_numparse=True, colalign=align)


def plot_all(
    search: Search, trials: Sequence[Trial], chosen: Mapping[Product, Trial], folder: Path
) -> None:
    """Plot score over latency, convergence of the searches, and the effect of each setting."""
    _plot_front(search, trials, chosen).savefig(folder / 'accuracy_latency.png')
    _plot_convergence(search, trials).savefig(folder / 'convergence.png')
    for product in PRODUCTS:
        figure = _plot_dependence(search, product, trials)
        figure.savefig(folder / f'partial_dependence_{product}.png')


def _plot_front(
    search: Search, trials: Sequence[Trial], chosen: Mapping[Product, Trial]
) -> Figure:
    """Plot score over latency of the finished trials, the Pareto front and the products."""
    figure = Figure(figsize=(6, 4.5), dpi=110, layout='constrained')
    axes = figure.add_subplot()
    finished, front = [t for t in trials if t.finished], pareto_front(trials)
    stopped = [t for t in trials if t.pruned]
    if stopped:
        axes.scatter(*_places(stopped), color='#cccccc', s=14, marker='x', label='stopped')
    axes.scatter(*_places(finished), color='#777777', s=18, label='trials')
    axes.step(*_places(front), where='post', color='#4c9f70', label='Pareto front')
    for product, trial in chosen.items():
        label = f'{product}: trial {trial.number}'
        # The circles of the two products differ in size, so that both are visible even if both
        # products are the same trial.
        size = 90 if product == 'balance' else 220
        axes.scatter(
            *_places([trial]), size, facecolors='none', edgecolors=COLOURS[product], label=label
        )
    axes.set_xlabel('median latency, ms')
    axes.set_ylabel(f'{SCORES[search.config.score]} on validation data, m')
    axes.legend(fontsize=8)
    return figure


def _places(trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
    return [trial.median_ms for trial in trials], [trial.reached_m for trial in trials]


def _plot_convergence(search: Search, trials: Sequence[Trial]) -> Figure:
    """Plot the lowest objective so far over the number of trials, for each search."""
    figure = Figure(figsize=(4.5 * len(PRODUCTS), 3.6), dpi=110, layout='constrained')
    for position, product in enumerate(PRODUCTS, 1):
        axes = figure.add_subplot(1, len(PRODUCTS), position)
        plot_convergence(search.fitted(product, trials).get_result(), ax=axes)
        axes.set_title(product)
        axes.set_xlabel('trials')
        axes.set_ylabel(f'least {OBJECTIVES[product]}')
    return figure


def _plot_dependence(search: Search, product: Product, trials: Sequence[Trial]) -> Figure:
    """Plot a search's Gaussian process over each dimension, and over each pair of dimensions."""
    count = len(search.dimensions)
    figure = Figure(figsize=(2.6 * count + 1, 2.6 * count + 1), dpi=80)
    result = search.fitted(product, trials).get_result()
    plot_objective(result, n_points=20, n_samples=100, ax=figure.add_subplot())
    grid = np.array(figure.axes[-(count**2) :]).reshape(count, count)
    for i, choices in enumerate(search.choices):
        if choices is not None:
            places = range(len(choices))
            for j in range(i, count):
                grid[j, i].set_xticks(
                    places, choices if j in (i, count - 1) else [''] * len(choices)
                )
            for j in range(i):
                grid[i, j].set_yticks(places, choices if j == 0 else [''] * len(choices))
    figure.suptitle(f'{product}: {OBJECTIVES[product]}')
    return figure
