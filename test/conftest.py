"""What several tests build on: a pose, tiny checkpoints, motion archives, recorded data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from numpy.typing import NDArray

from motion_predictor.checkpoint import (
    Calibration,
    Checkpoint,
    Header,
    SwiftDiffSpec,
    TransFusionSpec,
    Window,
)
from motion_predictor.model.parametrisation import (
    OfficialParametrisation,
    ResidualParametrisation,
)
from motion_predictor.skeleton import known_layouts
from motion_predictor_training.config import Optimisation, TeacherConfig
from motion_predictor_training.data.windows import model_features
from motion_predictor_training.teacher import train_teacher

FloatArray = NDArray[np.float32]

# A busy machine is no error.
settings.register_profile('unhurried', deadline=None)
settings.load_profile('unhurried')
torch.set_num_threads(1)

# Somebody in mid-stride, facing +x: metres, z up, the left side towards +y.
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
    """A person in mid-stride (22, 3), joints of smpl22, metres, facing +x."""
    return np.array([STRIDE[j] for j in known_layouts()['smpl22'].joint_names], np.float32)


@pytest.fixture(scope='session')
def recorded() -> Path:
    """The folder of recorded motion, which is not part of the project."""
    folder = Path(__file__).parents[1].parent / 'shared' / 'data'
    if not (folder / 'test.npz').is_file():
        pytest.skip(f'recorded motion is not there: no {folder / "test.npz"}')
    return folder


@pytest.fixture(scope='session')
def small_teacher(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher that has learnt a little of recorded motion: smpl22, 20 Hz, 0.5 s and 2 s."""
    config = TeacherConfig(
        window=Window(rate_hz=20, history_frames=10, future_frames=40, coefficients=12),
        network=TransFusionSpec(layers=3, width=64, heads=4, ff_width=128),
        ddim_steps=5,
        optimisation=Optimisation(steps=300, batch=64, learning_rate=2e-3, precision='float32'),
    )
    out = tmp_path_factory.mktemp('small') / 'teacher.safetensors'
    train_teacher(config, recorded / 'train.npz', out)
    return out


@pytest.fixture(scope='session')
def golden() -> dict[str, torch.Tensor]:
    """Numbers computed with the official modules, the official state dicts among them."""
    with np.load(Path(__file__).parent / 'data' / 'golden_h36m_small.npz') as archive:
        return {name: torch.from_numpy(archive[name]) for name in archive.files}


def _randomise(module: torch.nn.Module) -> None:
    """Give every weight a value, those included that start at zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3, generator=generator)


def _wandering(header: Header) -> torch.Tensor:
    """Return motions (64, N, D) of people who drift about in mid-stride, as a model sees them."""
    pose = [STRIDE.get(joint, (0.0, 0.0, 0.0)) for joint in header.layout.joint_names]
    frames = header.window.history_frames + header.window.future_frames
    steps = np.random.default_rng(0).normal(scale=0.03, size=(64, frames, len(pose), 3))
    motion = torch.tensor(np.array(pose) + steps.cumsum(1), dtype=torch.float32)
    hips = header.layout.hips if header.frame == 'heading' else None
    with_root = header.root == 'predicted'
    return model_features(motion, header.window.history_frames, hips, with_root)


@pytest.fixture(scope='session')
def make_checkpoint() -> Callable[..., Checkpoint]:
    """Builder of a tiny SwiftDiff with random weights; keywords replace fields of its header."""

    def make(calibrated: bool = False, **fields: Any) -> Checkpoint:
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
                'parametrisation': 'residual',
                'frame': 'heading',
                'root': 'predicted',
                **fields,
            }
        )
        network = header.network.build(header.features, header.window.coefficients)
        _randomise(network)
        sizes = (header.window.history_frames, header.window.future_frames)
        if header.parametrisation == 'official':
            official = OfficialParametrisation(*sizes, header.window.coefficients)
            return Checkpoint.of(header, network, official)
        residual = ResidualParametrisation(*sizes, header.window.coefficients, header.features)
        residual.fit(_wandering(header))
        checkpoint = Checkpoint.of(header, network, residual)
        if calibrated:
            calibration = Calibration(coverage=0.9, floor_m=0.01, samples=(4, 2))
            checkpoint.header = header.model_copy(update={'calibration': calibration})
            scale = torch.tensor([2.0, 3.0])[:, None, None]
            shape = (header.window.future_frames, len(layout.joints))
            checkpoint.tensors['calibration.scale'] = scale.expand(-1, *shape).contiguous()
        return checkpoint

    return make


@pytest.fixture(scope='session')
def tiny(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """SwiftDiff 1x8 on smpl22, residual, in the person's heading, with predicted root."""
    return make_checkpoint()


@pytest.fixture(scope='session')
def tiny_official(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """A one-step TransFusion as official weights become one: world axes and a damped root."""
    return make_checkpoint(
        network=TransFusionSpec(layers=3, width=8, heads=2, ff_width=8),
        prediction='epsilon',
        parametrisation='official',
        frame='world',
        root='damped',
    )


@pytest.fixture
def write_archive(tmp_path: Path, stride: FloatArray) -> Callable[..., Path]:
    """Builder of a sound motion archive of two clips; keywords replace fields, None removes."""

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
