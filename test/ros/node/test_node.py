"""The predictor as a process over DDS: people who come and go, and invalid input."""

import time
from typing import Any

import numpy as np
import pytest

from motion_predictor.archive import MotionArchive
from motion_predictor.common.status import Status
from motion_predictor.msg import PredictedMotion, PredictedMotionArray, SkeletonArray
from motion_predictor.predictor import MotionPredictor
from motion_predictor.ros.node.parameters import FRAME_TIMES_S
from motion_predictor.skeleton import JointMap, common_names_of, known_layouts

OK, WARMING_UP, STALE = (
    PredictedMotionArray.OK,
    PredictedMotionArray.WARMING_UP,
    PredictedMotionArray.STALE_INPUT,
)
FRAMES, JOINTS, SAMPLES = len(FRAME_TIMES_S), 22, 50
CHOSEN = np.rint(60 * np.array(FRAME_TIMES_S)).astype(int) - 1
"""Indices of the published frames among the 120 predicted ones."""


@pytest.fixture
def walker(bundled: MotionArchive) -> Any:
    return max((bundled.clip(i) for i in range(len(bundled))), key=len)


@pytest.fixture
def cell(predictor: Any, planner: Any) -> Any:
    """A planner beside a running predictor that has forgotten everybody."""
    planner.wait_for_node()
    planner.wait_for(lambda: planner.received, 'the predictor publishes')
    # People whom an earlier test showed, or who were refused, are forgotten after a second.
    planner.spin(1.1)
    planner.received.clear()
    until = time.monotonic() + 5
    while not any(m.status == OK and not m.motions for m in planner.received):
        assert time.monotonic() < until, 'nobody is there'
        planner.publish(planner.message({}))
        planner.spin(0.1)
    planner.received.clear()
    return planner


def test_silence_is_stale_input(cell: Any) -> None:
    cell.spin(0.6)
    cell.received.clear()
    cell.wait_for(lambda: len(cell.received) >= 3, 'the watchdog publishes')
    assert cell.statuses() == {STALE}


def test_an_empty_message_says_that_nobody_is_seen(cell: Any) -> None:
    cell.publish(cell.message({}))
    cell.wait_for(lambda: cell.received, 'an answer')
    assert (cell.received[0].status, cell.received[0].motions) == (OK, [])


@pytest.mark.parametrize('rate_hz', [15, 30, 60])
def test_a_person_is_predicted(cell: Any, motion: MotionArchive, rate_hz: int) -> None:
    clip = max((motion.clip(i) for i in range(len(motion))), key=len)
    person = f'person at {rate_hz} Hz {motion.fingerprint}'
    cell.stream({person: clip}, seconds=1.5, rate_hz=rate_hz)
    cell.wait_for(lambda: cell.predictions(person), 'a prediction')
    assert WARMING_UP in cell.statuses(person)
    message = next(m for m in cell.received if any(len(p.mean) for p in m.motions))
    assert message.status == OK
    assert message.header.frame_id == 'map'
    assert (message.num_samples, message.num_frames, message.num_joints) == (50, 20, 22)
    np.testing.assert_allclose(message.times, FRAME_TIMES_S, atol=1 / 1000)
    assert np.isnan(message.time_step), 'they are not evenly spaced'
    assert list(message.joint_names) == list(known_layouts()['smpl22'].joint_names)
    assert list(message.parents) == list(known_layouts()['smpl22'].parents)
    assert 0 < message.coverage < 1
    age_ns = 1e9 * (message.published.sec - message.header.stamp.sec) + (
        message.published.nanosec - message.header.stamp.nanosec
    )
    assert 0 < age_ns < 0.5e9
    prediction = cell.predictions(person)[-1]
    samples = np.array(prediction.samples).reshape(SAMPLES, FRAMES, JOINTS, 3)
    mean = np.array(prediction.mean).reshape(FRAMES, JOINTS, 3)
    radius = np.array(prediction.radius).reshape(FRAMES, JOINTS)
    np.testing.assert_allclose(samples.mean(0), mean, atol=1e-4)
    assert np.isfinite(samples).all()
    assert (radius > 0).all()
    assert prediction.observed_fraction == 1
    # The first predicted frame is 1/60 s after the last observed pose.
    nearest = np.linalg.norm(clip[:240] - mean[0], axis=-1).mean(-1).min()
    assert nearest < 0.1


