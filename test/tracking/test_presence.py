"""A fault never looks like an empty cell, whatever messages arrive.

The state machine plays messages of several people with several clocks. After each message the
test checks the message that the node would publish. FUZZ_MINUTES=60 plays new sequences for 60
minutes.
"""

import os
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from motion_predictor.common.status import Status, most_severe
from motion_predictor.skeleton import Layout
from motion_predictor.tracking.people import People
from motion_predictor.tracking.presence import Presence
from motion_predictor.tracking.scene import Observation

MS = 1_000_000
FORGET_MS = 1000
HIPS = Layout(name='hips', joints={'pelvis': None, 'l_hip': 'pelvis', 'r_hip': 'pelvis'})
POSE = np.array([[0, 0, 1], [0, 0.1, 1], [0, -0.1, 1]], np.float32)
NOTHING = np.full((3, 3), np.nan, np.float32)

crowds = st.lists(st.tuples(st.sampled_from('abc'), st.integers(0, 40)), max_size=3)
"""Ids with places in steps of 0.25 m. An id may occur twice, or belong to another person."""
delays = st.integers(1, 400)


def make_people() -> People:
    return People(
        HIPS,
        rate_hz=10,
        frames=5,
        max_gap_s=0.3,
        forget_after_s=FORGET_MS / 1000,
        min_observed_fraction=0.5,
        max_people=2,
        frozen_after_s=0.3,
    )


