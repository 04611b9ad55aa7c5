"""Proposes trials by a Gaussian process and expected improvement (scikit-optimize).

There are two searches, `accuracy` and `balance`, one for each product. The two searches take
turns, and both learn from every trial. The search `accuracy` minimises the score (the validation
error). The search `balance` minimises the latency, divided by the latency budget, plus log(1 + e).
The excess e says by how much the score is above its limit, in units of the allowed accuracy loss.
Because of the logarithm, a small excess is already expensive, and very bad students do not hide
the differences between good ones. A single weighted sum of score and latency would find one
compromise between both products, instead of both.

For each proposal, the optimiser is built anew from all trials. The proposals of the optimiser
depend only on the seed and the earlier trials. So a resumed search continues like an uninterrupted
one.
"""

import math
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from skopt import Optimizer
from skopt.sampler import Lhs
from skopt.space import Categorical, Integer, Real, Space

from motion_predictor.common.problems import first_problem
from motion_predictor_training.config import (
    ConfigError,
    Dimension,
    DistilConfig,
    Number,
    TuneConfig,
)
from motion_predictor_training.tuning.results import PRODUCTS, Product, Trial

Values = dict[str, Number | str]
FIXED = {'network.kind', 'optimisation.steps'}
"""Configuration keys that cannot be searched, since other keys depend on them."""


def with_values(base: DistilConfig, values: Values) -> DistilConfig:
    """Return a copy of a student's configuration with new values for some keys.

    Raises:
        ValidationError: if the new configuration is invalid.
    """
    content = base.model_dump()
    for key, value in values.items():
        section, name = key.split('.')
        content[section][name] = value
    return DistilConfig.model_validate(content)


