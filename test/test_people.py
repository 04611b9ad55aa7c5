"""Who is there, who can be predicted and why not, whatever the messages bring."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motion_predictor.people import (
    RESTART_AFTER,
    SEVERITY,
    Observation,
    People,
    Scene,
    Status,
    most_severe,
)

FloatArray = NDArray[np.float32]
MS = 1_000_000
START_NS = 1_700_000_000_000 * MS
PERIOD_NS = 100 * MS
FULL = 5  # messages, one a period, until a window of 5 frames at 10 Hz is full
POSE = np.array([[0, 0, 1], [0, 0.1, 1], [0, -0.1, 1]], np.float32)
NOTHING = np.full((3, 3), np.nan, np.float32)


def make_people(**changes: Any) -> People:
    usual: dict[str, Any] = {
        'rate_hz': 10,
        'frames': 5,
        'max_gap_s': 0.35,
        'forget_after_s': 1.0,
        'min_observed_fraction': 0.5,
        'max_people': 3,
    }
    return People(**(usual | changes))


def report(people: People, step: int, **poses: FloatArray) -> bool:
    """Report people by id, so many periods after the start."""
    observations = [Observation(person, pose) for person, pose in poses.items()]
    return people.update(START_NS + step * PERIOD_NS, observations)


def scene_of(people: People) -> Scene:
    scene = people.scene()
    assert scene is not None
    return scene


def statuses(people: People) -> dict[str, Status]:
    return {person.id: person.status for person in scene_of(people).people}


def test_before_the_first_message_there_is_no_scene() -> None:
    assert make_people().scene() is None


def test_an_empty_message_says_that_nobody_is_there() -> None:
    people = make_people()
    assert report(people, 0)
    assert scene_of(people) == Scene(START_NS, '', (), unreadable=0)


def test_whoever_arrives_is_predicted_once_the_window_is_full() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=POSE + np.float32(step))
        expected = Status.OK if step == FULL - 1 else Status.WARMING_UP
        assert statuses(people) == {'anna': expected}
    (anna,) = scene_of(people).people
    assert scene_of(people).stamp_ns == START_NS + (FULL - 1) * PERIOD_NS
    assert anna.window is not None
    assert anna.observed_fraction == 1.0
    np.testing.assert_allclose(anna.window.positions[:, 0, 0], np.arange(5), atol=1e-5)


def test_people_arrive_and_leave_one_by_one() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=POSE)
    for step in range(FULL, FULL + 3):
        report(people, step, anna=POSE, ben=POSE)
    assert statuses(people) == {'anna': Status.OK, 'ben': Status.WARMING_UP}
    for step in range(FULL + 3, FULL + 5):
        report(people, step, ben=POSE)
    assert statuses(people) == {'anna': Status.STALE_INPUT, 'ben': Status.OK}


def test_whoever_left_is_listed_for_a_while_and_then_forgotten() -> None:
    people = make_people(forget_after_s=0.5)
    for step in range(FULL):
        report(people, step, anna=POSE)
    report(people, FULL + 4)  # 0.5 s later
    assert statuses(people) == {'anna': Status.STALE_INPUT}
    report(people, FULL + 5)
    assert statuses(people) == {}


def test_whoever_comes_back_after_a_gap_warms_up_again() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=POSE)
    report(people, FULL + 3, anna=POSE)  # 0.4 s without, 0.35 s are allowed
    assert statuses(people) == {'anna': Status.WARMING_UP}


def test_with_too_many_people_the_first_seen_are_predicted() -> None:
    people = make_people(max_people=2)
    report(people, 0, warming=NOTHING, anna=POSE)
    for step in range(1, FULL):
        report(people, step, anna=POSE, ben=POSE, carl=POSE)
    report(people, FULL, dora=POSE, carl=POSE, ben=POSE, anna=POSE)
    assert statuses(people) == {
        'anna': Status.OK,
        'ben': Status.OK,
        'carl': Status.DEGRADED,
        'dora': Status.WARMING_UP,
    }
    carl = scene_of(people).people[2]
    assert carl.window is None


def test_of_an_id_twice_in_one_message_the_first_counts() -> None:
    people = make_people()
    for step in range(FULL):
        stamp = START_NS + step * PERIOD_NS
        pair = [Observation('anna', POSE), Observation('anna', POSE + np.float32(9))]
        assert people.update(stamp, pair)
    assert people.rejected == {'id twice in one message': FULL}
    assert scene_of(people).unreadable == 1
    (anna,) = scene_of(people).people
    assert anna.window is not None
    np.testing.assert_array_equal(anna.window.positions[-1], POSE)


@pytest.mark.parametrize(('minimum', 'status'), [(0.7, Status.OK), (0.8, Status.STALE_INPUT)])
def test_whoever_is_hardly_observed_is_not_predicted(minimum: float, status: Status) -> None:
    people = make_people(min_observed_fraction=minimum)
    partly = POSE.copy()
    partly[1] = np.nan
    report(people, 0, anna=POSE)
    for step in range(1, FULL):
        report(people, step, anna=partly)
    (anna,) = scene_of(people).people
    assert anna.status == status
    assert anna.observed_fraction == pytest.approx(11 / 15)
    assert (anna.window is not None) == (status == Status.OK)


def test_a_skeleton_without_any_joint_is_somebody_who_cannot_be_listed() -> None:
    people = make_people()
    assert report(people, 0, anna=NOTHING)
    assert statuses(people) == {}
    assert scene_of(people).unreadable == 1
    assert people.rejected == {'no joint observed': 1}


def test_another_frame_restarts_everyone() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=POSE)
    later = START_NS + FULL * PERIOD_NS
    assert people.update(later, [Observation('anna', POSE)], frame_id='odom')
    assert statuses(people) == {'anna': Status.WARMING_UP}
    assert scene_of(people).frame_id == 'odom'


def test_a_joint_that_was_never_observed_is_said_to_be_stale_not_guessed() -> None:
    people = make_people()
    pose = POSE.copy()
    pose[2] = np.nan
    for step in range(FULL):
        report(people, step, anna=pose)
    assert statuses(people) == {'anna': Status.STALE_INPUT}


def test_messages_that_are_not_newer_are_rejected_as_a_whole() -> None:
    people = make_people()
    assert report(people, 3, anna=POSE)
    assert not report(people, 3, ben=POSE)
    assert not report(people, 2, ben=POSE)
    assert people.rejected == {'duplicate stamp': 1, 'out-of-order stamp': 1}
    assert scene_of(people).stamp_ns == START_NS + 3 * PERIOD_NS
    assert statuses(people) == {'anna': Status.WARMING_UP}


def test_a_recording_that_starts_over_is_followed() -> None:
    people = make_people()
    for step in range(1000, 1000 + FULL):
        report(people, step, anna=POSE)
    accepted = [report(people, step, ben=POSE) for step in range(RESTART_AFTER + FULL - 1)]
    assert accepted == [False] * (RESTART_AFTER - 1) + [True] * FULL
    assert people.restarts == 1
    assert statuses(people) == {'ben': Status.OK}, 'and everyone from before is forgotten'


def test_stragglers_are_no_restart() -> None:
    people = make_people()
    for step in range(100, 160, 2):
        assert report(people, step, anna=POSE)
        assert not report(people, step - 50, anna=POSE)  # each newer than the last one
    assert report(people, 159, anna=POSE)
    for late in range(RESTART_AFTER - 1):
        assert not report(people, 120 + late, anna=POSE)
    assert report(people, 160, anna=POSE)
    for late in reversed(range(2 * RESTART_AFTER)):  # older and older: nothing starts over
        assert not report(people, late, anna=POSE)
    assert people.restarts == 0
    assert statuses(people) == {'anna': Status.OK}


def test_clearing_forgets_everyone_and_the_time() -> None:
    people = make_people()
    report(people, 100, anna=POSE)
    people.clear()
    assert people.scene() is None
    assert report(people, 0, anna=POSE)


def test_statuses_are_ranked_by_how_much_they_forbid() -> None:
    assert most_severe([]) == Status.OK
    assert most_severe([Status.OK, Status.WARMING_UP, Status.DEGRADED]) == Status.WARMING_UP
    assert most_severe(list(Status)) == Status.FAULT
    assert set(SEVERITY) == set(Status)


poses = st.builds(
    lambda seed, share: np.where(
        np.random.default_rng(seed).random((3, 1)) < share,
        np.float32(np.nan),
        np.random.default_rng(seed).normal(size=(3, 3)).astype(np.float32),
    ),
    st.integers(0, 99),
    st.sampled_from([0.0, 0.0, 0.3, 1.0]),
)
messages = st.tuples(
    st.one_of(  # to the next stamp: mostly onwards, sometimes the same, back, or far off
        st.integers(1, 120),
        st.sampled_from([0, -50, -300, 400, 2000, -100_000, 10**9]),
    ),
    st.lists(st.tuples(st.sampled_from('abcdef'), poses), max_size=6),
)


@settings(max_examples=400)
@given(st.lists(messages, min_size=1, max_size=60))
def test_no_sequence_of_messages_breaks_anything(
    sequence: list[tuple[int, list[tuple[str, FloatArray]]]],
) -> None:
    people = make_people()
    stamp, newest, offered = START_NS, None, 0
    for step_ms, skeletons in sequence:
        stamp = max(stamp + step_ms * MS, 1)
        restarts = people.restarts
        accepted = people.update(stamp, [Observation(*skeleton) for skeleton in skeletons])
        offered += 1 + len(skeletons)
        assert accepted == (newest is None or stamp > newest or people.restarts > restarts)
        newest = stamp if accepted else newest
        scene = scene_of(people)
        assert scene.stamp_ns == newest
        ids = [person.id for person in scene.people]
        assert len(ids) == len(set(ids))
        if accepted:
            there = {person for person, pose in skeletons if np.isfinite(pose).all(-1).any()}
            assert there <= set(ids)
        predicted = [person for person in scene.people if person.status == Status.OK]
        assert len(predicted) <= 3
        for person in scene.people:
            assert (person.status == Status.OK) == (person.window is not None)
            assert 0 <= person.observed_fraction <= 1
            if person.window is not None:
                assert person.window.positions.shape == (5, 3, 3)
                assert np.isfinite(person.window.positions).all()
                assert person.observed_fraction == person.window.observed_fraction >= 0.5
            if accepted and person.id not in there:
                assert person.status == Status.STALE_INPUT
    assert sum(people.rejected.values()) <= offered