def test_published_equals_what_the_library_predicts(cell: Any, walker: Any) -> None:
    """At the model's rate nothing is resampled, so node and library see the same history."""
    start_ns = cell.get_clock().now().nanoseconds
    step_ns = 1_000_000_000 // 60 + 1
    poses = walker[:40]
    for index, pose in enumerate(poses):
        stamp_ns = start_ns + index * step_ns
        while cell.get_clock().now().nanoseconds < stamp_ns:
            cell.spin(0.001)
        cell.publish(cell.message({'exact': pose}, stamp_ns=stamp_ns))
    last = start_ns + (len(poses) - 1) * step_ns

    def newest() -> list[Any]:
        return [
            p
            for m in cell.received
            for p in m.motions
            if m.header.stamp.sec * 10**9 + m.header.stamp.nanosec == last and len(p.mean)
        ]

    cell.wait_for(newest, 'the prediction of the last frame')
    expected = MotionPredictor.load('default').predict(poses[-30:])
    mean = np.array(newest()[0].mean).reshape(FRAMES, JOINTS, 3)
    np.testing.assert_allclose(mean, expected.mean[0, CHOSEN], atol=2e-3)
    radius = np.array(newest()[0].radius).reshape(FRAMES, JOINTS)
    factor = radius / expected.radius[0, CHOSEN]  # the node's self-correction
    assert factor.min() > 0.999, 'which only widens'
    assert factor.max() < 1.5
    assert np.ptp(factor, axis=1).max() < 0.03, 'and all joints of a frame alike'


def test_people_come_and_go(cell: Any, walker: Any) -> None:
    shift = np.float32([0, 2, 0])
    first, second, third = walker, walker[50:] + shift, walker[100:] + 2 * shift
    cell.stream({'a': first, 'b': second}, seconds=1.2)
    cell.stream({'a': first[72:], 'b': second[72:], 'c': third}, seconds=1.2)
    cell.wait_for(lambda: cell.predictions('c'), 'c is predicted')
    together = [m for m in cell.received if {p.id for p in m.motions if len(p.mean)} == set('abc')]
    assert together
    assert together[-1].status == OK
    means = {p.id: np.array(p.mean).reshape(FRAMES, JOINTS, 3) for p in together[-1].motions}
    # People walk in parallel, two metres apart.
    assert 1 < (means['b'] - means['a'])[:10, 0, 1].mean() < 3.5
    assert 1 < (means['c'] - means['b'])[:10, 0, 1].mean() < 3.5

    cell.received.clear()
    cell.stream({'a': first[144:], 'c': third[72:]}, seconds=0.5)
    gone = [p for m in cell.received for p in m.motions if p.id == 'b']
    assert gone[-1].status == STALE
    assert not len(gone[-1].mean)
    assert cell.received[-1].status == STALE

    cell.stream({'a': first[174:], 'c': third[102:]}, seconds=1.5)
    cell.wait_for(
        lambda: {p.id for p in cell.received[-1].motions} == {'a', 'c'}, 'b is forgotten'
    )
    cell.stream({'a': first[264:], 'c': third[192:]}, seconds=0.3)
    assert cell.received[-1].status == OK


def test_a_gap_restarts_the_history(cell: Any, walker: Any) -> None:
    cell.stream({'gap': walker}, seconds=0.8)
    cell.wait_for(lambda: cell.predictions('gap'), 'a prediction')
    cell.spin(0.6)
    cell.received.clear()
    cell.stream({'gap': walker[90:]}, seconds=0.3)
    assert not cell.predictions('gap')
    assert WARMING_UP in cell.statuses('gap')
    cell.stream({'gap': walker[108:]}, seconds=0.6)
    cell.wait_for(lambda: cell.predictions('gap'), 'a prediction after the gap')