class Cell(RuleBasedStateMachine):
    """A cell with people, trackers and clocks, with rules for everything that can happen there."""

    def __init__(self) -> None:
        super().__init__()
        self.people = make_people()
        self.steady_ms = 0  # true time, which no clock of the cell changes
        self.clock_ms = 10_000_000  # time of the robot's clock
        self.frame = 'map'
        self.spoken_of_ms = 0  # before the start, somebody may have been there
        self.last: list[Observation] = []

    def send(
        self, seen: list[Observation], unreadable: int = 0, behind_ms: int = 0, frame: str = ''
    ) -> None:
        if seen or unreadable:
            self.spoken_of_ms = self.steady_ms
        self.people.update(
            (self.clock_ms - behind_ms) * MS,
            seen,
            frame or self.frame,
            unreadable,
            self.clock_ms * MS,
        )

    def pass_by(self, milliseconds: int) -> None:
        self.steady_ms += milliseconds
        self.clock_ms += milliseconds

    def observed(self, crowd: list[tuple[str, int]]) -> list[Observation]:
        shifts = [
            np.float32([0.25 * place, 0.001 * (self.steady_ms % 97), 0]) for _, place in crowd
        ]
        return [
            Observation(person, POSE + shift)
            for (person, _), shift in zip(crowd, shifts, strict=True)
        ]

    @rule(delay=delays, crowd=crowds)
    def good(self, delay: int, crowd: list[tuple[str, int]]) -> None:
        self.pass_by(delay)
        self.last = self.observed(crowd)
        self.send(self.last)

    @rule(delay=delays, times=st.integers(1, 12))
    def empty(self, delay: int, times: int) -> None:
        for _ in range(times):
            self.pass_by(delay)
            self.send([])

    @rule(delay=delays, count=st.integers(1, 3), crowd=crowds)
    def unreadable(self, delay: int, count: int, crowd: list[tuple[str, int]]) -> None:
        self.pass_by(delay)
        self.send(self.observed(crowd), unreadable=count)

    @rule(delay=delays, person=st.sampled_from('abc'))
    def without_joints(self, delay: int, person: str) -> None:
        self.pass_by(delay)
        self.send([Observation(person, NOTHING)])

    @rule(delay=delays, count=st.integers(1, 3))
    def not_even_read(self, delay: int, count: int) -> None:
        self.pass_by(delay)
        self.spoken_of_ms = self.steady_ms
        self.people.somebody(count, self.clock_ms * MS)

    @precondition(lambda self: self.last)
    @rule(delay=delays, times=st.integers(1, 12))
    def frozen(self, delay: int, times: int) -> None:
        for _ in range(times):
            self.pass_by(delay)
            self.send(self.last)

    @rule(delay=delays, crowd=crowds, frame=st.sampled_from(['map', 'odom', 'camera']))
    def other_frame(self, delay: int, crowd: list[tuple[str, int]], frame: str) -> None:
        self.pass_by(delay)
        self.send(self.observed(crowd), frame=frame)

    @rule(frame=st.sampled_from(['map', 'odom']))
    def tracker_changes_its_frame(self, frame: str) -> None:
        self.frame = frame

    @rule(
        delay=delays,
        behind=st.sampled_from([30, 100, 900, 5000, 10**6]),
        crowds=st.lists(crowds, min_size=1, max_size=8),
    )
    def older(self, delay: int, behind: int, crowds: list[list[tuple[str, int]]]) -> None:
        """Send messages with old stamps: from another clock, late, or after a restart."""
        for crowd in crowds:
            self.pass_by(delay // len(crowds) + 1)
            self.send(self.observed(crowd), behind_ms=behind)

    @rule(jump=st.integers(-(10**6), 10**6))
    def robots_clock_is_set(self, jump: int) -> None:
        self.clock_ms += jump
        self.people.clear(self.clock_ms * MS)

    @rule()
    def parameters_are_changed(self) -> None:
        fresh = make_people()
        fresh.succeed(self.people, self.clock_ms * MS)
        self.people = fresh

    @invariant()
    def nobody_is_true(self) -> None:
        scene = self.people.scene(self.clock_ms * MS)
        if scene is None:
            return
        unlisted = [Status.STALE_INPUT] if scene.unlisted else []
        status = most_severe([*(person.status for person in scene.people), *unlisted])
        if status == Status.OK and not scene.people:
            assert self.steady_ms - self.spoken_of_ms >= FORGET_MS
        for person in scene.people:
            assert np.isfinite(person.last_seen.place).all()
            assert 0 < person.last_seen.reach_m < np.inf


SHORT = settings(
    max_examples=60, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
TestCell = Cell.TestCase
TestCell.settings = SHORT


@pytest.mark.skipif('FUZZ_MINUTES' not in os.environ, reason='FUZZ_MINUTES is not set')
def test_for_as_long_as_asked() -> None:
    end_s = time.monotonic() + 60 * float(os.environ['FUZZ_MINUTES'])
    while time.monotonic() < end_s:
        run_state_machine_as_test(Cell, settings=SHORT)


def test_whoever_may_be_there_is_remembered_for_a_time_and_no_longer() -> None:
    presence = Presence(hold_ns=100)
    presence.note_others(2, now_ns=0)
    presence.note_others(1, now_ns=50)
    assert [presence.unlisted(0, now_ns) for now_ns in (0, 100, 101, 150, 151)] == [2, 2, 1, 1, 0]


def test_somebody_may_be_one_of_those_listed_and_others_are_not() -> None:
    presence = Presence(hold_ns=100)
    presence.note_somebody(2, now_ns=0)
    assert [presence.unlisted(listed, 0) for listed in range(4)] == [2, 1, 0, 0]
    presence.note_others(1, now_ns=0)
    assert [presence.unlisted(listed, 0) for listed in range(4)] == [2, 1, 1, 1]


def test_a_clock_that_is_set_forgets_nobody() -> None:
    presence = Presence(hold_ns=100)
    presence.note_others(1, now_ns=1000)
    presence.time_jumped(now_ns=50)
    assert [presence.unlisted(0, now_ns) for now_ns in (50, 150, 151)] == [1, 1, 0]


def test_of_a_source_with_a_clock_of_its_own_nothing_is_lost() -> None:
    """There are two publishers: one sees nobody, and one sees a person but is 0.1 s behind."""
    people = make_people()
    for step in range(60):
        now_ns = (10_000 + 33 * step) * MS
        people.update(now_ns, [], now_ns=now_ns)
        late = [Observation('a', POSE + np.float32(0.01 * step))]
        people.update(now_ns - 100 * MS, late, now_ns=now_ns)
        scene = people.scene(now_ns)
        assert scene is not None and (scene.people or scene.unlisted)
    assert 'keep arriving' in people.feed.remarks['two clocks']


def test_people_of_one_stamp_in_messages_of_their_own_are_there_and_that_is_said() -> None:
    people = make_people()
    for step in range(30):
        stamp_ns = (10_000 + 33 * step) * MS
        for person in 'ab':
            place = POSE + np.float32([0.01 * step, 3 * (person == 'b'), 0])
            people.update(stamp_ns, [Observation(person, place)], now_ns=stamp_ns)
        scene = people.scene(stamp_ns)
        assert scene is not None and len(scene.people) + scene.unlisted == 2
    assert 'in one message' in people.remarks['the same stamp']
