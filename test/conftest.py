"""Fixtures that several tests share: a pose, tiny checkpoints, motion archives, recorded data."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from motion_predictor.checkpoint import (
    Checkpoint,
    Header,
    SwiftDiffSpec,
    TransFusionSpec,
    Window,
    fresh_parametrisation,
)
from motion_predictor.model.mirror import Mirror
from motion_predictor.model.parametrisation import ScaledParametrisation
from motion_predictor.skeleton import known_layouts
from motion_predictor.uncertainty.calibration import TERMS, Calibration
from motion_predictor_training.config import Optimisation, TeacherConfig
from motion_predictor_training.data.windows import model_features
from motion_predictor_training.learning.teacher import train_teacher

FloatArray = NDArray[np.float32]

# Tests must not fail because the machine is busy.
settings.register_profile('unhurried', deadline=None)
settings.load_profile('unhurried')
torch.set_num_threads(1)

# A person in mid-stride who faces +x. Metres, z up; the left side is towards +y.
STRIDE = {
    'pelvis': (0.00, 0.00, 0.95),
    'l_hip': (0.01, 0.07, 0.87),
    'r_hip': (-0.01, -0.07, 0.87),
    'spine1': (-0.02, 0.00, 1.06),
    'l_knee': (0.17, 0.09, 0.49),
    'r_knee': (0.02, -0.09, 0.47),
    'spine2': (-0.01, 0.00, 1.19),
    'l_ankle': (0.24, 0.10, 0.09),
    'r_ankle': (-0.29, -0.10, 0.22),
    'spine3': (0.00, 0.00, 1.25),
    'l_foot': (0.37, 0.11, 0.04),
    'r_foot': (-0.20, -0.11, 0.12),
    'neck': (-0.01, 0.00, 1.46),
    'l_collar': (0.00, 0.08, 1.40),
    'r_collar': (0.00, -0.08, 1.40),
    'head': (0.04, 0.00, 1.55),
    'l_shoulder': (-0.01, 0.18, 1.41),
    'r_shoulder': (0.01, -0.18, 1.41),
    'l_elbow': (-0.12, 0.23, 1.17),
    'r_elbow': (0.05, -0.24, 1.15),
    'l_wrist': (-0.02, 0.25, 0.95),
    'r_wrist': (0.24, -0.21, 1.02),
}


@pytest.fixture(scope='session')
def stride() -> FloatArray:
    """A person in mid-stride who faces +x: joints of smpl22 (22, 3), metres."""
    return np.array([STRIDE[j] for j in known_layouts()['smpl22'].joint_names], np.float32)


@pytest.fixture(scope='session')
def recorded() -> Path:
    """The folder with recorded motion, which is not part of the project."""
    folder = Path(__file__).parents[1].parent / 'shared' / 'data'
    if not (folder / 'test.npz').is_file():
        pytest.skip(f'recorded motion is not there: no {folder / "test.npz"}')
    return folder


@pytest.fixture(scope='session')
def small_teacher(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher that was trained briefly on recorded motion: smpl22, 20 Hz, 0.5 s and 2 s."""
    config = TeacherConfig(
        window=Window(rate_hz=20, history_frames=10, future_frames=40, coefficients=12),
        network=TransFusionSpec(layers=3, width=64, heads=4, ff_width=128),
        ddim_steps=5,
        optimisation=Optimisation(steps=600, batch=64, learning_rate=2e-3, precision='float32'),
    )
    out = tmp_path_factory.mktemp('small') / 'teacher.safetensors'
    train_teacher(config, recorded / 'train.npz', out)
    return out


@pytest.fixture(scope='session')
def golden() -> dict[str, torch.Tensor]:
    """Numbers that were computed with the official modules, and the official state dicts."""
    with np.load(Path(__file__).parent / 'data' / 'golden_h36m_small.npz') as archive:
        return {name: torch.from_numpy(archive[name]) for name in archive.files}


