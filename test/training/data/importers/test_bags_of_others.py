"""Import of bags from the Azure Kinect, ZED cameras, motion capture, and of poses and points."""

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
storages = pytest.mark.parametrize('storage', [StoragePlugin.SQLITE3, StoragePlugin.MCAP])


@storages
def test_azure_kinect_markers(
    tmp_path: Path,
    out: Path,
    azure: FloatArray,
    storage: StoragePlugin,
    prepare: Callable[..., str],
    refused: Callable[..., str],
    column: Callable[..., FloatArray],
    markers: Callable[..., Any],
    write_bag: Callable[..., Path],
) -> None:
    messages = []
    for number in range(8):
        pose = azure.copy()
        if number == 3:
            pose[14] = np.nan
        messages.append(markers(1 + number / 15, {1: pose, 12: pose + np.float32([1, 0, 0])}))
    bag = write_bag(tmp_path / 'kinect', messages, storage, topic='/body_tracking_data')
    sentence = refused('rosbag', bag, '--out', out)
    assert 'depth_camera_link' in sentence and '--optical' in sentence
    prepare('rosbag', bag, '--out', out, '--optical', '--rate-hz', 15)
    made = load_archive(out)
    assert made.layout.name == 'azure32' and made.subjects == ('kinect/1', 'kinect/12')
    np.testing.assert_allclose(column(made, 'PELVIS')[0], [2.5, 0, 0], atol=2e-4)
    np.testing.assert_allclose(column(made, 'NECK')[0], [2.5, 0, 0.6], atol=2e-4)
    np.testing.assert_allclose(column(made, 'HIP_LEFT')[0, :2], [2.5, -0.2], atol=2e-4)
    np.testing.assert_allclose(column(made, 'PELVIS', 1)[0], [2.5, -1, 0], atol=2e-4)
    missing = np.isnan(column(made, 'WRIST_RIGHT')).any(-1)
    np.testing.assert_array_equal(np.flatnonzero(missing), [3])
    turned = out.with_name('turned.npz')
    rotation = ('--rotation', -0.5, 0.5, -0.5, 0.5)
    prepare('rosbag', bag, '--out', turned, '--layout', 'smpl22', *rotation)
    made = load_archive(turned)
    assert made.layout.name == 'smpl22' and not np.isnan(made.clip(0)[0]).any()
    np.testing.assert_allclose(column(made, 'l_hip')[0, :2], [2.5, -0.2], atol=2e-4)


def test_level_markers_need_no_turn(
    tmp_path: Path,
    out: Path,
    azure: FloatArray,
    prepare: Callable[..., str],
    column: Callable[..., FloatArray],
    markers: Callable[..., Any],
    write_bag: Callable[..., Path],
) -> None:
    x, y, z = azure.T
    level = np.stack([z, -x, -y], -1)
    messages = [markers(1 + n / 15, {1: level}, 'map') for n in range(3)]
    prepare('rosbag', write_bag(tmp_path / 'bag', messages), '--out', out)
    np.testing.assert_allclose(column(load_archive(out), 'NECK')[0], [2.5, 0, 0.6], atol=2e-4)


@pytest.fixture
def make_poses(make_message: Any, make_header: Any) -> Any:
    """Builds a PoseArray from seconds and positions."""

    def make(stamp_s: float, places: FloatArray) -> Any:
        poses = [
            make_message('geometry_msgs/msg/Pose', position=make_point(place)) for place in places
        ]
        return make_message(
            'geometry_msgs/msg/PoseArray', header=make_header(stamp_s), poses=poses
        )

    def make_point(place: FloatArray) -> Any:
        x, y, z = map(float, place)
        return make_message('geometry_msgs/msg/Point', x=x, y=y, z=z)

    return make


@storages
def test_poses_of_a_bag(
    tmp_path: Path,
    out: Path,
    walk: FloatArray,
    storage: StoragePlugin,
    bag_types: Any,
    make_poses: Any,
    prepare: Callable[..., str],
    refused: Callable[..., str],
    write_bag: Callable[..., Path],
) -> None:
    messages = [make_poses(1 + n / 30, pose) for n, pose in enumerate(walk)]
    bag = write_bag(tmp_path / 'bag', messages, storage, '/poses', bag_types)
    assert 'give --input-type' in refused('rosbag', bag, '--out', out)
    how = ('--input-type', 'pose_array')
    assert 'needs joint_names' in refused('rosbag', bag, *how, '--out', out)
    how = (*how, '--input-layout', 'smpl22', '--rate-hz', 30)
    prepare('rosbag', bag, *how, '--out', out)
    np.testing.assert_allclose(load_archive(out).clip(0), walk, atol=2e-4)


