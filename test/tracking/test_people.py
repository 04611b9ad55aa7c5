"""Which people are there, and which of them can be predicted, for all kinds of messages."""

import numpy as np
import pytest
from crowd import (
    FULL,
    MS,
    NOTHING,
    PERIOD_NS,
    POSE,
    START_NS,
    at,
    make_people,
    report,
    scene_of,
    statuses,
)

from motion_predictor.common.status import Status, most_severe
from motion_predictor.tracking.admission import MAX_TRACKED
from motion_predictor.tracking.feed import RESTART_AFTER
from motion_predictor.tracking.scene import Observation, Scene


def test_before_the_first_message_there_is_no_scene() -> None:
    assert make_people().scene() is None


def test_nobody_is_seen_once_it_has_looked_for_a_while() -> None:
    people = make_people()
    assert report(people, 0)
    assert scene_of(people) == Scene(START_NS, '', (), unlisted=1), 'who was there before?'
    for step in range(1, 12):
        report(people, step)
    assert scene_of(people).unlisted == 0


def test_whoever_arrives_is_predicted_once_the_window_is_full() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=at(0.1 * step))
        expected = Status.OK if step == FULL - 1 else Status.WARMING_UP
        assert statuses(people) == {'anna': expected}
    (anna,) = scene_of(people).people
    assert scene_of(people).stamp_ns == START_NS + (FULL - 1) * PERIOD_NS
    assert anna.window is not None
    assert anna.observed_fraction == 1.0
    np.testing.assert_allclose(anna.window.positions[:, 0, 0], np.arange(5) * 0.1, atol=1e-5)


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
    report(people, FULL + 4)  # an empty message 0.5 s later
    assert statuses(people) == {'anna': Status.STALE_INPUT}
    report(people, FULL + 5)
    assert statuses(people) == {}


def test_whoever_comes_back_after_a_gap_warms_up_again() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=POSE)
    report(people, FULL + 3, anna=POSE)  # a gap of 0.4 s, where 0.35 s are allowed
    assert statuses(people) == {'anna': Status.WARMING_UP}


def test_with_too_many_people_those_nearest_to_the_robot_are_predicted() -> None:
    people = make_people(max_people=2, robot_position=[5.0, 0.0, 1.0])
    for step in range(FULL):
        report(people, step, anna=at(1), ben=at(4), carl=at(7), warming=NOTHING)
    report(people, FULL, dora=at(5), carl=at(7), ben=at(4), anna=at(1))
    assert statuses(people) == {
        'anna': Status.TOO_MANY,
        'ben': Status.OK,
        'carl': Status.OK,
        'dora': Status.WARMING_UP,
    }
    assert scene_of(people).people[0].window is None


def test_whoever_is_predicted_gives_way_only_to_somebody_clearly_nearer() -> None:
    people = make_people(max_people=1, robot_position=[0.0, 0.0, 1.0])
    predicted = []
    for step, near in enumerate([1.0] * FULL + [1.1, 1.2, 1.3, 1.4, 1.5]):
        report(people, step, anna=at(near), ben=at(0, 1.15))
        predicted += [p.id for p in scene_of(people).people if p.status == Status.OK]
    assert predicted == ['anna'] * 5 + ['ben']


@pytest.mark.parametrize('place', [[], [0.0, 1.0], [0.0, 0.0, float('nan')]])
def test_a_robot_position_that_is_none_is_refused(place: list[float]) -> None:
    with pytest.raises(ValueError, match='robot_position'):
        make_people(robot_position=place)


def test_of_an_id_twice_in_one_message_the_first_counts() -> None:
    people = make_people()
    for step in range(FULL):
        stamp = START_NS + step * PERIOD_NS
        pair = [Observation('anna', POSE), Observation('anna', POSE + np.float32(9))]
        assert people.update(stamp, pair)
    assert people.rejected == {'id twice in one message': FULL}
    assert scene_of(people).unlisted == 1
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
    assert scene_of(people).unlisted == 1
    assert people.rejected == {'no joint observed': 1}


def test_another_frame_is_refused_while_the_first_one_still_comes() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=POSE)
        other = [Observation('anna', at(5))]
        assert not people.update(START_NS + step * PERIOD_NS + MS, other, frame_id='odom')
    assert statuses(people) == {'anna': Status.OK}
    assert scene_of(people).unlisted == 1, 'where she of the other frame is, nobody knows'
    assert people.rejected['another frame'] == FULL
    assert "in the frames 'odom' and ''" in people.feed.remarks['two frames']


