"""Official weights, imported, run in the node: SwiftDiff and a one-step TransFusion alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from motion_predictor.archive import MotionArchive
from motion_predictor.skeleton import JointMap, common_names_of, known_layouts
from motion_predictor_training.cli import main

SIZES = {
    'swiftdiff': ('student/', ['--layers', '3', '--width', '32']),
    'transfusion': (
        'teacher/',
        ['--layers', '5', '--width', '32', '--heads', '4', '--ff-width', '64'],
    ),
}


@pytest.mark.parametrize('kind', SIZES)
def test_imported_weights_predict_in_the_node(
    kind: str,
    golden: dict[str, Tensor],
    bundled: MotionArchive,
    planner: Any,
    start: Callable[..., Any],
    tmp_path: Path,
) -> None:
    prefix, sizes = SIZES[kind]
    state = {k.removeprefix(prefix): v for k, v in golden.items() if k.startswith(prefix)}
    weights, checkpoint = tmp_path / 'official.pt', tmp_path / 'imported.safetensors'
    torch.save(state, weights)
    arguments = ['import', kind, '--weights', str(weights), '--preset', 'h36m', *sizes]
    assert main([*arguments, '--out', str(checkpoint)]) == 0

    parameters = ('-p', f'checkpoint:={checkpoint}', '-p', 'backend:=eager')
    start('predictor', '--ros-args', *parameters)
    planner.wait_for(lambda: planner.received, 'it runs')
    smpl22, h36m17 = known_layouts()['smpl22'], known_layouts()['h36m17']
    clip = JointMap.between(common_names_of(smpl22.joint_names, smpl22), h36m17)(bundled.clip(0))
    for pose in clip[:90:2]:
        planner.publish(planner.message({'someone': pose}, layout=h36m17))
        planner.spin(1 / 30)
    planner.wait_for(lambda: planner.predictions('someone'), 'a prediction')
    message = next(m for m in planner.received if any(len(p.mean) for p in m.motions))
    assert message.model.startswith(f'{kind}-h36m@')
    assert message.model.endswith('root damped')
    assert (message.num_samples, message.num_frames, message.num_joints) == (50, 20, 17)
    assert np.isnan(message.coverage)
    samples = np.array(planner.predictions('someone')[0].samples).reshape(50, 20, 17, 3)
    assert np.isfinite(samples).all()
    # The root goes on with its velocity and comes to rest, the same in every sample.
    assert np.ptp(samples[:, :, 0], axis=0).max() < 1e-5
    assert np.linalg.norm(samples[0, -1, 0] - clip[:90, 0], axis=-1).min() < 3
