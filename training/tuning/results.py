"""Stores the trials of a search with their results, and chooses the best trial per product."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from motion_predictor.common.problems import one_line
from motion_predictor_training.config import ConfigError, Number, Strict, TuneConfig
from motion_predictor_training.files import replaced

Product = Literal['accuracy', 'balance']
PRODUCTS: tuple[Product, ...] = ('accuracy', 'balance')


class Latency(Strict):
    """Latency of a prediction, milliseconds: least, median and 99th percentile."""

    least_ms: float
    median_ms: float
    p99_ms: float


class Trial(Strict):
    """One trial of a search: a proposed student, and its results."""

    number: int
    sought: Literal['base', 'initial', 'accuracy', 'balance']
    """Why the trial was proposed: as the base, as an initial trial, or for a product."""
    values: dict[str, Number | str]
    """Values of the searched keys in the student's configuration."""
    latency: Latency | None = None
    bar_m: float | None = None
    """Bar for the early score: a trial above it is stopped."""
    halfway_m: float | None = None
    """Early score, measured during training."""
    pruned: bool = False
    """Whether the trial was stopped because of its early score."""
    score_m: float | None = None
    """Final score on validation data. Lower is better. None: the trial has not finished."""
    figures: dict[str, float] = {}
    """All metrics of the trained student on validation data."""
    problem: str | None = None
    """Why the trial failed, or None if it did not fail."""

    @property
    def reached_m(self) -> float:
        """Return the final score of the trial, or the early score if the trial was stopped."""
        reached_m = self.halfway_m if self.pruned else self.score_m
        assert reached_m is not None
        return reached_m

    @property
    def median_ms(self) -> float:
        """Return the median latency of the trial's student, milliseconds."""
        assert self.latency is not None
        return self.latency.median_ms

    @property
    def finished(self) -> bool:
        """Return whether the trial was trained to the end and measured."""
        return self.score_m is not None

    @property
    def open(self) -> bool:
        """Return whether the trial is still to be run or resumed."""
        return not (self.finished or self.pruned) and self.problem is None

    def with_(self, **changes: object) -> 'Trial':
        """Return a copy of the trial with some fields replaced."""
        return self.model_copy(update=changes)


class Trials:
    """All trials of a search, kept in a file with one line of JSON per trial.

    The first line of the file identifies the search. The file is replaced in one step, so that a
    reader sees either the old file or the new file.

    Args:
        folder: folder of `trials.jsonl`.
        identity: hash of all settings and data that affect the results. A `trials.jsonl` with
            another hash is refused.

    Raises:
        ConfigError: if the file is damaged, or was made with other settings, other data or another
            teacher.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.path = folder / 'trials.jsonl'
        self.all: list[Trial] = []
        self._identity = identity
        if not self.path.is_file():
            return
        try:
            first, *lines = self.path.read_text().splitlines()
            theirs = json.loads(first)
            self.all = [Trial.model_validate_json(line) for line in lines]
        except ValueError as error:
            raise ConfigError(f'{self.path} is damaged: {one_line(error)}') from error
        if theirs != {'identity': identity}:
            raise ConfigError(
                f'{self.path} was made with other settings, data or teacher: remove the '
                'folder or write elsewhere'
            )

    @property
    def done(self) -> list[Trial]:
        """Return the trials that finished, were stopped or failed, ordered by number."""
        return [trial for trial in self.all if not trial.open]

    @property
    def open(self) -> list[Trial]:
        """Return the trials that were proposed but have no result yet."""
        return [trial for trial in self.all if trial.open]

    def put(self, *trials: Trial) -> None:
        """Add trials, or replace those with the same numbers, and write the file."""
        for trial in trials:
            self.all[trial.number : trial.number + 1] = [trial]
        first = json.dumps({'identity': self._identity})
        lines = [first, *(trial.model_dump_json() for trial in self.all)]
        with replaced(self.path) as draft:
            draft.write_text('\n'.join(lines) + '\n')


def choose(product: Product, trials: Sequence[Trial], config: TuneConfig) -> Trial:
    """Choose the trial for a product among the finished trials within the latency budget.

    The product `accuracy` is the trial with the lowest score. The product `balance` is the trial
    with the lowest median latency among all trials whose score exceeds the lowest score by at most
    the share `accuracy_loss`.

    Raises:
        ConfigError: if no finished trial keeps the latency budget.
    """
    finished = [trial for trial in trials if trial.finished]
    fit = [trial for trial in finished if trial.median_ms <= config.latency_budget_ms]
    if not fit:
        fastest_ms = min(trial.median_ms for trial in finished)
        raise ConfigError(
            f'no student keeps the latency budget of {config.latency_budget_ms:g} ms; the '
            f'fastest took {fastest_ms:.1f} ms: run it again on an idle machine, or raise '
            'the budget'
        )
    best = min(fit, key=lambda trial: (trial.reached_m, trial.median_ms))
    if product == 'accuracy':
        return best
    near = [
        trial for trial in fit if trial.reached_m <= best.reached_m * (1 + config.accuracy_loss)
    ]
    return min(near, key=lambda trial: (trial.median_ms, trial.reached_m))


def pareto_front(trials: Sequence[Trial]) -> list[Trial]:
    """Return the finished trials that no other trial beats in score and latency, fastest first."""
    front: list[Trial] = []
    finished = [trial for trial in trials if trial.finished]
    for trial in sorted(finished, key=lambda trial: (trial.median_ms, trial.reached_m)):
        if not front or trial.reached_m < front[-1].reached_m:
            front.append(trial)
    return front