def test_hidden_joints_are_filled_and_declared(cell: Any, walker: Any) -> None:
    clip = walker.copy()
    clip[::3, 20] = np.nan  # a wrist that flickers
    clip[52:62, 7] = np.nan  # an ankle, lost for so long that it counts as not observed
    cell.stream({'hidden': clip}, seconds=1.2)
    cell.wait_for(lambda: cell.predictions('hidden'), 'a prediction')
    prediction = cell.predictions('hidden')[-1]
    assert 0.9 < prediction.observed_fraction < 1
    assert np.isfinite(np.array(prediction.samples)).all()


def test_a_joint_that_is_never_seen_is_filled_and_its_radius_wider(cell: Any, walker: Any) -> None:
    clip = walker.copy()
    clip[:, 4] = np.nan
    cell.stream({'kneeless': clip}, seconds=1.0)
    cell.wait_for(lambda: cell.predictions('kneeless'), 'a prediction')
    prediction = cell.predictions('kneeless')[-1]
    assert prediction.observed_fraction == pytest.approx(21 / 22)
    radius = np.array(prediction.radius).reshape(FRAMES, JOINTS)
    assert radius[0, 4] > 2 * radius[0, 5]


def test_whoever_is_hardly_seen_is_not_predicted(cell: Any, walker: Any) -> None:
    clip = walker.copy()
    clip[:, 10:] = np.nan
    cell.stream({'hidden': clip}, seconds=1.0)
    cell.wait_for(lambda: STALE in cell.statuses('hidden'), 'the status says so')
    assert not cell.predictions('hidden')


def wrong_joint_count(message: SkeletonArray) -> None:
    message.skeletons[0].positions = message.skeletons[0].positions[:-3]


def no_id(message: SkeletonArray) -> None:
    message.skeletons[0].id = ''


def wrong_confidence(message: SkeletonArray) -> None:
    message.skeletons[0].confidence = [1.0, 1.0]


def all_missing(message: SkeletonArray) -> None:
    message.skeletons[0].positions = [float('nan')] * 66


def infinite(message: SkeletonArray) -> None:
    message.skeletons[0].positions = [float('inf')] * 66


def huge(message: SkeletonArray) -> None:
    message.skeletons[0].positions = [1e30] * 66


def no_confidence(message: SkeletonArray) -> None:
    message.skeletons[0].confidence = [float('nan')] * 22


def unmappable(message: SkeletonArray) -> None:
    message.layout, message.joint_names = 'robot', [f'motor{i}' for i in range(22)]


def unknown_layout(message: SkeletonArray) -> None:
    message.layout, message.joint_names = 'robot', []


def joints_twice(message: SkeletonArray) -> None:
    message.joint_names = ['pelvis'] * 22


def ten_thousand_joints(message: SkeletonArray) -> None:
    message.joint_names = [f'joint{i}' for i in range(10_000)]
    message.skeletons[0].positions = [0.0] * 30_000


def no_stamp(message: SkeletonArray) -> None:
    message.header.stamp.sec, message.header.stamp.nanosec = 0, 0


def before_time(message: SkeletonArray) -> None:
    message.header.stamp.sec = -5


def from_the_future(message: SkeletonArray) -> None:
    message.header.stamp.sec += 3600


def optical(message: SkeletonArray) -> None:
    message.header.frame_id = 'camera_depth_optical_frame'


def a_thousand_times_the_same_id(message: SkeletonArray) -> None:
    message.skeletons = [message.skeletons[0]] * 1000


BAD = [
    wrong_joint_count,
    no_id,
    wrong_confidence,
    all_missing,
    infinite,
    huge,
    no_confidence,
    unmappable,
    unknown_layout,
    joints_twice,
    ten_thousand_joints,
    no_stamp,
    before_time,
    from_the_future,
    optical,
    a_thousand_times_the_same_id,
]


@pytest.mark.parametrize('spoil', BAD, ids=lambda spoil: spoil.__name__)
def test_bad_input_is_rejected_counted_and_forgotten(cell: Any, walker: Any, spoil: Any) -> None:
    """One bad message in a good stream is rejected and has no other effect."""
    person = spoil.__name__
    cell.wait_for(lambda: cell.diagnostics, 'diagnostics')
    before = sum(cell.rejections().values())
    place = cell.stream({person: walker}, seconds=0.8)
    bad = cell.message({person: walker[place % len(walker)]})
    spoil(bad)
    cell.publish(bad)
    cell.received.clear()
    cell.stream({person: walker}, seconds=0.4, start=place)
    cell.wait_for(lambda: cell.predictions(person), 'the prediction goes on')
    assert all(np.isfinite(np.array(p.mean)).all() for p in cell.predictions(person))
    cell.diagnostics.clear()
    cell.wait_for(lambda: sum(cell.rejections().values()) > before, 'it was counted')


