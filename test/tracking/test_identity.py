"""The identity of people: ids that jump, are exchanged, lost, or found again."""

import numpy as np
import pytest
from crowd import (
    FULL,
    POSE,
    FloatArray,
    at,
    make_people,
    report,
    scene_of,
    statuses,
)

from motion_predictor.common.status import Status


def test_an_id_that_jumps_farther_than_a_person_moves_starts_anew() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=at(0))
    for step in range(FULL, 2 * FULL - 1):
        report(people, step, anna=at(3))
        assert statuses(people) == {'anna': Status.WARMING_UP}
    report(people, 2 * FULL - 1, anna=at(3))
    (anna,) = scene_of(people).people
    assert people.rejected == {'person jumped': 1}
    assert anna.window is not None
    np.testing.assert_array_equal(anna.window.positions[:, 0, 0], [3] * 5)


def test_an_id_that_jumps_back_at_once_goes_on() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=at(0))
    report(people, FULL, anna=at(3))
    assert statuses(people) == {'anna': Status.WARMING_UP}
    report(people, FULL + 1, anna=at(0.1))
    (anna,) = scene_of(people).people
    assert anna.window is not None
    assert anna.window.positions[:, 0, 0].max() == pytest.approx(0.1)


def test_a_person_at_full_speed_does_not_jump() -> None:
    people = make_people()
    for step in range(3 * FULL):
        report(people, step, anna=at(0.39 * step))
    assert statuses(people) == {'anna': Status.OK}
    assert not people.rejected


@pytest.mark.parametrize('apart_m', [0.5, 0.1, 0.07])
def test_ids_exchanged_between_two_people_exchange_their_histories(apart_m: float) -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=at(0), ben=at(0, apart_m))
    before = {person.id: person.track for person in scene_of(people).people}
    for step in range(FULL, FULL + 2):
        report(people, step, anna=at(0, apart_m), ben=at(0))
        assert statuses(people) == {'anna': Status.OK, 'ben': Status.OK}
        after = {person.id: person.track for person in scene_of(people).people}
        assert after == {'anna': before['ben'], 'ben': before['anna']}
        for person in scene_of(people).people:
            assert person.window is not None
            np.testing.assert_allclose(np.diff(person.window.positions, axis=0), 0, atol=1e-6)
    assert people.rejected == {'ids swapped': 1}


def test_an_id_at_another_persons_place_starts_anew() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=at(0), ben=at(0, 0.5))
    report(people, FULL, anna=at(0, 0.5), ben=at(0, 3.0))
    assert statuses(people) == {'anna': Status.WARMING_UP, 'ben': Status.WARMING_UP}
    assert people.rejected == {"id at another person's place": 1, 'person jumped': 1}


def test_two_people_who_pass_each_other_stay_apart() -> None:
    people = make_people()
    for step in range(20):
        x = 0.15 * (step - 10)
        report(people, step, anna=at(x), ben=at(-x, 0.4))
    assert not people.rejected
    windows = {p.id: p.window for p in scene_of(people).people}
    assert windows['anna'] is not None
    assert windows['ben'] is not None
    np.testing.assert_allclose(np.diff(windows['anna'].positions[:, 0, 0]), 0.15, atol=1e-5)
    np.testing.assert_allclose(np.diff(windows['ben'].positions[:, 0, 0]), -0.15, atol=1e-5)


def test_whoever_is_found_again_under_a_new_id_goes_on() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=at(0.1 * step))
    report(people, FULL)
    report(people, FULL + 1, anna2=at(0.1 * (FULL + 1)))
    assert statuses(people) == {'anna2': Status.OK}


@pytest.mark.parametrize(
    ('lost', 'found'),
    [
        ({'anna': at(0), 'ben': at(0, 0.4)}, {'new': at(0)}),  # `new` may be anna or ben
        ({'anna': at(0)}, {'new': at(0), 'other': at(0, 0.4)}),  # `new` or `other` may be anna
        ({'anna': at(0), 'carl': at(0, 0.4)}, {'new': at(0), 'carl': at(0, 0.4)}),  # carl is near
        ({'anna': at(0)}, {'new': at(1)}),  # too far
    ],
)
def test_where_it_is_not_plain_who_was_found_again_the_history_starts_anew(
    lost: dict[str, FloatArray], found: dict[str, FloatArray]
) -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, **lost)
    report(people, FULL, **found)
    assert statuses(people)['new'] == Status.WARMING_UP


def test_a_lost_person_is_not_found_again_too_late() -> None:
    people = make_people(reassociate_s=0.1)
    for step in range(FULL):
        report(people, step, anna=POSE)
    report(people, FULL)
    report(people, FULL + 1, new=POSE)
    assert statuses(people) == {'anna': Status.STALE_INPUT, 'new': Status.WARMING_UP}


def test_whoever_an_id_jumped_away_from_may_still_be_there() -> None:
    people = make_people()
    for step in range(FULL):
        report(people, step, anna=at(0))
    report(people, FULL, anna=at(3))
    assert scene_of(people).unlisted == 1
    report(people, FULL + 1, anna=at(0.1))
    assert scene_of(people).unlisted == 0, 'she is where she was'
