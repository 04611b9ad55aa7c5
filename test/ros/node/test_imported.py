"""Official weights in the node: imported ones, and a student that was distilled from them."""

from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import run_train
from torch import Tensor

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import load_checkpoint
from motion_predictor.common.installed import installed
from motion_predictor.skeleton import JointMap, common_names_of, known_layouts

SIZES = {
    'swiftdiff': ('student/', ['--layers', '3', '--width', '32']),
    'transfusion': (
        'teacher/',
        ['--layers', '5', '--width', '32', '--heads', '4', '--ff-width', '64'],
    ),
}


@pytest.fixture
def imported(golden: dict[str, Tensor], tmp_path: Path) -> Callable[..., Path]:
    """Imports official weights, which are random here, into a checkpoint."""

    def build(kind: str, *more: str) -> Path:
        prefix, sizes = SIZES[kind]
        state = {k.removeprefix(prefix): v for k, v in golden.items() if k.startswith(prefix)}
        weights, checkpoint = tmp_path / 'official.pt', tmp_path / f'{kind}.safetensors'
        torch.save(state, weights)
        arguments = ['import', kind, '--weights', str(weights), '--preset', 'h36m', *sizes, *more]
        assert run_train([*arguments, '--out', str(checkpoint)]) == 0
        return checkpoint

    return build


@pytest.fixture
def distilled(imported: Callable[..., Path], tmp_path: Path) -> Path:
    """A SwiftDiff that was distilled from official weights in miniature."""
    parent = imported('transfusion', '--sampling', 'ddim', '--ddim-steps', '3')
    settings = ['bank={size: 16, chunk: 16}']
    settings += ['optimisation={steps: 2, batch: 4, learning_rate: 1.0e-4}']
    for stage, more in (
        ('one-step', []),
        ('student', ['network={kind: swiftdiff, layers: 1, width: 16}']),
    ):
        options = [part for setting in (*settings, *more) for part in ('--set', setting)]
        out = tmp_path / f'{stage}.safetensors'
        files = {'teacher': parent, 'train': installed('assets', 'demo_clip.npz'), 'out': out}
        paths = [f'--{name}={path}' for name, path in files.items()]
        assert run_train([stage, *paths, *options]) == 0
        parent = out
    return parent


@pytest.fixture(params=['swiftdiff', 'transfusion', 'distilled'])
def checkpoint(request: pytest.FixtureRequest, imported: Callable[..., Path]) -> Path:
    """A checkpoint of each kind."""
    if request.param in SIZES:
        return imported(request.param)
    return Path(request.getfixturevalue('distilled'))


def test_official_weights_predict_in_the_node(
    checkpoint: Path, bundled: MotionArchive, planner: Any, start: Callable[..., Any]
) -> None:
    parameters = ('-p', f'checkpoint:={checkpoint}', '-p', 'backend:=eager')
    start('predictor', '--ros-args', *parameters)
    planner.wait_for(lambda: planner.received, 'it runs')
    smpl22, h36m17 = known_layouts()['smpl22'], known_layouts()['h36m17']
    clip = JointMap.between(common_names_of(smpl22.joint_names, smpl22), h36m17)(bundled.clip(0))
    clip = clip[:90]
    there_and_back: Iterator[Any] = cycle([*clip[::2], *clip[::-2]])

    def predicted() -> list[Any]:
        planner.publish(planner.message({'someone': next(there_and_back)}, layout=h36m17))
        planner.spin(1 / 30)
        found: list[Any] = planner.predictions('someone')
        return found

    planner.wait_for(predicted, 'a prediction')
    message = next(m for m in planner.received if any(len(p.mean) for p in m.motions))
    assert message.model.startswith(f'{load_checkpoint(checkpoint).header.name}@')
    assert message.model.endswith('root damped')
    assert (message.num_frames, message.num_joints) == (20, 17)
    assert np.isnan(message.coverage)
    shape = message.num_samples, message.num_frames, message.num_joints, 3
    samples = np.array(planner.predictions('someone')[0].samples).reshape(shape)
    assert np.isfinite(samples).all()
    # The root continues at its velocity and comes to rest, in all samples alike.
    assert np.ptp(samples[:, :, 0], axis=0).max() < 1e-5
    assert np.linalg.norm(samples[0, -1, 0] - clip[:, 0], axis=-1).min() < 3