def test_another_frame_restarts_everyone_once_the_first_one_is_quiet() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=POSE)
    later = START_NS + (FULL + 3) * PERIOD_NS
    assert people.update(later, [Observation('anna', POSE)], frame_id='odom')
    assert statuses(people) == {'anna': Status.WARMING_UP}
    assert (scene_of(people).frame_id, scene_of(people).unlisted) == ('odom', 1)
    for step in range(10):
        people.update(later + step * PERIOD_NS, [Observation('anna', POSE)], frame_id='odom')
    assert scene_of(people).unlisted == 1
    people.update(later + 11 * PERIOD_NS, [Observation('anna', POSE)], frame_id='odom')
    assert scene_of(people).unlisted == 0


def test_a_joint_that_was_never_observed_is_filled_and_doubted() -> None:
    people = make_people()
    pose = POSE.copy()
    pose[2] = np.nan
    for step in range(FULL):
        report(people, step, anna=pose)
    (anna,) = scene_of(people).people
    assert anna.status == Status.OK
    assert anna.observed_fraction == pytest.approx(2 / 3)
    assert anna.window is not None
    np.testing.assert_array_equal(anna.window.doubt_m > 0, [False, False, True])
    np.testing.assert_allclose(anna.window.positions[-1, 2], POSE[2], atol=0.15)


def test_what_was_seen_only_long_ago_does_not_carry_a_prediction() -> None:
    people = make_people()
    for step in range(FULL - 2):
        report(people, step, anna=POSE)
    only_root = np.where(np.arange(3)[:, None] == 0, POSE, np.float32(np.nan))
    for step in range(FULL - 2, FULL):
        report(people, step, anna=only_root)
    (anna,) = scene_of(people).people
    assert anna.observed_fraction > 0.5
    assert (anna.status, anna.window) == (Status.STALE_INPUT, None)
    assert people.rejected['too little observed'] == 1


def test_a_source_that_repeats_itself_is_stale_until_it_goes_on() -> None:
    people = make_people(frozen_after_s=1.0)
    for step in range(FULL):
        report(people, step, anna=at(0.1 * step), ben=at(0, 5))
    for step in range(FULL, FULL + 9):
        report(people, step, anna=at(0.1 * (FULL - 1)), ben=at(0, 5))
        assert statuses(people)['anna'] == Status.OK
    for step in range(FULL + 9, FULL + 12):
        report(people, step, anna=at(0.1 * (FULL - 1)), ben=at(0, 5))
        assert statuses(people) == {'anna': Status.STALE_INPUT, 'ben': Status.STALE_INPUT}
    anna = scene_of(people).people[0].last_seen
    assert anna.stamp_ns == START_NS + (FULL - 1) * PERIOD_NS, 'what is repeated is not seen'
    report(people, FULL + 12, anna=at(0.11 * (FULL - 1)), ben=at(0, 5.01))
    assert statuses(people) == {'anna': Status.WARMING_UP, 'ben': Status.WARMING_UP}


def test_one_person_who_is_frozen_beside_one_who_moves_is_stale() -> None:
    people = make_people(frozen_after_s=1.0)
    for step in range(FULL + 10):
        report(people, step, anna=at(0.1 * step), ben=at(0, 5))
    assert statuses(people) == {'anna': Status.OK, 'ben': Status.STALE_INPUT}


def test_after_a_frozen_source_an_empty_message_is_not_believed_at_once() -> None:
    people = make_people(frozen_after_s=0.5)
    for step in range(20):
        report(people, step, anna=POSE)
    report(people, 20)
    assert statuses(people) == {'anna': Status.STALE_INPUT}
    report(people, 30)
    assert statuses(people) == {}


def test_a_source_that_repeats_itself_under_a_moving_transform_is_stale() -> None:
    people = make_people(frozen_after_s=1.0)
    for step in range(FULL + 11):
        said = b'once' if step < FULL else b'again and again'
        carried = Observation('anna', at(0.01 * step), said + bytes([min(step, FULL)]))
        people.update(START_NS + step * PERIOD_NS, [carried])
    assert statuses(people) == {'anna': Status.STALE_INPUT}
    assert people.rejected == {'frozen': 1}


