"""The trials of a search: students, results, and the choice of products."""

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
    """Latency of one prediction, milliseconds."""

    least_ms: float
    median_ms: float
    p99_ms: float


class Trial(Strict):
    """A proposed student, and its results."""

    number: int
    sought: Literal['base', 'initial', 'accuracy', 'balance']
    """Why it was proposed: as the base, as an initial trial, or for a product."""
    values: dict[str, Number | str]
    """Its values, by key of the student's configuration."""
    latency: Latency | None = None
    bar_m: float | None = None
    """If its early score exceeds this, it is stopped."""
    halfway_m: float | None = None
    """Its early score, measured during training."""
    pruned: bool = False
    """Whether it was stopped because of its early score."""
    score_m: float | None = None
    """Its final score on validation data. Less is better. None: not finished."""
    figures: dict[str, float] = {}
    """Its other metrics."""
    problem: str | None = None
    """Why it failed, or None."""

    @property
    def reached_m(self) -> float:
        """Return its final score, or its early score if it was stopped."""
        reached_m = self.halfway_m if self.pruned else self.score_m
        assert reached_m is not None
        return reached_m

    @property
    def median_ms(self) -> float:
        """Return the median latency."""
        assert self.latency is not None
        return self.latency.median_ms

    @property
    def finished(self) -> bool:
        """Return whether it was trained and measured."""
        return self.score_m is not None

    @property
    def open(self) -> bool:
        """Return whether it has neither finished, nor been stopped, nor failed."""
        return not (self.finished or self.pruned) and self.problem is None

    def with_(self, **changes: object) -> 'Trial':
        """Return a copy with more results."""
        return self.model_copy(update=changes)


class Trials:
    """All trials of a folder, in a file with one line of JSON each.

    The first line identifies the search. The file is replaced in one step, so that a reader sees
    either the old one or the new one.

    Args:
        folder: folder of `trials.jsonl`.
        identity: hash of all that the results depend on. Trials with another hash are refused.

    Raises:
        ConfigError: if the file is of other settings, data or another teacher, or is damaged.
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
        """Return the trials that finished, were stopped or failed, in order of their numbers."""
        return [trial for trial in self.all if not trial.open]

    @property
    def open(self) -> list[Trial]:
        """Return the trials that were proposed and are not done."""
        return [trial for trial in self.all if trial.open]

    def put(self, *trials: Trial) -> None:
        """Add or replace trials by their numbers, and write the file."""
        for trial in trials:
            self.all[trial.number : trial.number + 1] = [trial]
        first = json.dumps({'identity': self._identity})
        lines = [first, *(trial.model_dump_json() for trial in self.all)]
        with replaced(self.path) as draft:
            draft.write_text('\n'.join(lines) + '\n')


def choose(product: Product, trials: Sequence[Trial], config: TuneConfig) -> Trial:
    """Return the best finished trial within the latency budget.

    For `accuracy` it is the trial with the least score. For `balance` it is the one with the least
    median latency among those whose score exceeds the least one by at most the share
    `accuracy_loss`.

    Raises:
        ConfigError: if no finished trial keeps the budget.
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
    """Return the finished trials that no other beats in score and latency, the fastest first."""
    front: list[Trial] = []
    finished = [trial for trial in trials if trial.finished]
    for trial in sorted(finished, key=lambda trial: (trial.median_ms, trial.reached_m)):
        if not front or trial.reached_m < front[-1].reached_m:
            front.append(trial)
    return front
