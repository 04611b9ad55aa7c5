"""Random messages in random order cause no exception, no NaN, and no OK that is not fresh.

FUZZ_MINUTES=60 tests new cases for 60 minutes.
"""

import os
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motion_predictor.common.status import Status
from motion_predictor.skeleton import Layout
from motion_predictor.tracking.admission import MAX_TRACKED
from motion_predictor.tracking.people import People
from motion_predictor.tracking.scene import Observation

FloatArray = NDArray[np.float32]
MS = 1_000_000
START_NS = 1_700_000_000_000 * MS
FRAMES, JOINTS, MAX_PEOPLE = 5, 7, 3
LAYOUT = Layout(
    name='few',
    joints={
        'pelvis': None,
        'l_hip': 'pelvis',
        'r_hip': 'pelvis',
        'neck': 'pelvis',
        'l_shoulder': 'neck',
        'r_shoulder': 'neck',
        'tail': 'pelvis',  # not a joint of any known body
    },
)
STANDING = np.array(
    [[0, 0, 1], [0, 0.1, 0.9], [0, -0.1, 0.9], [0, 0, 1.5], [0, 0.2, 1.4], [0, -0.2, 1.4], [0] * 3]
)
SHORT = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])

stamps = st.one_of(  # milliseconds to the next message: mostly forward, sometimes back or very far
    st.integers(1, 120),
    st.sampled_from([0, 2, -50, -300, 400, 2000, -100_000, 10**9]),
)
poses = st.builds(
    lambda seed, place, hidden, wrong, odd: _pose(seed, place, hidden, wrong, odd),
    st.integers(0, 999),
    st.sampled_from([0.0, 0.0, 0.3, 0.6, 4.0, 1e5]),
    st.sampled_from([0.0, 0.0, 0.3, 0.7, 1.0]),
    st.sampled_from([0.0, 0.0, 0.2, 1.0]),
    st.sampled_from([np.nan, np.inf, -np.inf, 3e38, 1e7, 0.0, 1e-40]),
)
messages = st.lists(st.tuples(st.sampled_from('abcdef'), poses), max_size=6)
steps = st.one_of(
    st.tuples(st.just('message'), stamps, messages),
    st.tuples(st.just('walk'), st.integers(1, 90), st.integers(2, 15)),
    st.tuples(st.just('freeze'), st.integers(10, 300), st.integers(2, 8)),
    st.tuples(st.just('swap'), st.integers(10, 100), st.integers(1, 6)),
    st.tuples(st.just('exchange'), st.integers(10, 100), st.integers(1, 6)),
    st.tuples(st.just('flood'), st.integers(1, 100), st.integers(101, 400)),
    st.tuples(st.just('frame'), st.integers(1, 100), st.sampled_from(['map', 'odom'])),
)
options = st.fixed_dictionaries(
    {
        'max_gap_s': st.sampled_from([0.05, 0.35, 5.0]),
        'forget_after_s': st.sampled_from([0.0, 1.0, 60.0]),
        'min_observed_fraction': st.sampled_from([0.0, 0.5, 1.0]),
        'max_speed': st.sampled_from([0.1, 4.0, 50.0]),
        'reassociate_s': st.sampled_from([0.0, 0.3, 10.0]),
        'frozen_after_s': st.sampled_from([0.0, 0.2, 1.0]),
    }
)


def _pose(seed: int, place: float, hidden: float, wrong: float, odd: float) -> FloatArray:
    """Return a pose (J, 3) at a place, in which some joints are hidden and some have odd values.

    Args:
        seed: seed of the random numbers
        place: added to all coordinates, metres
        hidden: share of the joints that are NaN
        wrong: share of the joints whose coordinates are `odd`
        odd: value of these coordinates
    """
    generator = np.random.default_rng(seed)
    pose = (STANDING + generator.normal(scale=0.02, size=STANDING.shape) + place).astype(
        np.float32
    )
    pose[generator.random(JOINTS) < wrong] = odd
    pose[generator.random(JOINTS) < hidden] = np.nan
    return pose


