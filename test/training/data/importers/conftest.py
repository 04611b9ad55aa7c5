"""Fixtures for tests of importers: the command, a person who walks, bags of messages."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_train
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys.store import Typestore

from motion_predictor.archive import MotionArchive
from motion_predictor.skeleton import known_layouts

SMPL22 = known_layouts()['smpl22']
FloatArray = NDArray[np.float32]


@pytest.fixture
def prepare() -> Callable[..., str]:
    """Runs `train prepare`. Returns the output of the command before `written: `."""

    def run(*words: object) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert run_train(['prepare', *map(str, words)]) == 0
        summary, _, _ = printed.getvalue().rpartition('written: ')
        return summary

    return run


@pytest.fixture
def refused() -> Callable[..., str]:
    """Runs `train prepare`, which must refuse and write nothing. Returns the error message."""

    def run(*words: object) -> str:
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            assert run_train(['prepare', *map(str, words)]) == 2
        out = Path(words[words.index('--out') + 1])  # type: ignore[arg-type]
        assert not out.exists()
        return printed.getvalue()

    return run


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / 'made' / 'archive.npz'


@pytest.fixture
def walk(standing: FloatArray) -> FloatArray:
    """A person who glides forward for 60 frames: joints of smpl22 (60, 22, 3)."""
    return standing + np.linspace(0, 1, 60, dtype=np.float32)[:, None, None] * np.float32(
        [1, 0, 0]
    )


@pytest.fixture
def standing() -> FloatArray:
    """A plausible standing pose (22, 3): metres, z up, facing +x, left towards +y."""
    places = {
        'pelvis': (0, 0, 0.95), 'spine1': (0, 0, 1.06), 'spine2': (0, 0, 1.19),
        'spine3': (0, 0, 1.25), 'neck': (0, 0, 1.46), 'head': (0.04, 0, 1.55),
    }  # fmt: skip
    left = {
        'hip': (0, 0.07, 0.87), 'knee': (0.02, 0.09, 0.49), 'ankle': (0, 0.1, 0.09),
        'foot': (0.13, 0.11, 0.03), 'collar': (0, 0.08, 1.4), 'shoulder': (0, 0.18, 1.41),
        'elbow': (0.02, 0.3, 1.17), 'wrist': (0.1, 0.35, 0.95),
    }  # fmt: skip
    for name, (x, y, z) in left.items():
        places |= {f'l_{name}': (x, y, z), f'r_{name}': (x + 0.01, -y, z)}
    return np.array([places[name] for name in SMPL22.joint_names], np.float32)


@pytest.fixture
def column() -> Callable[..., FloatArray]:
    """Returns the positions (T, 3) of one joint in a clip."""

    def path_of(archive: MotionArchive, joint: str, clip: int = 0) -> FloatArray:
        return archive.clip(clip)[:, archive.joint_names.index(joint)]

    return path_of


@pytest.fixture
def skeletons(
    make_message: Callable[..., Any], make_header: Callable[..., Any]
) -> Callable[..., Any]:
    """Builds a SkeletonArray from people (J, 3) by id. Arguments by name replace its fields."""

    def make(
        stamp_s: float, people: dict[str, FloatArray], frame: str = 'map', **more: Any
    ) -> Any:
        confidence = more.pop('confidence', np.zeros(0, np.float32))
        fields = {'layout': 'smpl22', 'joint_names': list(SMPL22.joint_names)} | more
        return make_message(
            'motion_predictor/msg/SkeletonArray',
            header=make_header(stamp_s, frame),
            skeletons=[
                make_message(
                    'motion_predictor/msg/Skeleton',
                    id=person,
                    positions=pose.astype(np.float32).ravel(),
                    confidence=confidence,
                )
                for person, pose in people.items()
            ],
            **fields,
        )

    return make


@pytest.fixture
def markers(
    make_message: Callable[..., Any], make_header: Callable[..., Any]
) -> Callable[..., Any]:
    """Builds a message of an Azure Kinect from people (32, 3) by number."""

    def make(
        stamp_s: float, people: dict[int, FloatArray], frame: str = 'depth_camera_link'
    ) -> Any:
        made = []
        for person, body in people.items():
            for joint, place in enumerate(body):
                if np.isnan(place).any():
                    continue
                x, y, z = map(float, place)
                point = make_message('geometry_msgs/msg/Point', x=x, y=y, z=z)
                made.append(
                    make_message(
                        'visualization_msgs/msg/Marker',
                        header=make_header(stamp_s, frame),
                        id=100 * person + joint,
                        type=2,
                        pose=make_message('geometry_msgs/msg/Pose', position=point),
                    )
                )
        return make_message('visualization_msgs/msg/MarkerArray', markers=made)

    return make


@pytest.fixture
def write_bag(bag_types: Typestore) -> Callable[..., Path]:
    """Writes a bag with messages of one topic."""

    def write(
        path: Path,
        messages: list[Any],
        storage: StoragePlugin = StoragePlugin.SQLITE3,
        topic: str = '/skeletons',
        types: Any = bag_types,
    ) -> Path:
        kind = messages[0].__msgtype__
        with Writer(path, version=9, storage_plugin=storage) as writer:
            connection = writer.add_connection(topic, kind, typestore=types)
            for number, message in enumerate(messages):
                writer.write(connection, 10**9 + number, types.serialize_cdr(message, kind))
        return path

    return write


@pytest.fixture
def azure() -> FloatArray:
    """An upright person (32, 3) in front of a level camera, in its optical frame."""
    layout = known_layouts()['azure32']
    level = np.zeros((32, 3), np.float32)  # x forward, y left, z up
    for index, joint in enumerate(layout.joint_names):
        side = 0.2 if joint.endswith('_LEFT') else -0.2 if joint.endswith('_RIGHT') else 0
        low = any(part in joint for part in ('KNEE', 'ANKLE', 'FOOT'))
        # The person faces the camera, so their left side is on the camera's right.
        level[index] = (2.5, -side, -0.5 if low else 0.1 + 0.02 * index)
    level[layout.index('neck')] = (2.5, 0, 0.6)
    level[0] = (2.5, 0, 0)
    x, y, z = level.T
    return np.stack([-y, -z, x], -1)
