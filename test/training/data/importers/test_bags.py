"""Import of bags with skeletons of this package, and refusals of bags of any kind."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer

from motion_predictor.archive import load_archive
from motion_predictor.skeleton import known_layouts

SMPL22 = known_layouts()['smpl22']
FloatArray = NDArray[np.float32]


@pytest.mark.parametrize('storage', [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_skeletons_of_a_bag(
    tmp_path: Path,
    out: Path,
    standing: FloatArray,
    storage: StoragePlugin,
    prepare: Callable[..., str],
    skeletons: Callable[..., Any],
    write_bag: Callable[..., Path],
) -> None:
    messages = []
    for stamp in [*np.arange(1, 2, 0.05), 1.5, *np.arange(3, 3.5, 0.05), 3.2]:
        people = {'ann': standing + np.float32([stamp, 0, 0])}
        if stamp < 1.4:
            people['bob'] = standing + np.float32([0, 2, stamp])
        messages.append(skeletons(stamp, people))
    messages.append(skeletons(3.46, {}))
    bag = write_bag(tmp_path / 'shift_1', messages, storage)
    summary = prepare('rosbag', bag, '--out', out, '--rate-hz', 50)
    assert '3 clips' in summary and '2 out-of-order frames dropped' in summary
    made = load_archive(out)
    assert made.rate_hz == 50 and made.layout.name == 'smpl22' and made.valid is None
    assert made.subjects == ('shift_1/ann', 'shift_1/ann', 'shift_1/bob')
    for clip, start, end in ((0, 1, 1.95), (1, 3, 3.45)):
        count = round((end - start) * 50 - 0.01) + 1
        assert len(made.clip(clip)) == count
        expected = standing + np.arange(count)[:, None, None] / 50 * [1, 0, 0] + [start, 0, 0]
        np.testing.assert_allclose(made.clip(clip), expected, atol=0.0002)
    np.testing.assert_allclose(made.clip(2)[0], standing + [0, 2, 1], atol=0.0002)


def test_a_bag_without_definitions_is_read_with_the_installed_ones(
    tmp_path: Path,
    out: Path,
    standing: FloatArray,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[..., str],
    refused: Callable[..., str],
    skeletons: Callable[..., Any],
    write_bag: Callable[..., Path],
) -> None:
    messages = [skeletons(1 + n / 30, {'ann': standing}) for n in range(5)]
    bag = write_bag(tmp_path / 'bag', messages)
    with contextlib.closing(sqlite3.connect(bag / 'bag.db3')) as database, database:
        database.execute('DELETE FROM message_definitions')
    prepare('rosbag', bag, '--out', out)
    np.testing.assert_allclose(load_archive(out).clip(0)[0], standing, atol=0.00013)
    monkeypatch.delenv('AMENT_PREFIX_PATH')
    sentence = refused('rosbag', bag, '--out', out.with_name('other.npz'))
    assert str(bag) in sentence and 'SkeletonArray' in sentence


def test_messages_of_ros_itself(
    tmp_path: Path,
    out: Path,
    standing: FloatArray,
    prepare: Callable[..., str],
    column: Callable[..., FloatArray],
    bag_types: Any,
) -> None:
    serialization = pytest.importorskip('rclpy.serialization')
    messages = pytest.importorskip('motion_predictor.msg')
    kind = 'motion_predictor/msg/SkeletonArray'
    with Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/skeletons', kind, typestore=bag_types)
        for number in range(4):
            pose = standing + np.float32([number / 30, 0, 0])
            message = messages.SkeletonArray(layout='smpl22')
            message.header.frame_id = 'map'
            message.header.stamp.sec, message.header.stamp.nanosec = 5, number * 33_333_333
            message.skeletons.append(messages.Skeleton(id='ann', positions=pose.ravel().tolist()))
            writer.write(connection, number, serialization.serialize_message(message))
    prepare('rosbag', tmp_path / 'bag', '--rate-hz', 30, '--out', out)
    made = load_archive(out)
    assert made.layout.name == 'smpl22' and len(made.clip(0)) == 4
    np.testing.assert_allclose(column(made, 'pelvis')[:, 0], np.arange(4) / 30, atol=2e-4)


def test_joints_missing_in_a_bag_are_masked(
    tmp_path: Path,
    out: Path,
    standing: FloatArray,
    prepare: Callable[..., str],
    skeletons: Callable[..., Any],
    write_bag: Callable[..., Path],
) -> None:
    wrist, knee = (SMPL22.joint_names.index(name) for name in ('l_wrist', 'r_knee'))
    messages = []
    for number in range(10):
        pose = standing.copy()
        if number in (4, 5):
            pose[wrist] = np.nan
        confidence = np.ones(22, np.float32)
        confidence[knee] = 0.2
        messages.append(skeletons(1 + number / 10, {'ann': pose}, confidence=confidence))
    bag = write_bag(tmp_path / 'bag', messages)
    prepare('rosbag', bag, '--out', out, '--rate-hz', 20, '--min-confidence', 0.5)
    made = load_archive(out)
    missing = np.isnan(made.clip(0)).any(axis=-1)
    assert missing[:, knee].all()
    # Frames 4 and 5 lack the wrist. So do the resampled frames between frames 3 and 6.
    np.testing.assert_array_equal(np.flatnonzero(missing[:, wrist]), [7, 8, 9, 10, 11])
    assert missing.sum() == len(missing) + 5
    assert made.valid is not None and (made.positions[~made.valid] == 0).all()


def test_joints_of_a_bag_are_mapped(
    tmp_path: Path,
    out: Path,
    standing: FloatArray,
    prepare: Callable[..., str],
    column: Callable[..., FloatArray],
    skeletons: Callable[..., Any],
    write_bag: Callable[..., Path],
) -> None:
    names = ['LeftHip', 'RightHip', 'LeftShoulder', 'RightShoulder', 'Head']
    own = ['l_hip', 'r_hip', 'l_shoulder', 'r_shoulder', 'head']
    pose = standing[[SMPL22.joint_names.index(name) for name in own]]
    messages = [skeletons(1 + n / 30, {'7': pose}, layout='', joint_names=names) for n in range(5)]
    bag = write_bag(tmp_path / 'bag', messages)
    prepare('rosbag', bag, '--out', out)
    made = load_archive(out)
    assert made.joint_names == tuple(names) and made.parents == (-1, 0, 0, 0, 0)
    mapped = out.with_name('mapped.npz')
    prepare('rosbag', bag, '--out', mapped, '--layout', 'smpl22')
    made = load_archive(mapped)
    np.testing.assert_allclose(column(made, 'r_hip')[0], pose[1], atol=0.0002)
    neck = 1.1 * pose[2:4].mean(0) - 0.1 * pose[:2].mean(0)
    np.testing.assert_allclose(column(made, 'neck')[0], neck, atol=0.0002)
    pelvis = 0.83 * pose[:2].mean(0) + 0.17 * neck
    np.testing.assert_allclose(column(made, 'pelvis')[0], pelvis, atol=0.0002)
    assert np.isnan(column(made, 'l_wrist')).all()


def test_bag_refusals(
    tmp_path: Path,
    out: Path,
    standing: FloatArray,
    azure: FloatArray,
    refused: Callable[..., str],
    make_header: Callable[..., Any],
    skeletons: Callable[..., Any],
    markers: Callable[..., Any],
    write_bag: Callable[..., Path],
) -> None:
    count = 0

    def sentence(messages: list[Any], *words: object) -> str:
        nonlocal count
        count += 1
        bag = write_bag(tmp_path / f'bag{count}', messages)
        text = refused('rosbag', bag, '--out', out, *words)
        assert str(bag) in text
        return text

    def two(**more: Any) -> list[Any]:
        return [skeletons(stamp, {'a': standing}, **more) for stamp in (1.0, 1.1)]

    assert 'camera_optical_frame' in (text := sentence(two(frame='camera_optical_frame')))
    assert '--optical' in text and '--rotation' in text
    assert "layout '' is unknown" in sentence(two(layout='', joint_names=[]))
    assert '2 x wrong number of positions' in sentence(two(joint_names=['a', 'b', 'c']))
    assert 'stamp is not set' in sentence([skeletons(0, {'a': standing})])
    assert 'is seen twice within' in sentence([skeletons(1, {'a': standing})])
    assert 'has nobody' in sentence([skeletons(1, {})])
    assert "from 'map' to 'odom'" in sentence([*two(), skeletons(1.2, {'a': standing}, 'odom')])
    assert 'changes its joints' in sentence(
        [*two(), skeletons(1.2, {'a': standing[:2]}, joint_names=['x', 'y'])]
    )
    assert 'no subject cyd' in sentence(two(), '--subjects', 'cyd')
    assert 'none of the joints' in sentence(
        [
            skeletons(t, {'a': standing[:2]}, layout='', joint_names=['tail', 'fin'])
            for t in (1.0, 1.1)
        ],
        '--layout', 'smpl22',
    )  # fmt: skip
    other = markers(1.0, {1: azure})
    other.markers[0].id = 157
    assert '1 x joint number out of range' in sentence([other])
    text = sentence([make_header(1, 'map')])
    assert 'no topic of motion_predictor/msg/SkeletonArray' in text and 'std_msgs' in text
    bag = write_bag(tmp_path / 'fine', two())
    assert 'with different names' in refused(
        'rosbag',
        write_bag(tmp_path / 'twice', two(layout='', joint_names=['a'] * 22)),
        '--out',
        out,
    )
    assert 'not a quaternion' in refused('rosbag', bag, '--out', out, '--rotation', 0, 0, 0, 0)
    nowhere = [skeletons(t, {'a': standing * np.float32('nan')}) for t in (1.0, 1.1)]
    empty = write_bag(tmp_path / 'empty', nowhere)
    assert 'was measured' in refused('rosbag', empty, '--out', out)
    assert 'no /other of' in refused('rosbag', bag, '--out', out, '--topic', '/other')
    assert 'there is no bag' in refused('rosbag', tmp_path / 'none', '--out', out)
    (bag / 'fine.db3').write_bytes(b'no database')
    assert 'not a readable rosbag2' in refused('rosbag', bag, '--out', out)
    (bag / 'metadata.yaml').unlink()
    assert 'not a readable rosbag2' in refused('rosbag', bag, '--out', out)


def test_a_bag_with_several_topics(
    tmp_path: Path,
    out: Path,
    standing: FloatArray,
    prepare: Callable[..., str],
    refused: Callable[..., str],
    skeletons: Callable[..., Any],
    bag_types: Any,
) -> None:
    with Writer(tmp_path / 'bag', version=9) as writer:
        for number, topic in enumerate(('/left', '/right')):
            kind = 'motion_predictor/msg/SkeletonArray'
            connection = writer.add_connection(topic, kind, typestore=bag_types)
            for stamp in (1.0, 1.1):
                message = skeletons(stamp, {topic: standing + np.float32([number, 0, 0])})
                writer.write(connection, int(stamp * 1e9), bag_types.serialize_cdr(message, kind))
    assert '/left' in refused('rosbag', tmp_path / 'bag', '--out', out)
    prepare('rosbag', tmp_path / 'bag', '--topic', '/right', '--out', out)
    assert load_archive(out).subjects == ('bag//right',)


def test_a_broken_message_costs_only_itself(
    tmp_path: Path,
    out: Path,
    standing: FloatArray,
    prepare: Callable[..., str],
    skeletons: Callable[..., Any],
    write_bag: Callable[..., Path],
) -> None:
    messages = [skeletons(1 + n / 30, {'ann': standing}) for n in range(9)]
    messages[4].header.stamp.sec = 0
    messages[4].header.stamp.nanosec = 0
    summary = prepare('rosbag', write_bag(tmp_path / 'bag', messages), '--out', out)
    assert '1 x header.stamp is not set' in summary
