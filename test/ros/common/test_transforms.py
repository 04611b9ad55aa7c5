"""Input that tf transforms: from frames of cameras and robots, and from frames that move."""

import math
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from rclpy.node import Node
from reading import (
    NOW_NS,
    OPTICAL,
    SMPL,
    FakeTf2,
    FloatArray,
    message_in,
    opened,
    seen_by_camera,
    skeleton_input,
)

from motion_predictor.ros.common.transforms import FixedFrame, Transform
from motion_predictor.ros.node.reader import SkeletonInput
from motion_predictor.ros.node.stamps import Stamps
from motion_predictor.skeleton import known_layouts
from motion_predictor.sources.source import InputError


def test_input_is_transformed_as_tf_says_for_the_time_of_capture(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='map')
    tf2.known['camera_optical_frame'] = OPTICAL
    stamp_ns = NOW_NS - 70_000_000
    seen = seen_by_camera(stride)
    scan = reader.read(message_in('camera_optical_frame', seen, stamp_ns), NOW_NS)
    assert scan is not None and scan.frame_id == 'map'
    assert tf2.asked == [('map', 'camera_optical_frame', stamp_ns)]
    np.testing.assert_allclose(scan.observations[0].positions, stride, atol=1e-5)


def test_a_transform_that_is_about_to_come_is_waited_for(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='map')
    tf2.known['camera'] = OPTICAL
    tf2.late = 1
    assert reader.read(message_in('camera', stride), NOW_NS) is not None
    assert len(tf2.asked) == 2


def test_people_of_a_message_that_is_refused_are_counted(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='cell')
    message = message_in('camera', stride)
    for people in (1, 2, 0):
        message.skeletons = people * message_in('camera', stride).skeletons
        with pytest.raises(InputError) as caught:
            reader.read(message, NOW_NS)
        assert caught.value.people == people


def test_what_a_source_repeats_is_known_again_whatever_tf_says(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='cell')
    said = []
    for x in (0.0, 0.5):
        tf2.known['camera_optical_frame'] = (x, *OPTICAL[1:])
        scan = reader.read(message_in('camera_optical_frame', stride), NOW_NS)
        assert scan is not None
        said.append(scan.observations[0])
    assert said[0].sent == said[1].sent != b''
    assert (said[0].positions != said[1].positions).any()


def test_an_empty_message_without_a_frame_says_nothing_of_the_frame(stride: FloatArray) -> None:
    reader = skeleton_input()
    for frame_id in ('map', ''):
        message = message_in(frame_id, stride)
        if not frame_id:
            message.skeletons = []
        scan = reader.read(message, NOW_NS)
        assert scan is not None and scan.frame_id == 'map'


def test_without_a_transform_nobody_is_read_rather_than_nobody_seen(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='cell')
    with pytest.raises(InputError) as caught:
        reader.read(message_in('camera_optical_frame', stride), NOW_NS)
    assert "'cell', and tf has no transform between them: \"camera_optical" in str(caught.value)
    assert '\n' not in str(caught.value)
    empty = message_in('camera_optical_frame', stride)
    empty.skeletons = []
    with pytest.raises(InputError):
        reader.read(empty, NOW_NS)


def test_tf_is_listened_to_only_if_it_is_needed_and_cleared_when_time_jumps(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='map')
    reader.read(message_in('map', stride), NOW_NS)
    reader.clear()
    reader.close()
    assert not tf2.asked and not tf2.cleared and not tf2.unregistered
    tf2.known['camera'] = OPTICAL
    reader.read(message_in('camera', stride), NOW_NS)
    reader.clear()
    reader.close()
    assert (tf2.cleared, tf2.unregistered) == (1, 1)


def turned_by(angle: float, x: float = 0.0) -> tuple[float, ...]:
    """Return the transform of a robot at x that is turned by an angle about z."""
    return (x, 0.0, 0.0, 0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2))


def read_for(
    reader: SkeletonInput, tf2: FakeTf2, frame_id: str, pose: FloatArray, places: list[Any]
) -> list[str]:
    """Read one message for each place of the frame. Return the refusal of each message, or ''."""
    refusals = []
    for step, place in enumerate(places):
        now_ns = NOW_NS + step * 33_000_000
        tf2.known[frame_id] = place
        tf2.newest_ns = now_ns
        refusal = ''
        try:
            reader.read(message_in(frame_id, pose, now_ns), now_ns)
        except InputError as error:
            refusal = str(error)
            assert error.people == 1
        refusals.append(refusal)
    return refusals


