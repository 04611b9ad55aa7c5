"""Denoisers other than the published ones, and one from another package."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from motion_predictor.checkpoint import CheckpointError, load_checkpoint
from motion_predictor.checkpoint.networks import GraphSpec, GruSpec

EXAMPLE = Path(__file__).parents[3] / 'examples' / 'denoiser'
K, D = 5, 12
SCRIPT = """
import sys
from motion_predictor.predictor import MotionPredictor
from motion_predictor_training.cli import main
archive, folder = sys.argv[1:]
window = '{rate_hz: 20, history_frames: 3, future_frames: 3, coefficients: 3}'
tiny = '{kind: transfusion, layers: 3, width: 8, heads: 2, ff_width: 8}'
steps = ['--set', 'optimisation.steps=2', '--set', 'optimisation.batch=8']
teacher, out = f'{folder}/teacher.safetensors', f'{folder}/student.safetensors'
assert main(['teacher', '--train', archive, '--out', teacher, *steps,
    '--set', f'window={window}', '--set', f'network={tiny}']) == 0
assert main(['student', '--direct', '--train', archive, '--teacher', teacher, '--out', out,
    *steps, '--set', 'network={kind: my_perceptron, width: 16}',
    '--set', 'bank={size: 16, chunk: 8}']) == 0
predictor = MotionPredictor.load(out, device='cpu', samples=3, backend='eager')
print(predictor.checkpoint.header.network.kind)
"""


@pytest.mark.parametrize('spec', [GruSpec(layers=2, width=8), GraphSpec(layers=2, width=8)])
def test_a_sample_depends_on_its_noise_and_its_person_alone(spec: GruSpec | GraphSpec) -> None:
    network = spec.build(D, K)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
    noise, condition = torch.randn(1, 4, K, D), torch.randn(2, K, D)
    x0 = network.denoise(network.embed(noise), condition)
    assert x0.shape == (2, 4, K, D)
    alone = network(noise[0, 2:3], condition[1:])
    torch.testing.assert_close(x0[1, 2:3], alone)
    assert not torch.allclose(x0[0, 2], x0[1, 2]) and not torch.allclose(x0[0, 1], x0[0, 2])


def brought(folder: Path, module: str) -> dict[str, str]:
    """Return the environment of a process in which a package with a network is installed."""
    shutil.copy(EXAMPLE / 'my_denoiser.py', folder)
    facts = folder / 'my_denoiser-0.1.0.dist-info'
    facts.mkdir()
    (facts / 'METADATA').write_text('Metadata-Version: 2.1\nName: my-denoiser\nVersion: 0.1.0\n')
    entry = f'[motion_predictor.networks]\nmy_perceptron = {module}:PerceptronSpec\n'
    (facts / 'entry_points.txt').write_text(entry)
    path = os.pathsep.join([str(folder), os.environ.get('PYTHONPATH', '')])
    return os.environ | {'PYTHONPATH': path}


def test_a_denoiser_of_another_package_is_trained_and_predicts(
    write_archive: Callable[..., Path], tmp_path: Path
) -> None:
    assert 'my_denoiser:PerceptronSpec' in (EXAMPLE / 'pyproject.toml').read_text()
    command = [sys.executable, '-c', SCRIPT, str(write_archive(fps=20)), str(tmp_path)]
    environment = brought(tmp_path, 'my_denoiser')
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.split()[-1] == 'my_perceptron'
    with pytest.raises(CheckpointError, match='install the package that brings this network'):
        load_checkpoint(tmp_path / 'student.safetensors')  # its package is not installed here


def test_a_network_that_cannot_be_loaded_is_left_out_with_a_warning(tmp_path: Path) -> None:
    environment = brought(tmp_path, 'no_such_module')
    code = 'import json; from motion_predictor.checkpoint import load_checkpoint as load; '
    code += "print(json.dumps(load('default').header.network.kind))"
    command = [sys.executable, '-c', code]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert json.loads(ended.stdout) == 'shared_trunk'
    assert 'the network no_such_module:PerceptronSpec cannot be used' in ended.stderr