class Tracker:
    """Reports steps to `People`, and checks the scene after each message."""

    def __init__(self, given_options: dict[str, Any]) -> None:
        self._least = given_options['min_observed_fraction']
        self._people = People(
            LAYOUT, rate_hz=10, frames=FRAMES, max_people=MAX_PEOPLE, **given_options
        )
        self._stamp = START_NS
        self._frame_id = 'map'
        self._newest: int | None = None
        self._last: list[tuple[str, FloatArray]] = []
        self._walked = 0

    def play(self, kind: str, milliseconds: int, what: Any) -> None:
        """Play one step, which is one message or several."""
        if kind == 'message':
            self._send(milliseconds, what)
        elif kind == 'frame':
            self._frame_id = what
            self._send(milliseconds, self._last)
        elif kind == 'flood':
            pose = _pose(what, 0, 0, 0, 0)
            self._send(milliseconds, [(f'{self._stamp} {i}', pose) for i in range(what)])
        else:
            for _ in range(what):
                self._send(milliseconds, self._next(kind))

    def _next(self, kind: str) -> list[tuple[str, FloatArray]]:
        if kind == 'freeze':
            return self._last
        self._walked += 1
        seen = [
            (person, _pose(self._walked + i, 0.05 * self._walked + i, 0, 0, 0))
            for i, person in enumerate('abcd')
        ]
        if kind == 'swap':
            return [(person, pose[list(LAYOUT.mirrored)]) for person, pose in seen]
        if kind == 'exchange':
            return [(person, seen[i - 1][1]) for i, (person, _) in enumerate(seen)]
        return seen

    def _send(self, milliseconds: int, seen: list[tuple[str, FloatArray]]) -> None:
        self._stamp = max(self._stamp + milliseconds * MS, 1)
        self._last = seen
        restarts = self._people.feed.restarts
        observations = [Observation(person, pose.copy()) for person, pose in seen]
        accepted = self._people.update(self._stamp, observations, self._frame_id)
        if accepted:
            self._newest = self._stamp
        else:
            assert self._newest is not None
            assert self._stamp <= self._newest or self._frame_id != self._people.feed.frame_id
            assert self._people.feed.restarts == restarts
        self._check({person for person, _ in seen} if accepted else None)

    def _check(self, reported: set[str] | None) -> None:
        scene, listing = self._people.scene(), self._people.listing()
        assert scene is not None
        assert listing is not None
        assert scene.stamp_ns == listing.stamp_ns == self._newest
        assert reported is None or scene.frame_id == self._frame_id
        ids = [person.id for person in scene.people]
        assert ids == [person.id for person in listing.people]
        assert len(ids) == len(set(ids)) <= MAX_TRACKED
        windows = [person.window for person in scene.people if person.window is not None]
        assert len(windows) <= MAX_PEOPLE
        for person in scene.people:
            assert (person.status == Status.OK) == (person.window is not None)
            assert 0 <= person.observed_fraction <= 1
            assert np.isfinite(person.last_seen.place).all()
            assert 0 < person.last_seen.reach_m < np.inf
            if reported is not None and person.id not in reported:
                assert person.status == Status.STALE_INPUT, 'not in the newest message'
        for window in windows:
            assert window.positions.shape == (FRAMES, JOINTS, 3)
            assert np.isfinite(window.positions).all()
            assert np.isfinite(window.doubt_m).all()
            assert (window.doubt_m >= 0).all()
            assert window.seen_fraction >= self._least
        if reported is not None and not scene.unlisted:
            assert reported <= set(ids), 'somebody is there who is not listed'


def play_all(given_options: dict[str, Any], sequence: list[tuple[str, int, Any]]) -> None:
    tracker = Tracker(given_options)
    for step in sequence:
        tracker.play(*step)


@SHORT
@given(options, st.lists(steps, min_size=1, max_size=20))
@example(  # all joints at one place, and too few joints to tell the size of the body
    {
        'max_gap_s': 0.05,
        'forget_after_s': 0.0,
        'min_observed_fraction': 0.0,
        'max_speed': 0.1,
        'reassociate_s': 0.0,
        'frozen_after_s': 0.0,
    },
    [('message', 1, [('b', _pose(0, 0.0, 0.3, 1.0, 0.0))]), ('freeze', 50, 4)],
)
def test_no_sequence_of_messages_breaks_anything(
    given_options: dict[str, Any], sequence: list[tuple[str, int, Any]]
) -> None:
    play_all(given_options, sequence)


@pytest.mark.skipif('FUZZ_MINUTES' not in os.environ, reason='FUZZ_MINUTES is not set')
def test_for_as_long_as_asked() -> None:
    end_s = time.monotonic() + 60 * float(os.environ['FUZZ_MINUTES'])
    run = settings(SHORT, max_examples=200)(
        given(options, st.lists(steps, min_size=1, max_size=40))(play_all)
    )
    while time.monotonic() < end_s:
        run()