@pytest.mark.parametrize('fixed_frame', ['', 'base_link'])
@pytest.mark.parametrize('moving', [lambda t: turned_by(t), lambda t: turned_by(0, 0.2 * t)])
def test_a_frame_that_moves_is_refused_and_the_fixed_one_named(
    tf2: FakeTf2, node: Node, stride: FloatArray, fixed_frame: str, moving: Callable[..., Any]
) -> None:
    reader, _ = opened(node, fixed_frame=fixed_frame)
    rests = [turned_by(0.3)] * 20
    moves = [moving(0.033 * step) for step in range(40)]
    rests_again = [moves[-1]] * 60
    refused = read_for(reader, tf2, 'base_link', stride, rests + moves + rests_again)
    assert not any(refused[:20])
    assert all(refused[26:60]), 'after a fifth of a second'
    assert "frame 'base_link' moves in 'odom'" in refused[40]
    assert "set fixed_frame to 'odom'" in refused[40]
    assert refused[70] and not refused[-1]


def test_a_frame_that_moves_is_compensated_in_a_fixed_one(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, fixed_frame='odom')
    assert not any(
        read_for(reader, tf2, 'base_link', stride, [turned_by(0.03 * i) for i in range(40)])
    )
    assert not reader.footing.doubt


@pytest.mark.parametrize('frame_id', ['map', 'odom', 'robot1/odom', 'world'])
def test_nobody_asks_whether_a_fixed_frame_moves(
    tf2: FakeTf2, node: Node, stride: FloatArray, frame_id: str
) -> None:
    reader, _ = opened(node)
    assert reader.read(message_in(frame_id, stride), NOW_NS) is not None
    assert not tf2.asked and not reader.footing.doubt


def test_that_nobody_knows_whether_a_frame_moves_is_said(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node)
    reader.read(message_in('camera', stride), NOW_NS)
    assert "frame 'camera' of the input may move" in reader.footing.doubt


def test_the_robots_place_is_that_of_its_frame(
    tf2: FakeTf2, node: Node, stride: FloatArray
) -> None:
    reader, _ = opened(node, robot_frame='base_link')
    reader.read(message_in('map', stride), NOW_NS)
    with pytest.raises(InputError, match="robot_frame 'base_link' to 'map'"):
        reader.robot_place('base_link', NOW_NS)
    for x in (1.0, 4.0):
        tf2.known['base_link'] = turned_by(0.5, x)
        assert reader.robot_place('base_link', NOW_NS) == [x, 0.0, 0.0]
    with pytest.raises(InputError):
        reader.robot_place('base_link', NOW_NS + 3_000_000_000)


def test_a_robots_frame_needs_tf(node: Node) -> None:
    with pytest.raises(InputError, match='robot_frame needs tf'):
        opened(node, robot_frame='base_link')


@pytest.mark.parametrize(('ages_ms', 'doubted'), [((0.3, 1.5), True), ((15.0, 90.0), False)])
def test_stamps_of_sending_are_told_from_those_of_capture(
    ages_ms: tuple[float, float], doubted: bool
) -> None:
    stamps = Stamps()
    for age_ms in np.random.default_rng(0).uniform(*ages_ms, 200):
        stamps.see(age_ms)
    assert ('time of sending' in stamps.doubt()) == doubted


def test_bodies_of_ros4hri_are_read_from_tf(
    tf2: FakeTf2,
    node: Node,
    stride: FloatArray,
    monkeypatch: pytest.MonkeyPatch,
    make_message: Callable[..., Any],
    make_header: Callable[..., Any],
) -> None:
    messages = ModuleType('hri_msgs.msg')
    messages.IdsList = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'hri_msgs', ModuleType('hri_msgs'))
    monkeypatch.setitem(sys.modules, 'hri_msgs.msg', messages)
    reader, kind = opened(node, input_type='ros4hri', fixed_frame='cell')
    assert kind is object and reader.is_sampled and reader.topic == '/humans/bodies/tracked'
    places = dict(zip(SMPL.joint_names, stride.tolist(), strict=True))
    places |= {'body': ((stride[1] + stride[2]) / 2).tolist(), 'waist': [0.0] * 3}
    for joint in known_layouts()['rep155'].joint_names:
        tf2.known[f'{joint}_a1'] = (*places.get(joint, (0.0, 0.0, 0.0)), 0.0, 0.0, 0.0, 1.0)
    ids = make_message('hri_msgs/msg/IdsList', header=make_header(99.9), ids=['a1'])
    assert reader.read(ids, NOW_NS) is None
    scan = reader.sample(NOW_NS)
    assert scan is not None and (scan.stamp_ns, scan.frame_id) == (NOW_NS, 'cell')
    found = dict(zip(SMPL.joint_names, scan.observations[0].positions, strict=True))
    for joint in ('l_wrist', 'r_ankle', 'head'):
        np.testing.assert_allclose(found[joint], places[joint], atol=1e-6)
    np.testing.assert_allclose(found['pelvis'], places['pelvis'], atol=0.05)
    assert reader.sample(NOW_NS) is None, 'nothing new'


def test_a_refusal_is_one_line_whatever_the_frame_is_called() -> None:
    frame = FixedFrame('cell', Transform.of(OPTICAL))
    with pytest.raises(InputError, match='^skeletons come in frame [^\n]*$'):
        for name in ('camera', 'a\nb'):
            frame.transform(name, NOW_NS, False)
