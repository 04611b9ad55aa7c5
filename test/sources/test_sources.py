"""Sources: messages as drivers send them, and invalid messages.

For messages of ROS the tests use the classes of ROS. For messages of vendors the tests use classes
that are made from the definitions in conftest.py.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pointcloud2
import pytest
from geometry_msgs.msg import Point, Pose, PoseArray
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from opened import read, source
from sensor_msgs.msg import PointCloud2, PointField
from visualization_msgs.msg import Marker, MarkerArray

from motion_predictor.skeleton import read_layout
from motion_predictor.sources.catalogue import SOURCES
from motion_predictor.sources.point_cloud import FIELDS
from motion_predictor.sources.source import InputError, Source

FloatArray = NDArray[np.float32]
NAN = float('nan')


def refusal(reader: Source, message: Any) -> str:
    """Read a message that is refused. Return the error message."""
    with pytest.raises(InputError) as caught:
        reader.read(message)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def person(joints: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(joints, 3)).astype(np.float32)


def stamped(message: Any, stamp_s: float = 5.5, frame_id: str = 'map') -> Any:
    message.header.stamp.sec = int(stamp_s)
    message.header.stamp.nanosec = round(stamp_s % 1 * 1e9)
    message.header.frame_id = frame_id
    return message


# --- Azure Kinect ---


def marker(number: int, place: Any = (1, 2, 3), stamp_s: float = 5.5, **fields: Any) -> Marker:
    """Return the marker of a joint as the driver sends it: id = 100 * body + joint."""
    frame_id = fields.pop('frame_id', 'depth_camera_link')
    made = stamped(Marker(id=number, type=Marker.SPHERE, **fields), stamp_s, frame_id)
    made.pose.position.x, made.pose.position.y, made.pose.position.z = map(float, place)
    made.scale.x = made.scale.y = made.scale.z = 0.05
    made.lifetime.nanosec = 250_000_000
    return made


def body(number: int, pose: FloatArray, **fields: Any) -> list[Marker]:
    return [marker(100 * number + j, place, **fields) for j, place in enumerate(pose)]


def test_bodies_of_an_azure_kinect() -> None:
    one, other = person(32), person(32, 1)
    bodies = read(source('azure_kinect'), MarkerArray(markers=body(3, one) + body(12, other)))
    assert (bodies.stamp_ns, bodies.frame_id) == (5_500_000_000, 'depth_camera_link')
    assert (bodies.ids, bodies.layout) == (['3', '12'], 'azure32')
    np.testing.assert_array_equal(bodies.positions, [one, other])
    assert source('azure_kinect').optical


def test_markers_in_any_order_and_joints_that_are_not_there() -> None:
    pose = person(32)
    markers = body(1, pose)[::-1]
    del markers[5]  # joint 26
    bodies = read(source('azure_kinect'), MarkerArray(markers=markers))
    missing = np.isnan(bodies.positions[0]).all(-1)
    assert np.flatnonzero(missing).tolist() == [26]
    np.testing.assert_array_equal(bodies.positions[0][~missing], pose[~missing])


def test_no_markers_are_nobody_at_a_time_that_is_not_known() -> None:
    bodies = read(source('azure_kinect'), MarkerArray())
    assert (bodies.stamp_ns, bodies.ids) == (None, [])


def test_markers_are_added_and_deleted_in_their_order() -> None:
    everything = marker(0, action=Marker.DELETEALL)
    gone = marker(100, action=Marker.DELETE)
    before, after = body(1, person(32)), body(2, person(32))
    reader = source('azure_kinect')
    assert read(reader, MarkerArray(markers=[*before, everything, *after])).ids == ['2']
    bodies = read(reader, MarkerArray(markers=[*before, gone]))
    assert np.isnan(bodies.positions[0, 0]).all() and np.isfinite(bodies.positions[0, 1:]).all()
    nobody = read(reader, MarkerArray(markers=[everything]))
    assert (nobody.stamp_ns, nobody.ids) == (5_500_000_000, [])


def test_a_body_with_a_wrong_marker_is_left_out_and_counted() -> None:
    wrong = [marker(232), marker(305), marker(305), marker(-1), marker(-100)]
    bodies = read(source('azure_kinect'), MarkerArray(markers=body(1, person(32)) + wrong))
    assert bodies.ids == ['1']
    assert bodies.rejected == {'joint number out of range': 2, 'joint twice in one person': 1}


def test_markers_of_several_frames_or_times_are_refused() -> None:
    reader = source('azure_kinect')
    several = [marker(100, frame_id='a'), marker(101, frame_id='b')]
    assert 'in one frame, got a, b' in refusal(reader, MarkerArray(markers=several))
    apart = [marker(100), marker(101, stamp_s=5.6)]
    assert '0.100 s apart' in refusal(reader, MarkerArray(markers=apart))
    assert 'stamp is not set' in refusal(reader, MarkerArray(markers=[marker(1, stamp_s=0)]))


# --- ZED ---


@pytest.mark.parametrize('joints', [18, 34, 38])
def test_bodies_of_a_zed(make_zed: Callable[..., Any], joints: int) -> None:
    pose = person(joints)
    pose[4] = NAN
    bodies = read(source('zed'), make_zed(5.5, {7: pose, 2: person(joints, 1)}))
    assert (bodies.ids, bodies.layout) == (['7', '2'], f'zed{joints}')
    assert (bodies.stamp_ns, bodies.frame_id) == (5_500_000_000, 'zed_left_camera_frame')
    np.testing.assert_array_equal(bodies.positions[0], pose)
    assert bodies.confidence is not None
    np.testing.assert_allclose(bodies.confidence, 0.8)
    assert not source('zed').optical


def test_nobody_before_a_zed(make_zed: Callable[..., Any]) -> None:
    assert read(source('zed'), make_zed(5.5, {})).ids == []


@pytest.mark.parametrize(
    ('fields', 'reason'),
    [
        ({'skeleton_available': False}, {'person without skeleton': 1}),
        ({'tracking_state': 0}, {'person who is not tracked': 1}),
        ({'label_id': -1}, {'person who is not tracked': 1}),
        ({'tracking_state': 3}, {}),  # the person has left, which is no error
    ],
)
def test_people_without_a_skeleton_or_a_track(
    make_zed: Callable[..., Any], fields: dict[str, Any], reason: dict[str, int]
) -> None:
    bodies = read(source('zed'), make_zed(5.5, {7: person(38)}, **fields))
    assert (bodies.ids, bodies.rejected) == ([], reason)


def test_somebody_who_is_hidden_for_a_moment_is_still_there(make_zed: Callable[..., Any]) -> None:
    assert read(source('zed'), make_zed(5.5, {7: person(38)}, tracking_state=2)).ids == ['7']


def test_an_unknown_body_format_is_refused(make_zed: Callable[..., Any]) -> None:
    assert '[3]' in refusal(source('zed'), make_zed(5.5, {7: person(38)}, body_format=3))
    mixed = make_zed(5.5, {7: person(38)})
    mixed.objects.extend(make_zed(5.5, {8: person(18)}).objects)
    assert '[0, 2]' in refusal(source('zed'), mixed)


# --- PoseArray ---


def poses(places: FloatArray, **header: Any) -> PoseArray:
    made = [Pose(position=Point(x=x, y=y, z=z)) for x, y, z in places.astype(float).tolist()]
    return stamped(PoseArray(poses=made), **header)


@pytest.mark.parametrize('settings', [{'joint_names': ['a', 'b', 'c']}, {'layout': 'zed38'}])
def test_a_person_of_poses(settings: dict[str, Any]) -> None:
    reader = source('pose_array', **settings)
    pose = person(3 if 'joint_names' in settings else 38)
    pose[1] = NAN
    bodies = read(reader, poses(pose))
    assert (bodies.stamp_ns, bodies.frame_id, bodies.ids) == (5_500_000_000, 'map', ['person'])
    assert len(bodies.joint_names) == len(pose)
    np.testing.assert_array_equal(bodies.positions[0], pose)
    assert read(reader, poses(pose[:0])).ids == []
    assert f'one pose for each of {len(pose)} joints' in refusal(reader, poses(pose[:2]))
    assert 'stamp is not set' in refusal(reader, poses(pose, stamp_s=0.0))


# --- PointCloud2 ---

TYPES = dict.fromkeys('xyz', np.float32) | {'joint': np.uint8, 'person': np.uint32}


def cloud(columns: dict[str, Any], types: dict[str, Any] = TYPES) -> PointCloud2:
    """Return a cloud with the given fields, and four bytes of padding per point."""
    names = list(columns)
    offsets = np.cumsum([0, *(np.dtype(types.get(n, np.float32)).itemsize for n in names)])
    layout = np.dtype(
        {
            'names': names,
            'formats': [types.get(name, np.float32) for name in names],
            'offsets': offsets[:-1].tolist(),
            'itemsize': int(offsets[-1]) + 4,
        }
    )
    points = np.zeros(len(columns[names[0]]), layout)
    for name in names:
        points[name] = columns[name]
    fields = [
        PointField(name=f.name, offset=f.offset, datatype=f.datatype, count=f.count)
        for f in pointcloud2.fields_from_dtype(layout)
    ]
    return stamped(
        PointCloud2(
            height=1,
            width=len(points),
            fields=fields,
            point_step=layout.itemsize,
            row_step=points.nbytes,
            data=points.tobytes(),
        )
    )


def columns(people: dict[int, FloatArray]) -> dict[str, Any]:
    """Return the columns of a cloud with the joints of all people, in random order."""
    place = np.concatenate(list(people.values()))
    joint = np.concatenate([np.arange(len(pose)) for pose in people.values()])
    owner = np.repeat(list(people), [len(pose) for pose in people.values()])
    order = np.random.default_rng(1).permutation(len(place))
    return {'x': place[order, 0], 'y': place[order, 1], 'z': place[order, 2]} | {
        'joint': joint[order],
        'person': owner[order],
    }


@pytest.mark.parametrize('types', [TYPES, TYPES | {'joint': np.float32, 'person': np.float64}])
def test_people_of_points(types: dict[str, Any]) -> None:
    people = {4: person(17), 70_000: person(17, 1)[:9]}
    reader = source('point_cloud', layout='coco17')
    bodies = read(reader, cloud(columns(people), types))
    assert (bodies.ids, bodies.layout, bodies.confidence) == (['4', '70000'], 'coco17', None)
    np.testing.assert_array_equal(bodies.positions[0], people[4])
    np.testing.assert_array_equal(bodies.positions[1, :9], people[70_000])
    assert np.isnan(bodies.positions[1, 9:]).all()


def test_fields_of_other_names_and_confidence() -> None:
    given = columns({1: person(2)})
    names = ['px', 'py', 'pz', 'keypoint', 'track', 'score']
    renamed = dict(zip(names, [*given.values(), np.array([0.25, 0.75])], strict=True))
    reader = source('point_cloud', joint_names=['a', 'b'], point_fields=names)
    bodies = read(reader, cloud(renamed))
    assert bodies.confidence is not None
    assert sorted(bodies.confidence[0].tolist()) == [0.25, 0.75]
    assert 'no field px' in refusal(reader, cloud(given))


def test_a_cloud_without_points_is_nobody() -> None:
    reader = source('point_cloud', layout='coco17')
    assert read(reader, cloud({name: [] for name in FIELDS})).ids == []


def test_points_that_cannot_be_right() -> None:
    reader = source('point_cloud', layout='coco17')
    given = columns({1: person(17), 2: person(17), 3: person(17)})
    given['joint'][given['person'] == 2] = 40
    given['joint'][given['person'] == 3] = 0
    bodies = read(reader, cloud(given))
    assert bodies.ids == ['1']
    assert bodies.rejected == {'joint number out of range': 1, 'joint twice in one person': 1}
    floats = TYPES | {'joint': np.float32, 'person': np.float32}
    halves = given | {'joint': given['joint'] + 0.5}
    assert read(reader, cloud(halves, floats)).rejected == {'joint number out of range': 3}
    unknown = given | {'person': np.full(51, NAN)}
    assert 'a whole number' in refusal(reader, cloud(unknown, floats))
    torn = cloud(given)
    torn.data = torn.data[:100]
    assert 'cannot be read' in refusal(reader, torn)
    torn.width = 10_000_000
    assert 'refused as too large' in refusal(reader, torn)


# --- Motion capture ---


def test_markers_of_motion_capture(make_markers: Callable[..., Any]) -> None:
    places = {'ann:l_knee': (1, 2, 3), 'bob:l_knee': (4, 5, 6), 'ann:LeftAnkle': (7, 8, 9)}
    others = {'robot:1': (0, 0, 0), 'ann:cap': (0, 0, 2), '': (0, 0, 0)}
    bodies = read(source('mocap4r2'), make_markers(5.5, places | others))
    assert (bodies.ids, bodies.layout, bodies.stamp_ns) == (['ann', 'bob'], 'smpl22', 5500000000)
    knee, ankle = (bodies.joint_names.index(name) for name in ('l_knee', 'l_ankle'))
    np.testing.assert_array_equal(bodies.positions[:, knee], [(1, 2, 3), (4, 5, 6)])
    np.testing.assert_array_equal(bodies.positions[0, ankle], (7, 8, 9))
    assert np.isfinite(bodies.positions).all(-1).sum() == 3


def test_a_marker_set_of_ones_own(make_markers: Callable[..., Any], tmp_path: Any) -> None:
    path = tmp_path / 'gait.yaml'
    path.write_text('name: gait\njoints: {LASI: , RASI: LASI}\n')
    settings = {'layouts': {'gait': read_layout(path)}, 'layout': 'gait'}
    reader = source('mocap4r2', marker_separator='/', **settings)
    bodies = read(reader, make_markers(5.5, {'lab/ann/RASI': (1, 2, 3), 'LASI': (0, 0, 1)}))
    assert (bodies.ids, bodies.joint_names) == (['lab/ann', 'person'], ('LASI', 'RASI'))


def test_markers_that_nobody_knows_are_not_nobody(make_markers: Callable[..., Any]) -> None:
    assert "'robot:1'" in refusal(source('mocap4r2'), make_markers(5.5, {'robot:1': (0, 0, 0)}))
    assert read(source('mocap4r2'), make_markers(5.5, {})).ids == []


def test_a_marker_twice(make_markers: Callable[..., Any]) -> None:
    message = make_markers(5.5, {'ann:l_knee': (1, 2, 3)})
    message.markers *= 2
    assert read(source('mocap4r2'), message).rejected == {'joint twice in one person': 1}


# --- All sources ---


@pytest.mark.parametrize(
    ('name', 'settings', 'sentence'),
    [
        ('kinect', {}, f"input_type must be one of {', '.join(SOURCES)}, got 'kinect'"),
        ('pose_array', {}, 'needs joint_names, or an input_layout'),
        ('point_cloud', {'joint_names': ['a', 'a']}, 'all different'),
        ('point_cloud', {'layout': 'coco17', 'point_fields': ['x', 'y']}, "got ['x', 'y']"),
        ('mocap4r2', {'layout': 'gait'}, "zed38, got 'gait'"),
        ('mocap4r2', {'marker_separator': ''}, 'must not be empty'),
    ],
)
def test_settings_that_do_not_fit(name: str, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        source(name, **settings)
    assert sentence in str(caught.value)


numbers = st.floats() | st.sampled_from([0.0, NAN, float('inf'), 1e30])


@st.composite
def marker_arrays(draw: st.DrawFn) -> MarkerArray:
    kinds = st.sampled_from([Marker.ADD, Marker.ADD, Marker.ADD, Marker.DELETE, Marker.DELETEALL])
    ids = st.integers(-(2**31), 2**31 - 1) | st.integers(0, 350)
    count = draw(st.integers(0, 40))
    return MarkerArray(
        markers=[marker(draw(ids), [draw(numbers)] * 3, action=draw(kinds)) for _ in range(count)]
    )


@st.composite
def clouds(draw: st.DrawFn) -> PointCloud2:
    count = draw(st.integers(0, 30))
    types = {name: draw(st.sampled_from([np.float32, np.float64, np.int16])) for name in FIELDS}
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    made = cloud({name: rng.integers(-2, 20, count) for name in FIELDS}, types)
    if count and draw(st.booleans()):
        data = np.array(made.data)
        data[draw(st.integers(0, len(data) - 1)) :] = draw(st.integers(0, 255))
        made.data = data.tobytes()
    return made


@given(
    st.tuples(st.just('azure_kinect'), marker_arrays())
    | st.tuples(st.just('point_cloud'), clouds())
)
def test_no_message_breaks_a_source(case: tuple[str, Any]) -> None:
    name, message = case
    reader = source(name, layout='coco17')
    try:
        bodies = read(reader, message)
    except InputError as error:
        assert '\n' not in str(error)
        return
    assert len(set(bodies.ids)) == len(bodies.ids) == len(bodies.positions)
    assert not bodies.ids or bodies.positions.shape[1:] == (len(bodies.joint_names), 3)