def test_layouts_in_another_order_are_mapped_by_name(cell: Any, walker: Any) -> None:
    order = np.random.default_rng(0).permutation(22)
    names = [known_layouts()['smpl22'].joint_names[joint] for joint in order]
    for pose in walker[: 2 * 45 : 2]:
        message = cell.message({'shuffled': pose[order]})
        message.joint_names, message.layout = names, ''
        cell.publish(message)
        cell.spin(1 / 30)
    cell.wait_for(lambda: cell.predictions('shuffled'), 'a prediction')
    mean = np.array(cell.predictions('shuffled')[-1].mean).reshape(FRAMES, JOINTS, 3)
    assert np.linalg.norm(walker[:120] - mean[0], axis=-1).mean(-1).min() < 0.1


def test_human36m_skeletons_are_mapped(cell: Any, walker: Any) -> None:
    h36m17 = known_layouts()['h36m17']
    smpl22 = known_layouts()['smpl22']
    clip = JointMap.between(common_names_of(smpl22.joint_names, smpl22), h36m17)(walker)
    for pose in clip[: 2 * 45 : 2]:
        cell.publish(cell.message({'h36m': pose}, layout=h36m17))
        cell.spin(1 / 30)
    cell.wait_for(lambda: cell.predictions('h36m'), 'a prediction')


def test_a_change_of_frame_restarts_everyone(cell: Any, walker: Any) -> None:
    cell.stream({'moved': walker}, seconds=0.8)
    cell.wait_for(lambda: cell.predictions('moved'), 'a prediction')
    cell.received.clear()
    for pose in walker[48:78:2]:  # until the old frame is no longer in use
        message = cell.message({'moved': pose})
        message.header.frame_id = 'odom'
        cell.publish(message)
        cell.spin(1 / 30)
    cell.wait_for(lambda: any(m.header.frame_id == 'odom' for m in cell.received), 'the new frame')
    changed = next(m for m in cell.received if m.header.frame_id == 'odom')
    assert changed.motions[0].status == WARMING_UP
    assert (changed.status, changed.unlisted) == (STALE, 1)


def test_observations_that_are_too_old_are_not_passed_off_as_fresh(cell: Any, walker: Any) -> None:
    late_ns = 700_000_000
    for pose in walker[: 2 * 40 : 2]:
        now_ns = cell.get_clock().now().nanoseconds
        cell.publish(cell.message({'late': pose}, stamp_ns=now_ns - late_ns))
        cell.spin(1 / 30)
    cell.wait_for(lambda: cell.statuses('late'), 'the person is listed')
    assert cell.statuses('late') == {STALE}
    assert not cell.predictions('late')


def test_diagnostics_tell_rates_ages_and_the_model(cell: Any, walker: Any) -> None:
    cell.stream({'watched': walker}, seconds=2.5)
    cell.diagnostics.clear()
    cell.stream({'watched': walker}, seconds=1.5, start=150)
    cell.wait_for(lambda: cell.diagnostics, 'diagnostics')
    shown = [
        {pair.key: pair.value for pair in message.status[0].values} for message in cell.diagnostics
    ]
    assert any(float(values['input rate (Hz)']) > 10 for values in shown)
    values = shown[-1]
    assert values['model'].startswith('default@')
    for stage in ('age at arrival', 'inference', 'publish', 'message to message'):
        p50, p99, top = map(float, values[f'{stage} p50 / p99 / max (ms)'].split('/'))
        assert 0 <= p50 <= p99 <= top


def test_statuses_are_the_same_in_both_messages() -> None:
    for name in Status.__members__:
        assert (
            getattr(PredictedMotion, name) == getattr(PredictedMotionArray, name) == Status[name]
        )
