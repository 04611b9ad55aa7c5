"""Whether predictions are usable and why not, interpolation, and frames."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motion_predictor.planning import (
    BlindError,
    Bodies,
    Capsules,
    HorizonError,
    Inbox,
    Latest,
    Limbs,
    Limits,
    Outlook,
    Reason,
    Rigid,
    nearest,
)

STAMP_NS = 10**18
OK, DEGRADED, TOO_MANY, WARMING_UP, STALE, FAULT = range(6)


def answer(message: Any, age_s: float = 0.05, limits: Limits | None = None) -> Latest:
    inbox = Inbox(limits)
    inbox.put(message, steady_s=100.0)
    return inbox.latest(STAMP_NS + round(age_s * 1e9), steady_s=100.01)


def unpredicted(message: Any, status: int) -> Any:
    """Change the message so that the last person is listed but not predicted."""
    motion = message.motions[-1]
    motion.status, motion.samples, motion.mean, motion.radius = status, [], [], []
    if status == STALE:  # the person was lost 0.1 s ago
        motion.last_seen = SimpleNamespace(sec=10**9 - 1, nanosec=900_000_000)
    message.status = status
    return message


def test_everybody_predicted_is_usable_and_nobody_is_not_blind(
    make_prediction: Callable[..., Any],
) -> None:
    latest = answer(make_prediction(people=2))
    assert latest and latest.reason is Reason.USABLE and not latest.is_nobody
    assert [p.id for p in latest.outlook.people] == ['person 0', 'person 1']
    assert not latest.outlook.degraded
    nobody = answer(make_prediction(people=0))
    assert nobody and nobody.is_nobody and nobody.outlook.people == ()
    degraded = answer(make_prediction(status=DEGRADED))
    assert degraded and degraded.outlook.degraded


def test_silence_is_blindness_and_says_nothing_about_who_is_there(
    make_prediction: Callable[..., Any],
) -> None:
    inbox = Inbox(Limits(silent_after_s=0.2))
    assert inbox.latest(STAMP_NS).reason is Reason.SILENT
    inbox.put(make_prediction(people=0), steady_s=5.0)
    assert inbox.latest(STAMP_NS, steady_s=5.19).is_nobody
    silent = inbox.latest(STAMP_NS, steady_s=5.21)
    assert silent.reason is Reason.SILENT and not silent and not silent.is_nobody
    assert str(silent.reason) == 'no messages come from the predictor'
    with pytest.raises(BlindError, match='no messages come'):
        _ = silent.outlook


@pytest.mark.parametrize(
    ('age_s', 'reason'),
    [(0.24, Reason.USABLE), (0.26, Reason.STALE), (-0.09, Reason.USABLE), (-0.11, Reason.CLOCK)],
)
def test_age_and_a_clock_that_jumped(
    make_prediction: Callable[..., Any], age_s: float, reason: Reason
) -> None:
    assert answer(make_prediction(), age_s).reason is reason
    assert answer(make_prediction(people=0), age_s).reason is reason


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda m: setattr(m, 'status', FAULT), Reason.FAULT),
        (lambda m: setattr(m, 'status', STALE), Reason.UNREADABLE),
        (lambda m: setattr(m, 'status', 77), Reason.UNREADABLE),
        (lambda m: unpredicted(m, STALE), Reason.UNREADABLE),
        (lambda m: unpredicted(m, WARMING_UP), Reason.WARMING_UP),
        (lambda m: unpredicted(m, TOO_MANY), Reason.TOO_MANY),
        (lambda m: unpredicted(m, DEGRADED), Reason.UNREADABLE),
        (lambda m: setattr(m, 'unlisted', 1), Reason.UNREADABLE),
        (lambda m: setattr(m, 'num_samples', 5), Reason.MALFORMED),
        (lambda m: setattr(m, 'times', m.times[:-1]), Reason.MALFORMED),
        (lambda m: setattr(m, 'times', m.times[::-1]), Reason.MALFORMED),
        (lambda m: m.motions[0].samples.__setitem__(7, np.nan), Reason.MALFORMED),
        (lambda m: m.motions[0].mean.__setitem__(7, np.inf), Reason.MALFORMED),
        (lambda m: setattr(m, 'joint_names', ['pelvis']), Reason.MALFORMED),
    ],
)
def test_every_reason(make_prediction: Callable[..., Any], change: Any, reason: Reason) -> None:
    message = make_prediction(people=2)
    change(message)
    assert answer(message).reason is reason


def test_somebody_unfamiliar_is_refused_by_whoever_goes_by_samples(
    make_prediction: Callable[..., Any],
) -> None:
    message = make_prediction(people=2)
    message.motions[1].unfamiliar = True
    people = answer(message).outlook.people
    assert [person.unfamiliar for person in people] == [False, True]
    refused = answer(message, limits=Limits(unfamiliar_ok=False))
    assert refused.reason is Reason.UNFAMILIAR


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda m: unpredicted(m, WARMING_UP), Reason.USABLE),
        (lambda m: unpredicted(m, TOO_MANY), Reason.USABLE),
        (lambda m: unpredicted(m, STALE), Reason.USABLE),
        (
            lambda m: setattr(unpredicted(m, STALE).motions[1], 'last_seen', m.header.stamp),
            Reason.UNREADABLE,
        ),
        (lambda m: setattr(m, 'status', STALE), Reason.UNREADABLE),
        (lambda m: setattr(m, 'status', FAULT), Reason.FAULT),
        (lambda m: setattr(unpredicted(m, WARMING_UP), 'status', STALE), Reason.UNREADABLE),
        (lambda m: setattr(unpredicted(m, STALE), 'unlisted', 1), Reason.UNREADABLE),
        (lambda m: setattr(unpredicted(m, TOO_MANY).motions[1], 'reach', np.nan), Reason.TOO_MANY),
        (lambda m: setattr(unpredicted(m, 77), 'unlisted', 0), Reason.UNREADABLE),
        (lambda m: unpredicted(m, DEGRADED), Reason.UNREADABLE),
        (lambda m: setattr(m.motions[1], 'status', STALE), Reason.UNREADABLE),
    ],
)
def test_people_who_are_not_predicted_may_be_there_where_it_is_known_how_far_they_get(
    make_prediction: Callable[..., Any], change: Any, reason: Reason
) -> None:
    message = make_prediction(people=2)
    change(message)
    found = answer(message, 0.05, Limits(reachable_ok=True))
    assert found.reason is reason
    if not found:
        return
    assert [person.id for person in found.outlook.people] == ['person 0']
    (ball,) = found.outlook.unpredicted
    assert (ball.id, found.is_nobody) == ('person 1', False)
    np.testing.assert_allclose(ball.radius_m([0.0, 0.5]), [1.2, 3.2], atol=1e-6)
    turn = Rotation.from_euler('z', 1.0)
    moved = found.outlook.moved(Rigid.of_pose([1, 2, 3, *turn.as_quat()]), 'robot')
    expected = turn.apply(message.motions[1].place) + [1, 2, 3]
    np.testing.assert_allclose(moved.unpredicted[0].place, expected, atol=1e-6)
    message.motions = message.motions[1:]
    alone = answer(message, 0.05, Limits(reachable_ok=True, reach_s=100.0))
    assert alone and not alone.is_nobody, 'their reach has no horizon'


def test_whoever_is_not_predicted_comes_from_where_they_were_last_seen(
    make_prediction: Callable[..., Any], stride: NDArray[np.float32]
) -> None:
    message = unpredicted(make_prediction(), STALE)
    message.motions[0].place = stride[0]
    robot = Capsules.of([[3.0, 0, 1], [0, 4.0, 1]], [[3.0, 0, 2], [0, 4.0, 1]], [0.1, 0.1])
    limbs = Limbs.of('smpl22', tuple(message.joint_names))
    bare = Bodies(stride[None, None], limbs, limbs.radii[None])
    times_s = [0.0, 0.3]
    for speed, fastest in ((1.6, 1.6), (9.0, 4.0)):
        limits = Limits(reachable_ok=True, unpredicted_m_per_s=speed)
        message.motions[0].last_pose = np.full(66, np.nan, np.float32)
        (ball,) = answer(message, 0.05, limits).outlook.unpredicted
        np.testing.assert_allclose(ball.radius_m(times_s), 0.6 + fastest * np.array([0.15, 0.45]))
        message.motions[0].last_pose = stride.ravel()
        (walker,) = answer(message, 0.05, limits).outlook.unpredicted
        apart_m = walker.apart_m(robot, times_s, limbs.ends, limbs.radii)
        assert apart_m.shape == (2, 2)
        for r in range(2):
            one = Capsules(robot.starts[[r]], robot.ends[[r]], robot.radii[[r]])
            expected = nearest(bare, one)[0] - fastest * np.array([0.15, 0.45])
            np.testing.assert_allclose(apart_m[:, r], expected, atol=1e-6)


def test_a_prediction_that_is_too_short_by_now(make_prediction: Callable[..., Any]) -> None:
    limits = Limits(reach_s=0.7)
    assert answer(make_prediction(), 0.09, limits)
    assert answer(make_prediction(), 0.11, limits).reason is Reason.SHORT
    assert answer(make_prediction(people=0), 0.11, limits).is_nobody


def test_times_count_from_now_and_are_linear_between_frames(
    make_prediction: Callable[..., Any],
) -> None:
    outlook = answer(make_prediction(), 0.05).outlook
    np.testing.assert_allclose(outlook.times, [0.05, 0.15, 0.35, 0.75], atol=1e-6)
    assert outlook.horizon_s == pytest.approx(0.75)
    (person,) = outlook.people
    at = outlook.at([0.0, 0.15, 0.25, 0.75]).people[0]
    first = person.samples[:, 0] - 0.5 * (person.samples[:, 1] - person.samples[:, 0])
    np.testing.assert_allclose(at.samples[:, 0], first, atol=1e-5)
    np.testing.assert_allclose(at.samples[:, 1], person.samples[:, 1], atol=1e-5)
    np.testing.assert_allclose(at.mean[2], person.mean[1:3].mean(0), atol=1e-5)
    np.testing.assert_allclose(at.samples[:, 3], person.samples[:, 3], atol=1e-5)
    assert at.radius == pytest.approx(0.1)
    for outside in (-0.06, 0.76):
        with pytest.raises(HorizonError):
            outlook.at([outside])


def test_one_frame_holds_for_itself(make_prediction: Callable[..., Any]) -> None:
    outlook = Outlook.of(make_prediction(times=(0.5,)), 0.0)
    np.testing.assert_array_equal(outlook.at([0.5]).people[0].mean, outlook.people[0].mean)


def test_any_rigid_transform(make_prediction: Callable[..., Any]) -> None:
    outlook = answer(make_prediction()).outlook
    rotation = Rotation.from_euler('xyz', [0.3, -1.0, 2.0])
    pose = [1.0, 2.0, 3.0, *rotation.as_quat()]
    transform = Rigid.of_pose(pose)
    moved = outlook.moved(transform, 'robot')
    assert moved.frame_id == 'robot'
    samples = outlook.people[0].samples
    expected = rotation.apply(samples.reshape(-1, 3)).reshape(samples.shape) + [1, 2, 3]
    np.testing.assert_allclose(moved.people[0].samples, expected, atol=1e-5)
    back = moved.moved(transform.inverse, 'map').people[0]
    np.testing.assert_allclose(back.mean, outlook.people[0].mean, atol=1e-5)
    whole = np.eye(4)
    whole[:3, :3], whole[:3, 3] = transform.rotation, transform.translation
    np.testing.assert_allclose(
        Rigid.of_matrix(whole).inverse.translation, transform.inverse(np.zeros(3)), atol=1e-12
    )
    round_trip = transform @ transform.inverse
    np.testing.assert_allclose(round_trip.rotation, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(round_trip([1.0, 1.0, 1.0]), 1, atol=1e-12)


@pytest.mark.parametrize('pose', [[0.0] * 7, [0.0] * 6, [np.nan, 0, 0, 0, 0, 0, 1]])
def test_what_is_no_transform_is_refused(pose: list[float]) -> None:
    with pytest.raises(ValueError, match='transform must be|quaternion'):
        Rigid.of_pose(pose)
    with pytest.raises(ValueError, match='orthonormal'):
        Rigid.of_matrix(np.zeros((4, 4)))
