"""The controller of the number of samples, with a simulated clock and machine."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion_predictor.budget import LONGEST_PATIENCE_S, Budget, rungs, survey

BUDGET_MS = 20.0


@dataclass
class Machine:
    """Simulates predictions at 30 Hz. A prediction takes longer with people, samples, `load`."""

    samples: int = 50
    overhead_ms: float = 1.0
    sample_ms: float = 0.09
    load: float = 1.0
    now_s: float = 0.0
    known: bool = True
    misses: int = 0
    history: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        ladder = rungs(self.samples)
        costs = {(p, s): self.cost_ms(p, s) for p in (1, 2, 4) for s in ladder if self.known}
        self.budget = Budget(BUDGET_MS, self.samples, costs, lambda: self.now_s)

    def cost_ms(self, people: int, samples: int) -> float:
        return self.overhead_ms + self.sample_ms * people * samples

    def predict(self, people: int = 1, extra_ms: float = 0.0) -> int:
        """Predict once and return the number of samples."""
        self.now_s += 1 / 30
        samples = self.budget.choose(people)
        took_ms = self.load * self.cost_ms(people, samples) + extra_ms
        self.budget.record(people, samples, took_ms)
        self.misses += took_ms > BUDGET_MS
        self.history.append(samples)
        return samples

    def run(self, seconds: float, people: int = 1) -> int:
        """Predict for a while and return the number of samples at the end."""
        for _ in range(round(30 * seconds)):
            self.predict(people)
        return self.history[-1]


def test_the_ladder_starts_at_what_was_configured() -> None:
    assert rungs(50) == (50, 32, 16, 8)
    assert rungs(20) == (20, 16, 8)
    assert rungs(3) == (3,)


def test_a_machine_that_is_fast_enough_draws_all_samples() -> None:
    machine = Machine()
    assert machine.run(60) == 50
    assert set(machine.history) == {50}
    assert machine.misses == 0


@pytest.mark.parametrize(('load', 'samples'), [(3.0, 50), (4.0, 32), (7.0, 16), (10.0, 8)])
def test_it_finds_the_most_samples_that_fit(load: float, samples: int) -> None:
    machine = Machine(load=load)
    assert machine.run(120) == samples
    # The controller misses the budget until it has found the number of samples. Later it misses
    # the budget three times whenever it tries more samples.
    assert machine.misses <= 12
    assert machine.history[-1000:].count(samples) > 980


def test_two_outliers_decide_nothing() -> None:
    machine = Machine()
    machine.run(5)
    machine.predict(extra_ms=500)
    machine.predict(extra_ms=500)
    assert machine.run(60) == 50
    assert machine.misses == 2
    assert set(machine.history) == {50}


def test_it_recovers_when_the_load_is_gone() -> None:
    machine = Machine(load=10.0)
    assert machine.run(30) == 8
    machine.load = 1.0
    assert machine.run(40) == 50
    late = machine.misses
    machine.run(60)
    assert machine.misses == late


def test_wrong_expectations_do_not_hold_it_down_for_good() -> None:
    machine = Machine()
    wrong = {(1, 50): 900.0, (1, 32): 600.0, (1, 16): 300.0, (1, 8): 4.0}
    machine.budget = Budget(BUDGET_MS, 50, wrong, lambda: machine.now_s)
    assert machine.predict() == 8
    assert machine.run(4 * LONGEST_PATIENCE_S) == 50


def test_disturbance_that_fewer_samples_do_not_help_against_is_not_hidden() -> None:
    machine = Machine(overhead_ms=30.0)
    assert machine.run(60) == 8
    assert machine.misses == len(machine.history)
    assert machine.budget.state.p99_ms > BUDGET_MS
    assert (
        machine.budget.state.reason == '8 samples took 30.7 ms (p99) until the prediction was read'
    )


def test_each_number_of_people_has_a_rung_of_its_own() -> None:
    machine = Machine()
    assert [machine.predict(people) for people in (1, 2, 4, 8, 1)] == [50, 16, 8, 8, 50]
    assert machine.misses == 0


def test_the_state_says_what_was_decided_and_why() -> None:
    machine = Machine(known=False, load=3.0)
    machine.predict(2)
    assert machine.budget.state.samples == 50
    machine.run(1, people=2)
    state = machine.budget.state
    assert (state.people, state.samples) == (2, 16)
    assert state.p99_ms == pytest.approx(11.64)
    assert state.reason == '32 samples took 20.3 ms (p99) until the prediction was read'


def test_a_survey_times_each_case_after_warming_it_up() -> None:
    now_s = 0.0
    warm: set[tuple[int, int]] = set()

    def run(people: int, samples: int) -> None:
        nonlocal now_s
        now_s += people * samples / 1000 * (1 if (people, samples) in warm else 3)
        warm.add((people, samples))

    costs = survey(run, 100, (4, 2), 0.1, lambda: now_s)
    assert costs == pytest.approx(
        {(1, 4): 4, (1, 2): 2, (2, 4): 8, (2, 2): 4, (3, 4): 12, (3, 2): 6}
    )


crowds = st.lists(
    st.tuples(st.integers(1, 12), st.floats(0, 1e4), st.floats(0, 20)), min_size=1, max_size=300
)


@given(st.integers(1, 1000), crowds, st.booleans())
def test_whatever_happens_it_stays_on_its_ladder(
    samples: int, crowds: list[tuple[int, float, float]], known: bool
) -> None:
    machine = Machine(samples=samples, known=known)
    for people, took_ms, passed_s in crowds:
        machine.now_s += passed_s
        chosen = machine.budget.choose(people)
        assert chosen in rungs(samples)
        assert chosen <= samples
        machine.budget.record(people, chosen, took_ms)
        assert rungs(samples).index(machine.budget.choose(people)) <= 1 + rungs(samples).index(
            chosen
        )


@settings(max_examples=12)
@given(st.floats(0.1, 12), st.floats(0, 15), st.floats(0.01, 2), st.integers(1, 8), st.booleans())
def test_it_settles_where_the_budget_holds_and_comes_back(
    load: float, overhead_ms: float, sample_ms: float, people: int, known: bool
) -> None:
    machine = Machine(overhead_ms=overhead_ms, sample_ms=sample_ms, known=known)
    unloaded = machine.run(200, people)
    machine.load = load
    settled = machine.run(200, people)
    machine.misses = 0
    machine.run(50, people)
    if load * machine.cost_ms(people, 8) <= BUDGET_MS:
        assert machine.misses <= 0.01 * 1500
    else:
        assert settled == 8
        assert machine.misses == 1500
    machine.load = 1.0
    assert machine.run(200, people) == pytest.approx(unloaded)
