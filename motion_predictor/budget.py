"""Measures how many samples fit the latency budget, for each number of people."""

import heapq
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import isnan, nan
from statistics import median

LADDER = (50, 32, 16, 8)
"""Numbers of samples for a short budget. Checkpoints are calibrated for these numbers."""
RECENT = 200
RECENT_S = 10.0
"""Limits of number and age of the measured times: older measurements are not used."""
HEADROOM = 0.9
"""More samples are tried only if their expected time is at most this share of the budget."""
TAIL = 3.0
"""Expected time from a message until its prediction is read (99th percentile), divided by the time
of one prediction without disturbance."""
PATIENCE_S = 2.0
LONGEST_PATIENCE_S = 60.0
"""Shortest and longest wait before more samples are tried again. Each failed try doubles the
wait."""

Clock = Callable[[], float]
Costs = Mapping[tuple[int, int], float]
"""Time of a prediction in milliseconds, for each pair (people, samples)."""


def rungs(samples: int) -> tuple[int, ...]:
    """Return the numbers of samples to choose from: the configured number, then smaller ones."""
    return (samples, *(rung for rung in LADDER if rung < samples))


def survey(
    run: Callable[[int, int], object],
    people: int,
    ladder: tuple[int, ...],
    limit_s: float,
    clock: Clock = time.perf_counter,
) -> dict[tuple[int, int], float]:
    """Measure the time of a prediction for each number of people and of samples.

    Args:
        run: function that predicts for a given number of people and of samples. For each pair of
            numbers, the first call is a warm-up and is not measured.
        people: largest number of people. The measurement begins with one person.
        ladder: numbers of samples to measure.
        limit_s: time limit. After this time, no larger number of people is measured.
        clock: function that returns the time in seconds.

    Returns:
        The time of a prediction in milliseconds, for each pair (people, samples).
    """
    costs = {}
    began_s = clock()
    for count in range(1, people + 1):
        for samples in ladder:
            run(count, samples)
            stamps_s = [clock()]
            for _ in range(2):  # take the faster call: other processes may slow one
                run(count, samples)
                stamps_s.append(clock())
            costs[count, samples] = 1000 * min(b - a for a, b in pairwise(stamps_s))
        if clock() - began_s > limit_s:
            break
    return costs


@dataclass(frozen=True)
class BudgetState:
    """The last decision about the number of samples."""

    people: int
    samples: int
    p99_ms: float
    """99th percentile of the times of recent messages with these numbers of people and samples.
    NaN for fewer than three messages."""
    reason: str


@dataclass
class _Level:
    """The present rung of the ladder and the measured times, for one number of people."""

    rung: int
    reason: str
    times: list[deque[tuple[float, float]]]
    """Measurements at each rung: (time of the measurement in seconds, measured milliseconds)."""
    changed_s: float
    patience_s: float = 0.0
    on_trial: bool = field(default=False)
    """Whether the budget has climbed to this rung less than RECENT_S ago."""