class Search:
    """Proposes trials in a search space.

    Raises:
        ConfigError: if a dimension has the name of no searchable key, or has values that are
            invalid for the key.
    """

    def __init__(self, config: TuneConfig) -> None:
        self.config = config
        self._base = self._searchable()
        for key, dimension in config.space.items():
            self._require_fit(key, dimension)
        self.dimensions = [self._dimension(*item) for item in config.space.items()]
        self.choices = [_ordered(dimension) for dimension in config.space.values()]
        """For each dimension, the sorted numbers to choose from, or None if its choices are not
        numbers. scikit-optimize gets the index of a number instead of the number."""

    def propose(self, trials: Sequence[Trial], count: int) -> list[Trial]:
        """Return the next trials to run, at most `count`.

        Args:
            trials: all trials so far, whether finished, stopped or failed.
            count: number of trials that run at the same time.
        """
        config, number = self.config, len(trials)
        if config.search == 'random' and number >= config.initial_trials:
            return self._random_trials(number, count)
        if number < config.initial_trials:
            return self._initial_trials()[number : number + count]
        sought = [trial.sought for trial in trials]
        product = min(PRODUCTS, key=sought.count)  # the two products take turns
        points = self.fitted(product, trials).ask(n_points=count, strategy='cl_min')
        return [
            Trial(number=number + i, sought=product, values=self._values(point))
            for i, point in enumerate(points)
        ]

    def _random_trials(self, number: int, count: int) -> list[Trial]:
        """Return `count` random trials, each of which depends only on its number and the seed."""
        return [
            Trial(
                number=n,
                sought='initial',
                values=self._values(
                    Space(self.dimensions).rvs(random_state=self.config.seed + n)[0]
                ),
            )
            for n in range(number, number + count)
        ]

    def at_bounds(self, values: Values) -> list[str]:
        """Return the keys whose values lie on a bound of the search space.

        For the returned keys, the search space may be too small.
        """
        keys = []
        for key, dimension, choices in zip(
            self.config.space, self.config.space.values(), self.choices, strict=True
        ):
            ends = (choices[0], choices[-1]) if choices else (dimension.low, dimension.high)
            if values[key] in ends and None not in ends:
                keys.append(key)
        return keys

    def fitted(self, product: Product, trials: Sequence[Trial]) -> Optimizer:
        """Return an optimiser that knows the objective of each trial for a product."""
        optimiser = Optimizer(
            self.dimensions,
            base_estimator='GP',
            acq_func='EI',
            n_initial_points=0,
            random_state=self.config.seed + len(trials),
        )
        points = [self._point(trial.values) for trial in trials]
        optimiser.tell(points, self.worths(product, trials))
        return optimiser

    def worths(self, product: Product, trials: Sequence[Trial]) -> list[float]:
        """Return the objective of each trial for a product. A lower objective is better.

        A failed trial gets the worst objective of all trials. The objective of a stopped trial
        uses its early score, which is worse than its final score would be.
        """
        config = self.config
        measured = [trial for trial in trials if trial.finished or trial.pruned]
        least_m = min((trial.reached_m for trial in measured), default=1.0)

        def worth(trial: Trial) -> float:
            if product == 'accuracy':
                return trial.reached_m
            excess = (trial.reached_m / least_m - 1) / config.accuracy_loss - 1
            return trial.median_ms / config.latency_budget_ms + math.log1p(max(0.0, excess))

        worst = max(map(worth, measured), default=0.0)
        return [worst if trial.problem else worth(trial) for trial in trials]

    def _searchable(self) -> Values:
        """Return the searchable keys of the base configuration, with their values."""
        base = self.config.base
        if base.network is None:
            raise ConfigError('base: a student to be tuned needs a network section')
        sections = {'network': base.network, 'optimisation': base.optimisation}
        return {
            f'{name}.{key}': value
            for name, section in sections.items()
            for key, value in section.model_dump().items()
            if f'{name}.{key}' not in FIXED
        }

    def _require_fit(self, key: str, dimension: Dimension) -> None:
        if key not in self._base:
            raise ConfigError(
                f'space.{key} is not a key of the student: choose one of {", ".join(self._base)}'
            )
        if dimension.choices is None and isinstance(self._base[key], str):
            raise ConfigError(f'space.{key} is not a number: give choices')
        for value in dimension.choices or (dimension.low, dimension.high):
            assert value is not None
            try:
                with_values(self.config.base, {key: value})
            except ValidationError as error:
                raise ConfigError(f'space: {first_problem(error)}') from error

    def _dimension(self, key: str, dimension: Dimension) -> Any:
        """Convert a dimension of the search space to a dimension of scikit-optimize.

        Choices that are numbers become indices into their sorted list. If scikit-optimize got the
        numbers as categories, the order of the numbers would be lost.
        """
        if (choices := _ordered(dimension)) is not None:
            return Integer(0, len(choices) - 1, name=key)
        if dimension.choices is not None:
            return Categorical(dimension.choices, name=key)
        prior = 'log-uniform' if dimension.log else 'uniform'
        kind = Integer if isinstance(self._base[key], int) else Real
        return kind(dimension.low, dimension.high, prior, name=key)

    def _values(self, point: Sequence[Any]) -> Values:
        """Convert a point of scikit-optimize to values by key."""
        values: Values = {}
        for key, choices, coordinate in zip(self.config.space, self.choices, point, strict=True):
            value = coordinate.item() if hasattr(coordinate, 'item') else coordinate
            values[key] = value if choices is None else choices[value]
        return values

    def _point(self, values: Values) -> list[Any]:
        """Convert values by key to a point of scikit-optimize."""
        return [
            values[key] if choices is None else choices.index(values[key])
            for key, choices in zip(self.config.space, self.choices, strict=True)
        ]

    def _initial_trials(self) -> list[Trial]:
        """Return the first trials: the base, if the space contains it, and a Latin hypercube."""
        config = self.config
        base = {key: self._base[key] for key in config.space}
        trials = []
        if all(_holds(dimension, base[key]) for key, dimension in config.space.items()):
            trials.append(Trial(number=0, sought='base', values=base))
        if (left := config.initial_trials - len(trials)) > 0:
            points = Lhs().generate(self.dimensions, left, random_state=config.seed)
            trials += [
                Trial(number=number, sought='initial', values=self._values(point))
                for number, point in enumerate(points, len(trials))
            ]
        return trials


def _holds(dimension: Dimension, value: Number | str) -> bool:
    """Return whether a dimension contains a value."""
    if dimension.choices is not None:
        return value in dimension.choices
    return dimension.low <= value <= dimension.high  # type: ignore[operator]


def _ordered(dimension: Dimension) -> tuple[Number, ...] | None:
    """Return a dimension's choices in ascending order, or None unless all are numbers."""
    choices = dimension.choices or ()
    numbers = sorted(choice for choice in choices if not isinstance(choice, str))
    return tuple(numbers) if numbers and len(numbers) == len(choices) else None