@storages
def test_points_of_a_bag(
    tmp_path: Path,
    out: Path,
    walk: FloatArray,
    storage: StoragePlugin,
    bag_types: Any,
    make_message: Any,
    make_header: Any,
    prepare: Callable[..., str],
    write_bag: Callable[..., Path],
) -> None:
    types = [('x', np.float32, 7), ('y', np.float32, 7), ('z', np.float32, 7)]
    types += [('joint', np.uint8, 2), ('person', np.uint8, 2)]
    layout = np.dtype([(name, kind) for name, kind, _ in types])
    fields = [
        make_message(
            'sensor_msgs/msg/PointField', name=name, offset=layout.fields[name][1], count=1,
            datatype=number,
        )
        for name, _, number in types
    ]  # fmt: skip
    messages = []
    for number, pose in enumerate(walk):
        points = np.zeros(44, layout)
        for person in (0, 1):
            rows = slice(22 * person, 22 * person + 22)
            points['x'][rows], points['y'][rows], points['z'][rows] = pose.T + person
            points['joint'][rows], points['person'][rows] = np.arange(22), person
        messages.append(
            make_message(
                'sensor_msgs/msg/PointCloud2', header=make_header(1 + number / 30), height=1,
                width=44, fields=fields, point_step=layout.itemsize, row_step=points.nbytes,
                data=np.frombuffer(points.tobytes(), np.uint8),
            )
        )  # fmt: skip
    bag = write_bag(tmp_path / 'bag', messages, storage, '/skeleton_points', bag_types)
    how = ('--input-type', 'point_cloud', '--joint-names', *SMPL22.joint_names, '--rate-hz', 30)
    prepare('rosbag', bag, *how, '--out', out)
    made = load_archive(out)
    assert made.subjects == ('bag/0', 'bag/1')
    np.testing.assert_allclose(made.clip(1), walk + 1, atol=2e-4)


def test_a_zed_in_a_bag(
    tmp_path: Path,
    out: Path,
    walk: FloatArray,
    bag_types: Any,
    make_zed: Any,
    prepare: Callable[..., str],
    column: Callable[..., FloatArray],
    write_bag: Callable[..., Path],
) -> None:
    layout = known_layouts()['zed38']
    index = [SMPL22.index(layout.common_name(joint)) for joint in layout.joint_names]
    poses = walk[:, [0 if i is None else i for i in index]]
    poses[:, [i is None for i in index]] = np.nan
    messages = [make_zed(1 + n / 30, {4: pose}) for n, pose in enumerate(poses[:10])]
    messages += [make_zed(1.5, {4: poses[9]}, tracking_state=0)]
    bag = write_bag(tmp_path / 'bag', messages, topic='/zed/body_trk/skeletons', types=bag_types)
    summary = prepare('rosbag', bag, '--layout', 'smpl22', '--rate-hz', 30, '--out', out)
    assert '1 x person who is not tracked' in summary
    made = load_archive(out)
    assert made.subjects == ('bag/4',) and made.layout.name == 'smpl22'
    np.testing.assert_allclose(column(made, 'l_wrist'), walk[:10, 20], atol=2e-4)


def test_motion_capture_in_a_bag(
    tmp_path: Path,
    out: Path,
    walk: FloatArray,
    bag_types: Any,
    make_markers: Any,
    prepare: Callable[..., str],
    refused: Callable[..., str],
    column: Callable[..., FloatArray],
    write_bag: Callable[..., Path],
) -> None:
    path = tmp_path / 'gait.yaml'
    path.write_text(
        'name: gait\njoints: {L_IN: , L_OUT: L_IN}\n'
        'makes: {l_knee: {points: {L_IN: 0.5, L_OUT: 0.5}}}\n'
    )
    knee, aside = walk[:, 4], np.float32([0, 0.05, 0])
    messages = [
        make_markers(1 + n / 60, {'ann:L_IN': place - aside, 'ann:L_OUT': place + aside})
        for n, place in enumerate(knee)
    ]
    bag = write_bag(tmp_path / 'bag', messages, topic='/markers', types=bag_types)
    assert 'is a joint of smpl22' in refused('rosbag', bag, '--out', out)
    prepare('rosbag', bag, '--input-layout', path, '--layout', 'smpl22', '--out', out)
    made = load_archive(out)
    assert made.subjects == ('bag/ann',)
    np.testing.assert_allclose(column(made, 'l_knee'), knee, atol=2e-4)


def test_the_usual_topic_of_a_source_goes_before_others(
    tmp_path: Path,
    out: Path,
    azure: FloatArray,
    prepare: Callable[..., str],
    markers: Callable[..., Any],
    bag_types: Any,
) -> None:
    kind = 'visualization_msgs/msg/MarkerArray'
    with Writer(tmp_path / 'bag', version=9) as writer:
        for number, topic in enumerate(('/rviz', '/body_tracking_data')):
            connection = writer.add_connection(topic, kind, typestore=bag_types)
            for stamp in (1.0, 1.1):
                message = markers(stamp, {number: azure})
                writer.write(connection, int(stamp * 1e9), bag_types.serialize_cdr(message, kind))
    prepare('rosbag', tmp_path / 'bag', '--optical', '--out', out)
    assert load_archive(out).subjects == ('bag/1',)