class Budget:
    """Chooses the number of samples so that the 99th percentile of the times fits the budget.

    The numbers of samples are the rungs of a ladder. If three recent messages were late, the
    budget goes one rung down, to fewer samples. When the measured times leave room for more
    samples, the budget climbs one rung. If messages are late after a climb, the budget goes down
    again, and the wait before the next climb doubles.

    Args:
        budget_ms: allowed time from a message until its prediction is read.
        samples: configured number of samples per person, the top of the ladder.
        costs: measured times of predictions, from which the first number of samples is chosen.
        clock: function that returns the time in seconds.
    """

    def __init__(
        self, budget_ms: float, samples: int, costs: Costs, clock: Clock = time.monotonic
    ) -> None:
        self.budget_ms = budget_ms
        self.ladder = rungs(samples)
        self._costs = costs
        self._clock = clock
        self._levels: dict[int, _Level] = {}
        self.rest()

    def choose(self, people: int) -> int:
        """Return the number of samples to draw per person when there are this many people."""
        return self.ladder[self._level(people).rung]

    def rest(self) -> None:
        """Record that a message had nobody to predict."""
        self.state = BudgetState(0, self.ladder[0], nan, 'nobody is being predicted')

    def record(self, people: int, samples: int, milliseconds: float) -> None:
        """Record the time from a message until its prediction was read."""
        level = self._level(people)
        if samples == self.ladder[level.rung]:
            now_s = self._clock()
            level.times[level.rung].append((now_s, milliseconds))
            recent = [ms for s, ms in level.times[level.rung] if now_s - s <= RECENT_S]
            p99_ms = _p99(recent)
            self.state = BudgetState(people, samples, p99_ms, level.reason)
            if p99_ms > self.budget_ms:
                self._descend(level, p99_ms, now_s)
            elif not isnan(p99_ms):
                self._climb(people, level, recent, now_s)

    def _level(self, people: int) -> _Level:
        if people not in self._levels:
            expected = [TAIL * self._cost_ms(people, samples) for samples in self.ladder]
            fitting = [ms <= HEADROOM * self.budget_ms for ms in expected]
            rung = fitting.index(True) if True in fitting else len(fitting) - 1
            reason = _expectation(self.ladder[0], expected[0])
            times = [deque[tuple[float, float]](maxlen=RECENT) for _ in self.ladder]
            self._levels[people] = _Level(rung, reason, times, self._clock())
        return self._levels[people]

    def _descend(self, level: _Level, p99_ms: float, now_s: float) -> None:
        samples = self.ladder[level.rung]
        level.reason = (
            f'{samples} samples took {p99_ms:.1f} ms (p99) until the prediction was read'
        )
        if level.rung == len(self.ladder) - 1:
            return
        doubled_s = min(2 * level.patience_s, LONGEST_PATIENCE_S)
        level.patience_s = doubled_s if level.on_trial else PATIENCE_S
        level.rung += 1
        level.on_trial = False
        level.changed_s = now_s

    def _climb(self, people: int, level: _Level, recent: list[float], now_s: float) -> None:
        held_s = now_s - level.changed_s
        if level.on_trial and held_s >= RECENT_S:
            level.on_trial = False
            level.patience_s = PATIENCE_S
        if level.rung == 0 or held_s < max(level.patience_s, PATIENCE_S):
            return
        samples, more = self.ladder[level.rung], self.ladder[level.rung - 1]
        growth = self._cost_ms(people, more) / max(self._cost_ms(people, samples), 1e-6) - 1
        # More samples lengthen the median time. They do not lengthen the disturbances, which set
        # the 99th percentile.
        expected_ms = _p99(recent) + median(recent) * growth
        fits = expected_ms <= HEADROOM * self.budget_ms
        # After LONGEST_PATIENCE_S, more samples are tried even if they are not expected to fit,
        # because the expected time may be wrong.
        if fits or held_s >= LONGEST_PATIENCE_S:
            level.rung -= 1
            level.times[level.rung].clear()
            level.reason = _expectation(more, expected_ms)
            level.on_trial = True
            level.patience_s = max(level.patience_s, PATIENCE_S)
            level.changed_s = now_s

    def _cost_ms(self, people: int, samples: int) -> float:
        """Return the time of a prediction in milliseconds, scaled from the nearest measurement."""
        smaller = [case for case in self._costs if case[0] <= people and case[1] <= samples]
        if not smaller:  # nothing measured: a guess so low that the samples are tried
            return people * samples * 1e-3
        nearest = max(smaller)
        return self._costs[nearest] * people * samples / (nearest[0] * nearest[1])


def _expectation(samples: int, p99_ms: float) -> str:
    return (
        f'{samples} samples are expected to take {p99_ms:.1f} ms (p99) until the prediction is '
        'read'
    )


def _p99(times: list[float]) -> float:
    """Return the third largest of the times; NaN for fewer than three times.

    The third largest of 200 times is the 99th percentile. One or two disturbed messages do not
    change the result.
    """
    return heapq.nlargest(3, times)[2] if len(times) > 2 else nan