def _randomise(module: torch.nn.Module) -> None:
    """Give every weight a random value, including weights that are initialised to zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3, generator=generator)


def _wandering(header: Header) -> torch.Tensor:
    """Return model features (64, N, D) of people who drift about in mid-stride."""
    pose = [STRIDE.get(joint, (0.0, 0.0, 0.0)) for joint in header.layout.joint_names]
    frames = header.window.history_frames + header.window.future_frames
    steps = np.random.default_rng(0).normal(scale=0.03, size=(64, frames, len(pose), 3))
    motion = torch.tensor(np.array(pose) + steps.cumsum(1), dtype=torch.float32)
    facing = header.layout.facing if header.frame == 'heading' else None
    with_root = header.root == 'predicted'
    return model_features(motion, header.window.history_frames, facing, with_root)


def _calibrated(checkpoint: Checkpoint, coverages: tuple[float, ...]) -> Checkpoint:
    """Return the checkpoint with a calibration that is easy to check.

    The expected error is the spread and a floor of 1 cm. For the first coverage, the radius is
    twice the expected error with four samples, and three times with two samples. The second
    coverage has twice that radius, the third three times, and so on. `body_radius_scale` is 1.5.
    """
    calibration = Calibration(
        kind='floored',
        coverages=coverages,
        samples=(4, 2),
        frames=(1, 7),
        speeds=(1.0,),
        body_speeds=(),
        paces=(),
        people=3,
        windows=30,
    )
    shapes = calibration.shapes()
    terms = torch.zeros(shapes['calibration.terms'])
    terms[:, TERMS.index('floor')] = 0.01
    terms[:, TERMS.index('spread')] = 1.0
    scale = torch.ones(shapes['calibration.scale'])
    scale *= torch.tensor([2.0, 3.0])[:, None, None, None]
    scale *= torch.arange(1.0, len(coverages) + 1)[:, None, None, None, None]
    body_scale = torch.full(shapes['calibration.body_scale'], 1.5)
    pace_scale = torch.ones(shapes['calibration.pace_scale'])
    pace_floor = torch.zeros(shapes['calibration.pace_floor'])
    tensors = zip(shapes, (terms, scale, pace_scale, pace_floor, body_scale), strict=True)
    return checkpoint.calibrated(calibration, dict(tensors))


@pytest.fixture(scope='session')
def make_checkpoint() -> Callable[..., Checkpoint]:
    """Builds a tiny SwiftDiff with random weights. Named arguments replace header fields."""

    def make(
        calibrated: bool = False, coverages: tuple[float, ...] = (0.9,), **fields: Any
    ) -> Checkpoint:
        layout = known_layouts()['smpl22']
        window = Window(rate_hz=20, history_frames=5, future_frames=7, coefficients=6)
        header = Header.model_validate(
            {
                'name': 'tiny',
                'network': SwiftDiffSpec(layers=1, width=8),
                'layout': layout,
                'window': window,
                'ddim_steps': 20,
                'prediction': 'sample',
                'parametrisation': 'anchored',
                'frame': 'heading',
                'root': 'predicted',
                **fields,
            }
        )
        network = header.network.build(header.features, header.window.coefficients)
        _randomise(network)
        parametrisation = fresh_parametrisation(header)
        if isinstance(parametrisation, ScaledParametrisation):
            motion = _wandering(header)
            mirror = Mirror(header.layout.mirrored, header.root == 'predicted')
            parametrisation.fit(torch.cat([motion, mirror(motion)]))
        checkpoint = Checkpoint.of(header, network, parametrisation)
        if calibrated:
            return _calibrated(checkpoint, coverages)
        return checkpoint

    return make


@pytest.fixture(scope='session')
def tiny(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """SwiftDiff 1x8 on smpl22: anchored, in the heading frame, with a predicted root."""
    return make_checkpoint()


@pytest.fixture(scope='session')
def tiny_symmetric(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """A calibrated `tiny` that predicts every second sample from the mirror image."""
    return make_checkpoint(symmetric=True, calibrated=True)


@pytest.fixture(scope='session')
def tiny_official(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """A one-step TransFusion with the settings of official weights: world axes, damped root."""
    return make_checkpoint(
        network=TransFusionSpec(layers=3, width=8, heads=2, ff_width=8),
        prediction='epsilon',
        parametrisation='official',
        frame='world',
        root='damped',
    )


@pytest.fixture
def write_archive(tmp_path: Path, stride: FloatArray) -> Callable[..., Path]:
    """Writes a motion archive of two clips. Named arguments replace arrays; None removes one."""

    def write(**fields: Any) -> Path:
        layout = known_layouts()['smpl22']
        walked = np.arange(50, dtype=np.float32)[:, None, None] * np.array(
            [0.02, 0, 0], np.float32
        )
        content: dict[str, Any] = {
            'positions': stride + walked,
            'scale': 1.0,
            'clip_offsets': np.array([0, 30, 50]),
            'fps': 60,
            'joint_names': np.array(layout.joint_names),
            'parents': np.array(layout.parents),
            'clip_names': np.array(['walk', 'walk on']),
            'subject': np.array(['1', '2']),
            'category': np.array(['locomotion', 'locomotion']),
        } | fields
        path = tmp_path / 'archive.npz'
        np.savez(path, **{name: value for name, value in content.items() if value is not None})
        return path

    return write


# Definitions of vendors' messages. The packages with these messages are in no package index that
# the tests can use. All fields that our sources read are defined here as in those packages.
VENDORS = {
    'zed_msgs/msg/Keypoint2Df': 'float32[2] kp',
    'zed_msgs/msg/Keypoint2Di': 'uint32[2] kp',
    'zed_msgs/msg/Keypoint3D': 'float32[3] kp',
    'zed_msgs/msg/BoundingBox2Df': 'zed_msgs/Keypoint2Df[4] corners',
    'zed_msgs/msg/BoundingBox2Di': 'zed_msgs/Keypoint2Di[4] corners',
    'zed_msgs/msg/BoundingBox3D': 'zed_msgs/Keypoint3D[8] corners',
    'zed_msgs/msg/Skeleton2D': 'zed_msgs/Keypoint2Df[70] keypoints',
    'zed_msgs/msg/Skeleton3D': 'zed_msgs/Keypoint3D[70] keypoints',
    'zed_msgs/msg/Object': 'string label\nint16 label_id\nstring sublabel\nfloat32 confidence\n'
    'float32[3] position\nfloat32[6] position_covariance\nfloat32[3] velocity\n'
    'bool tracking_available\nint8 tracking_state\nint8 action_state\n'
    'zed_msgs/BoundingBox2Di bounding_box_2d\nzed_msgs/BoundingBox3D bounding_box_3d\n'
    'float32[3] dimensions_3d\nbool skeleton_available\nint8 body_format\n'
    'zed_msgs/BoundingBox2Df head_bounding_box_2d\nzed_msgs/BoundingBox3D head_bounding_box_3d\n'
    'float32[3] head_position\nzed_msgs/Skeleton2D skeleton_2d\nzed_msgs/Skeleton3D skeleton_3d',
    'zed_msgs/msg/ObjectsStamped': 'std_msgs/Header header\nzed_msgs/Object[] objects',
    'mocap4r2_msgs/msg/Marker': 'int8 USE_NAME=0\nint8 USE_INDEX=1\nint8 USE_BOTH=2\n'
    'int8 id_type\nint32 marker_index\nstring marker_name\ngeometry_msgs/Point translation',
    'mocap4r2_msgs/msg/Markers': 'std_msgs/Header header\nuint32 frame_number\n'
    'mocap4r2_msgs/Marker[] markers',
    'hri_msgs/msg/IdsList': 'std_msgs/Header header\nstring[] ids',
    'motion_predictor/msg/Skeleton': 'string id\nfloat32[] positions\nfloat32[] confidence',
    'motion_predictor/msg/SkeletonArray': 'std_msgs/Header header\nstring layout\n'
    'string[] joint_names\nmotion_predictor/Skeleton[] skeletons',
}


@pytest.fixture(scope='session')
def bag_types() -> Typestore:
    """All message types of ROS, of this package and of vendors, in the form that bags use."""
    types = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in VENDORS.items():
        types.register(get_types_from_msg(definition, name))
    return types


@pytest.fixture(scope='session')
def make_message(bag_types: Typestore) -> Callable[..., Any]:
    """Builds a message of any type. Fields that are not given are zero or empty at all levels."""
    numbers = {'bool': False, 'string': ''}

    def zero(description: Any) -> Any:
        kind, what = int(description[0]), description[1]
        if kind == 1:  # a number or a string
            return numbers.get(what[0], 0.0 if what[0].startswith('float') else 0)
        if kind == 2:  # a message
            return make(what)
        (element_kind, element), size = what
        if int(element_kind) == 1 and element[0] != 'string':
            return np.zeros(size if kind == 3 else 0, element[0])
        return [zero((element_kind, element)) for _ in range(size if kind == 3 else 0)]

    def make(kind: str, /, **fields: Any) -> Any:
        descriptions = bag_types.fielddefs[kind][1]
        values = {field: zero(description) for field, description in descriptions}
        return bag_types.types[kind](**(values | fields))

    return make


@pytest.fixture(scope='session')
def make_header(make_message: Callable[..., Any]) -> Callable[..., Any]:
    """Builds a header from seconds and a frame."""

    def make(stamp_s: float, frame_id: str = 'map') -> Any:
        second, nanosecond = divmod(round(stamp_s * 1e9), 10**9)
        stamp = make_message('builtin_interfaces/msg/Time', sec=second, nanosec=nanosecond)
        return make_message('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)

    return make


@pytest.fixture(scope='session')
def make_zed(make_message: Callable[..., Any], make_header: Callable[..., Any]) -> Any:
    """Builds a ZED message from people (J, 3) by id. Named arguments set fields of it."""

    def make(stamp_s: float, people: dict[int, FloatArray], **fields: Any) -> Any:
        objects = []
        for label_id, pose in people.items():
            points = np.zeros((70, 3), np.float32)
            points[: len(pose)] = pose
            keypoints = [make_message('zed_msgs/msg/Keypoint3D', kp=point) for point in points]
            given = {
                'label': f'Body_{label_id}',
                'label_id': label_id,
                'confidence': 80.0,
                'tracking_available': True,
                'tracking_state': 1,
                'skeleton_available': True,
                'body_format': {18: 0, 34: 1, 38: 2}[len(pose)],
                'skeleton_3d': make_message('zed_msgs/msg/Skeleton3D', keypoints=keypoints),
            }
            objects.append(make_message('zed_msgs/msg/Object', **(given | fields)))
        header = make_header(stamp_s, 'zed_left_camera_frame')
        return make_message('zed_msgs/msg/ObjectsStamped', header=header, objects=objects)

    return make


@pytest.fixture(scope='session')
def make_markers(make_message: Callable[..., Any], make_header: Callable[..., Any]) -> Any:
    """Builds a message of motion capture from positions by marker name."""

    def make(stamp_s: float, places: dict[str, Any]) -> Any:
        markers = []
        for name, place in places.items():
            x, y, z = map(float, place)
            point = make_message('geometry_msgs/msg/Point', x=x, y=y, z=z)
            markers.append(
                make_message('mocap4r2_msgs/msg/Marker', marker_name=name, translation=point)
            )
        header = make_header(stamp_s)
        return make_message('mocap4r2_msgs/msg/Markers', header=header, markers=markers)

    return make


BROWSER_PATIENCE_MS = 240_000
"""It is long because without a graphics card the processor draws everything."""
BROWSER_FLAGS = ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader']


@contextmanager
def _looking_at(url: str) -> Iterator[Any]:
    """Open a page in Chromium. Skip the test if there is no Chromium.

    At the end, check that the page sent no request to another machine and raised no error.
    """
    playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    chromium = shutil.which('chromium') or shutil.which('google-chrome')
    if chromium is None:
        pytest.skip('there is no Chromium: apt-get install chromium')
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=BROWSER_FLAGS)
        page = browser.new_page(viewport={'width': 640, 'height': 400})
        page.set_default_timeout(BROWSER_PATIENCE_MS)
        asked: list[str] = []
        errors: list[str] = []
        page.on('request', lambda request: asked.append(request.url))
        page.on('pageerror', lambda error: errors.append(str(error)))
        page.goto(url)
        yield page
        browser.close()
    assert [u for u in asked if not u.startswith((url, 'data:', 'blob:'))] == []
    assert errors == []


@pytest.fixture
def browser_at() -> Callable[[str], AbstractContextManager[Any]]:
    """Opens a page in a real browser."""
    return _looking_at
