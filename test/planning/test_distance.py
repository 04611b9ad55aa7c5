"""Distances from a robot, compared with brute force, and the probability of a touch."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from motion_predictor.planning import (
    NOBODY,
    Bodies,
    Capsules,
    FleshError,
    HorizonError,
    Limbs,
    Outlook,
    closest,
    nearest,
    over,
    touch,
    touching,
)
from motion_predictor.planning.capsules import segment_to_segment
from motion_predictor.planning.contact import at_most
from motion_predictor.planning.separation import distances
from motion_predictor.skeleton import known_layouts

PLACES = ((0.3, 0.2, 0.9), (1.2, 0.4, 0.5), (4.0, -3.0, 0.0), (40.0, 30.0, 1.0))


def arm(place: Any, capsules: int = 3, seed: int = 0, times: int = 0) -> Capsules:
    """Return an arm at a place. With `times`, the arm moves over this number of instants."""
    generator = np.random.default_rng(seed)
    bends = generator.normal(0, 0.3, (capsules, 3))
    points = np.asarray(place) + np.vstack([np.zeros(3), bends.cumsum(0)])
    radii = generator.uniform(0.05, 0.12, capsules)
    if times:
        points = points + generator.normal(0, 0.05, (times, 1, 3)).cumsum(0)
    starts, ends = points[..., :-1, :].copy(), points[..., 1:, :]
    starts[..., -1, :] = ends[..., -1, :]  # a ball at the tip
    return Capsules.of(starts, ends, radii)


@given(st.integers(0, 2**32 - 1), st.sampled_from(['any', 'parallel', 'points', 'crossing']))
def test_segments(apart: Callable[..., float], seed: int, kind: str) -> None:
    generator = np.random.default_rng(seed)
    a, b, c, d = generator.normal(size=(4, 20, 3))
    if kind == 'parallel':
        d = c + (b - a) * generator.normal(size=(20, 1)) + 1e-9 * generator.normal(size=(20, 3))
    elif kind == 'points':
        b[:10], d[5:15] = a[:10], c[5:15]
    elif kind == 'crossing':
        d = (a + b) - c
    expected = [apart(*row) for row in zip(a, b, c, d, strict=True)]
    np.testing.assert_allclose(segment_to_segment(a, b, c, d), expected, atol=1e-6)


@pytest.mark.parametrize('place', PLACES)
@pytest.mark.parametrize('times', [0, 4])
@pytest.mark.parametrize('by_samples', [True, False])
def test_distances_agree_with_those_found_one_by_one(
    make_prediction: Callable[..., Any],
    every_distance: Any,
    place: Any,
    times: int,
    by_samples: bool,
) -> None:
    outlook = Outlook.of(make_prediction(samples=6), 0.05)
    robot = arm(place, times=times)
    limbs = Limbs.for_outlook(outlook)
    make = Bodies.of_samples if by_samples else Bodies.of_mean
    bodies = make(outlook.people[0], limbs)
    expected = every_distance(bodies, robot)
    distances, pairs = nearest(bodies, robot)
    np.testing.assert_allclose(distances, expected.min((0, 2, 3)), atol=1e-6)
    at_pairs = expected[pairs.n, pairs.t, pairs.c, pairs.r]
    np.testing.assert_allclose(distances, at_pairs, atol=1e-6)
    found = over(outlook, robot, by_samples=by_samples)
    assert found.distance_m == pytest.approx(expected.min(), abs=1e-6)
    n, t, c, r = np.unravel_index(expected.argmin(), expected.shape)
    assert (found.sample, found.limb, found.capsule) == (n, limbs.names[c], r)
    assert found.time_s == pytest.approx(outlook.times[t])
    if by_samples:
        for margin_m in (0.0, 0.2):
            np.testing.assert_array_equal(
                touching(bodies, robot, margin_m), (expected <= margin_m).any((1, 2)).T
            )


@pytest.mark.parametrize('moving', [False, True])
@pytest.mark.parametrize('place', PLACES)
def test_successive_poses_that_are_looked_at_together(
    make_prediction: Callable[..., Any], place: Any, moving: bool
) -> None:
    """Compares with the vectorised distance, which the tests above compare with brute force."""
    times = np.arange(1, 42) / 20  # the last span is shorter than the others
    outlook = Outlook.of(make_prediction(samples=30, times=times), 0.0)
    bodies = Bodies.of_samples(outlook.people[0], Limbs.for_outlook(outlook))
    robot = arm(place, capsules=8, times=len(times) if moving else 0)
    expected = np.full((8, 30, len(times)), np.inf)
    starts, ends = robot.over(len(times))
    for (c, (i, j)), r in itertools.product(enumerate(bodies.limbs.ends), range(8)):
        p, q = (bodies.joints[:, :, k].reshape(-1, 3).astype(float) for k in (i, j))
        axis = (
            np.broadcast_to(x[:, r], (30, *x[:, r].shape)).reshape(-1, 3) for x in (starts, ends)
        )
        apart = segment_to_segment(p, q, *axis).reshape(30, -1)
        np.minimum(expected[r], apart - bodies.radii[:, c] - robot.radii[r], out=expected[r])
    np.testing.assert_allclose(nearest(bodies, robot)[0], expected.min((0, 1)), atol=1e-9)
    assert over(outlook, robot).distance_m == pytest.approx(expected.min(), abs=1e-9)
    for margin_m in (0.0, 0.5):
        np.testing.assert_array_equal(
            touching(bodies, robot, margin_m), (expected <= margin_m).any(2)
        )


def test_unfamiliar_people_are_anywhere_within_their_radius(
    make_prediction: Callable[..., Any],
) -> None:
    message = make_prediction(people=2, samples=20)
    message.motions[1].unfamiliar = True
    outlook = Outlook.of(message, 0.0)
    for robot in (arm((0.6, 2.3, 1.0)), arm((0.5, 3.4, 1.0))):
        found = over(outlook, robot)
        by_radius = over(replace(outlook, people=outlook.people[1:]), robot, by_samples=False)
        by_samples = over(replace(outlook, people=outlook.people[:1]), robot)
        assert found == min(by_radius, by_samples, key=lambda closest: closest.distance_m)
        assert found.person == 'person 1'
        hit = touch(outlook, robot, 0.1, 0.8)
        assert (hit.share == 1) == (by_radius.distance_m <= 0)
        assert (hit.of_capsule == 1).any() == (hit.share == 1)
    _, apart = distances(outlook, arm((0.5, 3.4, 1.0)), 0.8)
    assert apart.min() == pytest.approx(by_radius.distance_m, abs=0.05)


def test_a_span_is_looked_at_at_both_ends_and_every_frame(
    make_prediction: Callable[..., Any],
) -> None:
    outlook = Outlook.of(make_prediction(people=2), 0.05)
    robot = arm((0.5, 2.2, 1.0))
    found = closest(outlook, robot, 0.1, 0.6)
    assert found.person == 'person 1'
    np.testing.assert_allclose(outlook.instants(0.1, 0.6), [0.1, 0.15, 0.35, 0.6])
    assert found == over(outlook.at([0.1, 0.15, 0.35, 0.6]), robot)
    with pytest.raises(HorizonError, match='goes from -0.05'):
        closest(outlook, robot, 0.0, 1.0)


def test_nobody_is_infinitely_far(make_prediction: Callable[..., Any]) -> None:
    outlook = Outlook.of(make_prediction(people=0), 0.05)
    robot = arm((0, 0, 0))
    assert closest(outlook, robot, 0.0, 1.0) == NOBODY
    assert touch(outlook, robot, 0.0, 1.0).share == touch(outlook, robot, 0.0, 1.0).at_most == 0


def test_whoever_is_not_predicted_is_anywhere_in_reach(
    make_prediction: Callable[..., Any], every_distance: Any
) -> None:
    message = make_prediction(people=2)
    lost = message.motions[1]
    lost.status, lost.samples, lost.mean, lost.radius = 3, [], [], []
    lost.place, lost.reach = np.array([3.0, 5.0, 1.0]), 0.9
    outlook = Outlook.of(message, 0.05)
    limbs = Limbs.for_outlook(outlook)
    for place in ((2.0, 4.0, 0.5), (3.2, -5.0, 1.0)):
        robot = arm(place)
        found = closest(outlook, robot, 0.0, 0.6)
        at = outlook.at(outlook.instants(0.0, 0.6))
        predicted = every_distance(Bodies.of_samples(at.people[0], limbs), robot).min()
        along = np.linspace(0, 1, 20_001)[:, None]
        reach_m = 0.9 + 4.0 * 0.65 + limbs.radii.max()
        balls = [
            np.linalg.norm(a + along * (b - a) - lost.place, axis=1).min() - radius - reach_m
            for a, b, radius in zip(robot.starts, robot.ends, robot.radii, strict=True)
        ]
        assert found.distance_m == pytest.approx(min(predicted, *balls), abs=1e-6)
        if min(balls) < predicted:
            assert (found.person, found.limb, found.sample) == ('person 1', '', -1)
            assert found.time_s == pytest.approx(0.6)
        hit = touch(outlook, robot, 0.0, 0.6)
        np.testing.assert_array_equal(hit.of_capsule == 1, np.array(balls) <= 0)
        assert (hit.share == 1) == (min(balls) <= 0)


def test_a_touch_is_a_share_of_the_samples_and_a_bound(
    make_prediction: Callable[..., Any],
    every_distance: Any,
) -> None:
    outlook = Outlook.of(make_prediction(people=2, samples=20), 0.0)
    robot = arm((0.6, 0.9, 1.0))
    at = outlook.at(outlook.instants(0.0, 0.8))
    limbs = Limbs.for_outlook(outlook)
    hits = [
        (every_distance(Bodies.of_samples(p, limbs), robot) <= 0).any((1, 2)) for p in at.people
    ]
    found = touch(outlook, robot, 0.0, 0.8)
    spared = [1 - hit.any(1).mean() for hit in hits]
    assert 0 < found.share < 1
    assert found.share == pytest.approx(1 - np.prod(spared))
    np.testing.assert_allclose(found.of_capsule, 1 - np.prod([1 - h.mean(0) for h in hits], 0))
    assert found.share < found.at_most <= 1
    for k in (0, 3, 19):
        assert at_most(k, 20) == pytest.approx(beta.ppf(0.95, k + 1, 20 - k), abs=1e-9)
    assert at_most(20, 20) == 1


def test_a_limb_of_the_mean_is_thicker_by_the_larger_radius(
    make_prediction: Callable[..., Any],
) -> None:
    outlook = Outlook.of(make_prediction(), 0.0)
    (person,) = outlook.people
    person.radius[:] = np.arange(22) / 100
    limbs = Limbs.for_outlook(outlook)
    bodies = Bodies.of_mean(person, limbs)
    expected = limbs.radii + limbs.ends.max(1) / 100
    np.testing.assert_allclose(bodies.radii, np.tile(expected, (4, 1)), atol=1e-6)
    person.radius[:] = np.nan
    with pytest.raises(FleshError, match='not calibrated'):
        Bodies.of_mean(person, limbs)
    assert Bodies.of_mean(person, limbs, inflated=False).radii[0] == pytest.approx(limbs.radii)


def test_without_samples_there_are_none_to_measure(make_prediction: Callable[..., Any]) -> None:
    message = make_prediction(num_samples=0)
    message.motions[0].samples = []
    outlook = Outlook.of(message, 0.0)
    with pytest.raises(FleshError, match='publish_samples'):
        over(outlook, arm((0, 0, 0)))
    assert np.isfinite(over(outlook, arm((0, 0, 0)), by_samples=False).distance_m)


@pytest.mark.parametrize('name', known_layouts())
def test_every_layout_has_limbs_that_leave_no_part_of_the_body_out(name: str) -> None:
    layout = known_layouts()[name]
    limbs = Limbs.of(name, layout.joint_names)
    assert ((limbs.radii > 0.04) & (limbs.radii < 0.25)).all()
    for side, other in (('l_', 'r_'), ('r_', 'l_')):
        mine = {n.removeprefix(side) for n in limbs.names if n.startswith(side)}
        assert mine == {n.removeprefix(other) for n in limbs.names if n.startswith(other)}
        parts = {'thigh', 'shin', 'upper_arm', 'forearm'}
        assert parts <= mine
    assert 'head' in limbs.names


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [
        (
            'layout: x\nlimbs: {arm: [nose, l_elbow, 0.1]}',
            'joints that the predictions lack: nose',
        ),
        ('layout: x\nlimbs: {arm: [l_elbow, l_wrist, -1]}', 'is not a file of limbs: limbs.arm.2'),
        ('layout: x\nlimbs: {}', 'is not a file of limbs'),
        ('][', 'cannot read'),
    ],
)
def test_limbs_that_do_not_fit_are_refused(tmp_path: Any, content: str, sentence: str) -> None:
    path = tmp_path / 'limbs.yaml'
    path.write_text(content)
    with pytest.raises(FleshError, match=sentence):
        Limbs.read(path, known_layouts()['smpl22'].joint_names)
    with pytest.raises(FleshError, match="there are no limbs for the layout 'spider'"):
        Limbs.of('spider', ('a', 'b'))


def test_capsules_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match='capsules need ends'):
        Capsules.of(np.zeros((2, 3)), np.zeros((2, 3)), [1.0])
    with pytest.raises(ValueError, match='finite ends'):
        Capsules.of(np.full((1, 3), np.nan), np.zeros((1, 3)), [1.0])
    with pytest.raises(ValueError, match='at 4 times, but the people at 3'):
        arm((0, 0, 0), times=4).over(3)
