"""Between processes: no message says OK with an empty list while somebody may be there."""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from rclpy.qos import qos_profile_sensor_data

from motion_predictor.archive import MotionArchive
from motion_predictor.msg import PredictedMotionArray, SkeletonArray

OK, STALE = PredictedMotionArray.OK, PredictedMotionArray.STALE_INPUT
FORGET_S = 1.0
RATE_HZ = 30
PATIENCE_S = 30.0


@pytest.fixture
def pose(bundled: MotionArchive) -> Any:
    return bundled.clip(0)[0]


@pytest.fixture
def cell(predictor: Any, planner: Any) -> Any:
    """A planner beside a running predictor that has forgotten everybody."""
    planner.wait_for_node()
    planner.wait_for(lambda: planner.received, 'the predictor publishes')
    planner.received.clear()
    empty_until_nobody(planner)  # the predictor then has forgotten the people of earlier tests
    planner.received.clear()
    return planner


def said(cell: Any) -> list[str]:
    """Return the messages of all received diagnostics."""
    return [status.message for message in cell.diagnostics for status in message.status]


def says_nobody(message: PredictedMotionArray) -> bool:
    return message.status == OK and not message.motions


def is_untrue(cell: Any, message: PredictedMotionArray) -> bool:
    """Return whether a message says nobody is there although somebody was just reported."""
    stamp = message.header.stamp
    stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
    return says_nobody(message) and any(
        0 <= stamp_ns - spoken_ns < FORGET_S * 1e9 for spoken_ns in cell.spoken_ns
    )


def empty_until_nobody(cell: Any) -> None:
    """Publish empty messages until the predictor says that nobody is there."""
    for _ in range(round(RATE_HZ * PATIENCE_S)):
        cell.publish(cell.message({}))
        cell.spin(1 / RATE_HZ)
        if any(says_nobody(message) for message in cell.received):
            return
    pytest.fail(f'nobody is there, and that is not said: {cell.received[-3:]}')


def play(
    cell: Any, seconds: float, make: Callable[[int], list[SkeletonArray]], remark: str = ''
) -> None:
    """Publish the messages that `make` returns for each step, and check all answers.

    Publishing lasts for `seconds`, and longer if the diagnostics have not yet had the remark.
    """
    cell.spin(0.1)
    cell.received.clear()
    cell.diagnostics.clear()
    for step in range(round(RATE_HZ * PATIENCE_S)):
        heard = not remark or any(remark in message for message in said(cell))
        if step >= RATE_HZ * seconds and heard:
            break
        for message in make(step):
            cell.publish(message)
        cell.spin(1 / RATE_HZ)
    assert cell.received
    assert heard, said(cell)
    assert not [message for message in cell.received if is_untrue(cell, message)]
    for message in cell.received:
        for motion in message.motions:
            assert np.isfinite(motion.place).all()
            assert 0 < motion.reach < 100
            assert len(motion.last_pose) == 66
            assert motion.last_seen.sec > 0


def moved(pose: Any, step: int) -> Any:
    return pose + np.float32([0.002 * step, 0, 0])


def in_frame(message: SkeletonArray, frame: str) -> SkeletonArray:
    message.header.frame_id = frame
    return message


def test_one_empty_message_of_another_frame_clears_nobody(cell: Any, pose: Any) -> None:
    cell.publish(cell.message({'a': pose}))
    play(cell, 0.6, lambda step: [in_frame(cell.message({}), 'odom')])


def test_two_cameras_with_frames_of_their_own(cell: Any, pose: Any) -> None:
    play(
        cell,
        1.5,
        lambda step: [
            cell.message({}),
            in_frame(cell.message({'a': moved(pose, step)}), 'camera'),
        ],
        remark="in the frames 'camera' and 'map'",
    )
    assert {message.status for message in cell.received[2:]} == {STALE}


def unreadable(message: SkeletonArray) -> SkeletonArray:
    message.skeletons[0].positions = [float('nan')] * 66
    return message


def refused(message: SkeletonArray) -> SkeletonArray:
    message.layout, message.joint_names = 'robot', [f'motor{i}' for i in range(22)]
    return message


def from_the_future(message: SkeletonArray) -> SkeletonArray:
    message.header.stamp.sec += 3600
    return message


def nameless(message: SkeletonArray) -> SkeletonArray:
    message.skeletons[0].id = ''
    return message


@pytest.mark.parametrize('spoil', [unreadable, refused, from_the_future, nameless])
def test_whoever_is_unreadable_in_every_other_message_is_there(
    cell: Any, pose: Any, spoil: Callable[[SkeletonArray], SkeletonArray]
) -> None:
    play(
        cell,
        1.0,
        lambda step: [
            cell.message({}) if step % 2 else spoil(cell.message({'a': moved(pose, step)}))
        ],
    )
    assert {message.status for message in cell.received[2:]} == {STALE}


