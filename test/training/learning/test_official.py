"""Official weights become checkpoints, or are refused in one sentence."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import run_train
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from motion_predictor.checkpoint import (
    CheckpointError,
    load_checkpoint,
)
from motion_predictor.predictor import MotionPredictor
from motion_predictor_training.learning.official import import_official

# Each example writes its files again, so examples may share a folder.
reused_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


class Payload:
    """An object whose pickle creates a file when a reader executes it."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.witness,)


SIZES: dict[str, dict[str, int]] = {
    'swiftdiff': {'layers': 3, 'width': 32},
    'transfusion': {'layers': 5, 'width': 32, 'heads': 4, 'ff_width': 64},
}
PREFIXES = {'swiftdiff': 'student/', 'transfusion': 'teacher/'}


def official_state(golden: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    prefix = PREFIXES[kind]
    return {n.removeprefix(prefix): t for n, t in golden.items() if n.startswith(prefix)}


@pytest.fixture(params=['swiftdiff', 'transfusion'])
def official(
    request: pytest.FixtureRequest, golden: dict[str, Tensor], tmp_path: Path
) -> tuple[Any, Path]:
    """A kind of network, and a .pt file with its official state dict."""
    path = tmp_path / 'official.pt'
    torch.save(official_state(golden, request.param), path)
    return request.param, path


def command(kind: str, weights: Path, out: Path, **sizes: int) -> list[str]:
    options = [f'--{name.replace("_", "-")}={size}' for name, size in sizes.items()]
    files = ['--weights', str(weights), '--out', str(out)]
    return ['import', kind, '--preset', 'h36m', *files, *options]


def test_official_weights_become_a_checkpoint_that_predicts(
    official: tuple[Any, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, weights = official
    out = tmp_path / 'imported.safetensors'
    assert run_train(command(kind, weights, out, **SIZES[kind])) == 0
    checkpoint = load_checkpoint(out)
    assert checkpoint.model_id in capsys.readouterr().out
    assert checkpoint.header.timestep == 951
    assert checkpoint.header.network.kind == kind
    for name, tensor in torch.load(weights, weights_only=True).items():
        torch.testing.assert_close(checkpoint.tensors[f'network.{name}'], tensor)
    predictor = MotionPredictor.load(out, device='cpu', samples=3)
    prediction = predictor.predict(np.random.default_rng(0).normal(size=(25, 17, 3)))
    assert prediction.samples.shape == (1, 3, 100, 17, 3)
    assert np.isfinite(prediction.samples).all()


def refused_import(arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run an import that must fail. Return the error message."""
    assert run_train(arguments) == 2
    assert not out.exists()
    captured = capsys.readouterr()
    assert captured.out == ''
    assert captured.err.count('\n') == 1, captured.err
    assert len(captured.err) < 800
    return captured.err


@pytest.mark.parametrize(
    'wrong', [{'layers': 2}, {'layers': 9}, {'width': 64}, {'width': 0}, {'layers': -1}]
)
def test_official_weights_of_other_sizes_are_refused(
    official: tuple[Any, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    wrong: dict[str, int],
) -> None:
    kind, weights = official
    out = tmp_path / 'out.safetensors'
    refused_import(command(kind, weights, out, **(SIZES[kind] | wrong)), out, capsys)


def test_weights_of_the_other_network_are_refused(
    official: tuple[Any, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, weights = official
    (other,) = SIZES.keys() - {kind}
    out = tmp_path / 'out.safetensors'
    sentence = refused_import(command(other, weights, out, **SIZES[other]), out, capsys)
    assert str(weights) in sentence


def test_a_file_that_is_no_state_dict_is_refused_and_not_executed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    witness, path, out = (tmp_path / name for name in ('witness', 'evil.pt', 'out.safetensors'))
    for content in (Payload(witness), {'out.bias': Payload(witness)}, [1], {'a': 1}, {1: 2}):
        torch.save(content, path)
        sentence = refused_import(command('swiftdiff', path, out), out, capsys)
        assert str(path) in sentence
    assert not witness.exists()


def test_a_weight_file_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'out.safetensors'
    sentence = refused_import(command('swiftdiff', tmp_path / 'no.pt', out), out, capsys)
    assert str(tmp_path / 'no.pt') in sentence


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@reused_folder
@given(st.data())
def test_a_damaged_weight_file_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / 'damaged.pt'
    torch.save({'out.bias': torch.zeros(3)}, path)
    whole = data.draw(
        st.sampled_from([path.read_bytes(), pickle.dumps({'a': [1, (2, 'x')]}, protocol=2)])
    )
    content = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=5)
    ):
        if place < len(content):
            content[place] = value
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'damaged\.pt'):
        import_official('swiftdiff', path, 'h36m')