def test_whoever_is_nearest_is_predicted_as_soon_as_the_robot_moves() -> None:
    people = make_people(max_people=1, robot_position=[0.0, 0.0, 1.0])
    for step in range(FULL):
        report(people, step, anna=at(0), ben=at(9))
    assert statuses(people) == {'anna': Status.OK, 'ben': Status.TOO_MANY}
    people.prefer([9.0, 0.0, 1.0], max_people=1)
    assert statuses(people) == {'anna': Status.TOO_MANY, 'ben': Status.OK}
    people.prefer([9.0, 0.0, 1.0], max_people=2)
    assert statuses(people) == {'anna': Status.OK, 'ben': Status.OK}


def test_joints_that_reappear_where_somebody_went_are_no_jump() -> None:
    people = make_people(min_observed_fraction=0.3)
    for step in range(30):
        pose = at(0.1 * step)
        if 3 <= step < 25:  # most of the body is hidden by a counter while the person walks 2.2 m
            pose[len(pose) // 3 :] = np.nan
        report(people, step, anna=pose)
    assert 'person jumped' not in people.rejected
    assert statuses(people) == {'anna': Status.OK}


def test_nobody_there_for_long_is_not_frozen() -> None:
    people = make_people(frozen_after_s=1.0)
    for step in range(30):
        report(people, step)
    assert not people.rejected


def test_a_tracker_that_makes_up_ids_does_not_fill_the_memory() -> None:
    people = make_people(forget_after_s=60.0)
    for step in range(10):
        made_up = {f'{step} {i}': at(i, step) for i in range(3 * MAX_TRACKED)}
        report(people, step, anna=at(0, -5), **made_up)
        assert len(statuses(people)) <= MAX_TRACKED
        assert scene_of(people).unlisted == 2 * MAX_TRACKED + 1, 'the rest is there, unlisted'
    assert people.rejected['too many people'] == 10 * (2 * MAX_TRACKED + 1)


def test_the_listing_says_who_is_there_without_their_windows() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=at(0))
    report(people, FULL, anna=at(0), ben=at(5))
    listing = people.listing()
    assert listing is not None
    assert [(p.id, p.status, p.window) for p in listing.people] == [
        ('anna', Status.OK, None),
        ('ben', Status.WARMING_UP, None),
    ]


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
    assert people.feed.restarts == 1
    assert statuses(people) == {'ben': Status.OK}
    assert scene_of(people).unlisted == 1, 'whoever was there before may still be'


def test_stragglers_are_no_restart() -> None:
    people = make_people()
    for step in range(100, 160, 2):
        assert report(people, step, anna=POSE)
        assert not report(people, step - 50, anna=POSE)  # newer than the last late message
    assert report(people, 159, anna=POSE)
    for late in range(RESTART_AFTER - 1):
        assert not report(people, 120 + late, anna=POSE)
    assert report(people, 160, anna=POSE)
    for late in reversed(range(2 * RESTART_AFTER)):  # stamps go back, so nothing restarts
        assert not report(people, late, anna=POSE)
    assert people.feed.restarts == 0
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


def test_everybody_listed_has_a_place_and_a_reach_that_grows() -> None:
    people = make_people(max_people=1, max_speed=2.0)
    for step in range(FULL):
        report(people, step, anna=at(0.1 * step), ben=at(9))
    partly = at(3)
    partly[0] = np.nan
    report(people, FULL, ben=at(9), carl=partly)
    seen = {person.id: person.last_seen for person in scene_of(people).people}
    np.testing.assert_allclose(seen['anna'].place, [0.4, 0, 1], atol=1e-6)
    assert seen['anna'].stamp_ns == START_NS + (FULL - 1) * PERIOD_NS
    np.testing.assert_array_equal(seen['ben'].pose, at(9))
    np.testing.assert_allclose(seen['carl'].place, [3, 0, 1], atol=1e-6)
    farthest_m = np.linalg.norm(POSE - POSE[0], axis=-1).max()
    assert farthest_m <= seen['ben'].reach_m < 1
    assert seen['anna'].reach_m == pytest.approx(seen['ben'].reach_m + 2.0 * 0.1, abs=0.02)
    assert seen['carl'].reach_m > seen['ben'].reach_m, 'of the middle of some joints'


@pytest.mark.parametrize(('metres', 'is_read'), [(9e3, True), (2e4, False), (1e6, False)])
def test_places_so_far_off_that_numbers_get_coarse_are_none(metres: float, is_read: bool) -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=at(metres))
    listed = statuses(people) == {'anna': Status.OK}
    assert listed == is_read
    assert (people.rejected['no joint observed'] == 0) == is_read
    assert (scene_of(people).unlisted == 0) == is_read, 'but somebody is there'