def test_two_publishers_of_which_the_later_one_sees_somebody(cell: Any, pose: Any) -> None:
    second = cell.create_publisher(SkeletonArray, 'skeletons', qos_profile_sensor_data)

    def make(step: int) -> list[SkeletonArray]:
        late_ns = cell.get_clock().now().nanoseconds - 100_000_000
        second.publish(cell.message({'a': moved(pose, step)}, stamp_ns=late_ns))
        cell.spoken_ns.append(cell.get_clock().now().nanoseconds)
        return [cell.message({})]

    cell.spin(0.3)  # until the predictor has discovered the second publisher
    play(cell, 1.5, make, remark='2 publishers')
    cell.destroy_publisher(second)


def test_a_frozen_tracker_and_then_its_first_empty_message(cell: Any, pose: Any) -> None:
    play(cell, 1.5, lambda step: [cell.message({'a': pose})])
    play(cell, 0.7, lambda step: [cell.message({})])


def test_one_who_is_frozen_while_another_moves_is_stale(cell: Any, pose: Any) -> None:
    beside = pose + np.float32([0, 3, 0])
    play(cell, 2.0, lambda step: [cell.message({'a': moved(pose, step), 'b': beside})])
    said = [{motion.id: motion.status for motion in m.motions} for m in cell.received]
    assert {'a': OK, 'b': STALE} in said


def test_whoever_was_there_before_the_node_was_deactivated_may_still_be(
    cell: Any, pose: Any
) -> None:
    cell.publish(cell.message({'a': pose}))
    cell.spin(0.2)
    assert cell.transition('deactivate')
    assert cell.transition('activate')
    cell.received.clear()
    cell.publish(cell.message({}))
    cell.spin(0.2)
    assert cell.received and not [m for m in cell.received if is_untrue(cell, m)]


def of_no_joints(message: SkeletonArray) -> SkeletonArray:
    message.skeletons[0].positions = []
    return message


def in_millimetres(message: SkeletonArray) -> SkeletonArray:
    message.skeletons[0].positions = [1000 * p for p in message.skeletons[0].positions]
    return message


def long_ago(message: SkeletonArray) -> SkeletonArray:
    message.header.stamp.sec -= 3600
    return message


def a_little_ago(message: SkeletonArray) -> SkeletonArray:
    message.header.stamp.sec -= 1
    return message


def at_time_zero(message: SkeletonArray) -> SkeletonArray:
    message.header.stamp.sec = message.header.stamp.nanosec = 0
    return message


def in_another_frame(message: SkeletonArray) -> SkeletonArray:
    return in_frame(message, 'camera')


def far_away(message: SkeletonArray) -> SkeletonArray:
    message.skeletons[0].positions = [p + 1e6 for p in message.skeletons[0].positions]
    return message


def twice(message: SkeletonArray) -> SkeletonArray:
    message.skeletons = [*message.skeletons, *message.skeletons]
    return message


def unchanged(message: SkeletonArray) -> SkeletonArray:
    return message


SPOILT = [
    *(unreadable, refused, from_the_future, nameless, of_no_joints, in_millimetres, long_ago),
    *(a_little_ago, at_time_zero, in_another_frame, far_away, twice, unchanged, unchanged),
]


@pytest.mark.parametrize('seed', range(int(os.environ.get('PRESENCE_SEEDS', '1'))))
def test_random_sequences_of_all_that_goes_wrong(cell: Any, pose: Any, seed: int) -> None:
    """PRESENCE_SEEDS=20 plays 20 other sequences of some seconds each."""
    random = np.random.default_rng(seed)
    second = cell.create_publisher(SkeletonArray, 'skeletons', qos_profile_sensor_data)
    last = cell.message({'a': pose})

    def make(step: int) -> list[SkeletonArray]:
        nonlocal last
        if step % 10 == 0:  # another fault every third of a second
            make.how = [SPOILT[i] for i in random.integers(len(SPOILT), size=2)]
            make.who = random.choice(list('abcd'), size=random.integers(0, 4)).tolist()
        messages = []
        for how in make.how if random.random() < 0.7 else [unchanged]:
            people = {p: moved(pose, step) + np.float32([0, ord(p) % 7, 0]) for p in make.who}
            message = cell.message(people if random.random() < 0.6 else {})
            last = how(message) if message.skeletons else message
            messages.append(last)
        if random.random() < 0.1:
            messages.append(last)  # the same message once more
        if random.random() < 0.2:
            late_ns = cell.get_clock().now().nanoseconds - 50_000_000
            second.publish(cell.message({'e': moved(pose, step)}, stamp_ns=late_ns))
            cell.spoken_ns.append(cell.get_clock().now().nanoseconds)
        return messages

    play(cell, 6.0, make)
    cell.destroy_publisher(second)
    cell.received.clear()
    empty_until_nobody(cell)


def test_nobody_is_there_once_nobody_was_spoken_of_for_a_while(cell: Any, pose: Any) -> None:
    seen_s = time.monotonic()
    cell.publish(cell.message({'a': pose}))
    cell.spin(0.2)
    cell.received.clear()
    empty_until_nobody(cell)
    assert time.monotonic() - seen_s >= FORGET_S
