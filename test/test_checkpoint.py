"""Checkpoint files: saving and loading, and every way in which a file can be wrong."""

import json
import pickle
import re
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from motion_predictor.checkpoint import (
    METADATA_KEY,
    Checkpoint,
    CheckpointError,
    load_checkpoint,
)

CALIBRATION: dict[str, Any] = {
    'kind': 'floored',
    'coverages': [0.9],
    'samples': [50],
    'frames': [1, 7],
    'speeds': [],
    'body_speeds': [],
    'paces': [],
    'people': 1,
    'windows': 9,
}

# Each example writes its files again, so examples may share a folder.
reused_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


class Payload:
    """An object whose pickle creates a file when a reader executes it."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.witness,)


def refusal(path: Path | str) -> str:
    """Try to load a file that is refused. Return the error message."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert '\n' not in sentence
    assert len(sentence.replace(str(path), '')) < 300
    return sentence


@pytest.fixture
def saved(tiny: Checkpoint, tmp_path: Path) -> Path:
    path = tmp_path / 'tiny.safetensors'
    tiny.save(path)
    return path


@pytest.fixture
def save_with(tiny: Checkpoint, tmp_path: Path) -> Callable[..., Path]:
    """Saves the tiny checkpoint with other tensors or another header."""

    def save(
        tensors: dict[str, Tensor | None] | None = None, edit: dict[str, Any] | None = None
    ) -> Path:
        header = json.loads(tiny.header.model_dump_json())
        for where, value in (edit or {}).items():
            *folders, key = where.split('.')
            place = header
            for folder in folders:
                place = place[folder]
            place[key] = value
        content = tiny.tensors | (tensors or {})
        path = tmp_path / 'edited.safetensors'
        save_file(
            {name: tensor.contiguous() for name, tensor in content.items() if tensor is not None},
            path,
            {METADATA_KEY: json.dumps(header)},
        )
        return path

    return save


@pytest.mark.parametrize('kind', ['tiny', 'tiny_official', 'calibrated'])
def test_what_is_saved_is_loaded(
    request: pytest.FixtureRequest,
    make_checkpoint: Callable[..., Checkpoint],
    tmp_path: Path,
    kind: str,
) -> None:
    if kind == 'calibrated':
        checkpoint = make_checkpoint(
            calibrated=True, provenance={'by': ['hand', 1]}, metrics={'ADE': 0.5}
        )
    else:
        checkpoint = request.getfixturevalue(kind)
    path = tmp_path / 'new' / 'checkpoint.safetensors'
    checkpoint.save(path)
    loaded = load_checkpoint(path)
    assert loaded.header == checkpoint.header
    assert loaded.tensors.keys() == checkpoint.tensors.keys()
    for name, tensor in checkpoint.tensors.items():
        torch.testing.assert_close(loaded.tensors[name], tensor, rtol=0, atol=0)


def test_the_model_id_names_the_file_content_and_a_guessed_root(
    tiny: Checkpoint, tiny_official: Checkpoint, tmp_path: Path
) -> None:
    ids = []
    for index, checkpoint in enumerate([tiny, tiny, tiny_official]):
        checkpoint.save(tmp_path / f'{index}.safetensors')
        ids.append(load_checkpoint(tmp_path / f'{index}.safetensors').model_id)
    assert ids[0] == ids[1]
    assert ids[0].startswith('tiny@')
    assert ids[2] != ids[0]
    assert [model_id.endswith(', root damped') for model_id in ids] == [False, False, True]


def test_the_checkpoint_that_ships_is_sound() -> None:
    checkpoint = load_checkpoint('default')
    assert checkpoint.header.sampling == 'one_step'
    assert checkpoint.header.provenance


def test_saving_replaces_the_file_leaves_nothing_else_and_lets_others_read(saved: Path) -> None:
    before = saved.read_bytes()
    load_checkpoint(saved).save(saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]
    assert stat.S_IMODE(saved.stat().st_mode) == 0o644


def test_a_save_that_fails_keeps_the_old_file(saved: Path) -> None:
    before = saved.read_bytes()
    checkpoint = load_checkpoint(saved)
    shared = torch.zeros(66)
    checkpoint.tensors['network.out.bias'] = shared
    checkpoint.tensors['network.joint_embed.bias'] = shared[:8]
    with pytest.raises(RuntimeError):
        checkpoint.save(saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


@reused_folder
@given(st.data())
def test_a_truncated_file_is_refused(saved: Path, data: st.DataObject) -> None:
    content = saved.read_bytes()
    header_end = 8 + struct.unpack('<Q', content[:8])[0]
    length = data.draw(st.one_of(st.integers(0, len(content) - 1), st.integers(0, header_end + 1)))
    path = saved.with_name('short.safetensors')
    path.write_bytes(content[:length])
    assert 'damaged' in refusal(path)


@reused_folder
@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_refused(tmp_path: Path, content: bytes, with_length: bool) -> None:
    path = tmp_path / 'garbage.safetensors'
    path.write_bytes(struct.pack('<Q', len(content)) + content if with_length else content)
    refusal(path)


@reused_folder
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=5))
def test_a_header_with_flipped_bytes_is_refused_or_still_sound(
    saved: Path, flips: list[tuple[int, int]]
) -> None:
    content = bytearray(saved.read_bytes())
    for place, value in flips:
        content[place] = value
    path = saved.with_name('flipped.safetensors')
    path.write_bytes(content)
    try:
        load_checkpoint(path).build()
    except CheckpointError as error:
        assert str(path) in str(error)


def test_a_pickle_under_our_suffix_is_refused_and_not_executed(tmp_path: Path) -> None:
    witness = tmp_path / 'witness'
    content = pickle.dumps({'network.out.weight': Payload(witness)})
    pickle.loads(content)
    assert witness.exists(), 'the payload does work'
    witness.unlink()
    path = tmp_path / 'pickle.safetensors'
    path.write_bytes(content)
    refusal(path)
    torch.save({'network.out.weight': Payload(witness)}, path)
    refusal(path)
    assert not witness.exists()


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'foreign.safetensors'
    save_file({'weight': torch.zeros(3)}, path)
    assert 'train import' in refusal(path)


@pytest.mark.parametrize('name', ['nothing.safetensors', '.', 'a' * 300])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    refusal(tmp_path / name)


@pytest.mark.parametrize(
    ('edit', 'reason'),
    [
        ({'colour': 'red'}, 'colour: '),
        ({'network.heads': 4}, 'network.swiftdiff.heads: '),
        ({'network.kind': 'perceptron'}, "network: .*'perceptron'"),
        ({'format': 1}, 'format: it is 1, but this version reads 2: .* train it again'),
        ({'format': 'new'}, 'format: it is new'),
        ({'noise_seed': 'lucky'}, 'noise_seed: '),
        ({'window.rate_hz': 0}, 'window.rate_hz: '),
        ({'window.history_frames': 1}, 'window.history_frames: '),
        ({'window.coefficients': 13}, 'window.coefficients is 13, more than the frames'),
        ({'ddim_steps': 501}, 'ddim_steps: '),
        ({'ddim_grid': 'trailing', 'prediction': 'epsilon'}, 'cannot start at ddim_grid trailing'),
        ({'start_timestep': 1000}, 'start_timestep: '),
        ({'prediction': 'velocity'}, 'prediction: '),
        ({'layout.joints': {}}, 'layout.joints: '),
        ({'layout.common_names': {'l_hip': 'spine'}}, 'frame heading needs hips'),
        ({'calibration': CALIBRATION | {'coverages': [2]}}, 'calibration.coverages'),
        ({'calibration': CALIBRATION | {'coverages': [0.9, 0.9]}}, 'coverages must ascend'),
        ({'calibration': CALIBRATION | {'samples': []}}, 'calibration.samples'),
        ({'calibration': CALIBRATION | {'frames': [8]}}, 'calibration frame 8 lies after the 7'),
        ({'calibration': CALIBRATION | {'kind': 'psychic'}}, 'calibration.kind'),
        ({'calibration': CALIBRATION}, r'missing: calibration.body_scale \(of 5\)'),
        ({'network.width': 9}, r'network\.'),
        ({'network.layers': 2}, 'network.blocks.1'),
        ({'window.coefficients': 5}, r'of shape \(7,\).* of shape \(6,\)'),
        ({'root': 'damped'}, 'of shape'),
        ({'parametrisation': 'official'}, 'the tensor parametrisation.* does not belong'),
    ],
)
def test_a_header_that_does_not_hold_is_refused(
    save_with: Callable[..., Path], edit: dict[str, Any], reason: str
) -> None:
    sentence = refusal(save_with(edit=edit))
    assert re.search(reason, sentence), sentence


def test_a_header_that_asks_for_more_memory_than_there_is_is_refused(
    save_with: Callable[..., Path],
) -> None:
    path = save_with(edit={'network.width': 10_000, 'network.layers': 64})  # 51 GB
    assert 'the header describes' in refusal(path)


def test_a_width_that_heads_do_not_divide_is_refused(
    save_with: Callable[..., Path],
) -> None:
    network = {'kind': 'transfusion', 'layers': 1, 'width': 9, 'heads': 2, 'ff_width': 8}
    assert 'no multiple of network.heads 2' in refusal(save_with(edit={'network': network}))


@pytest.mark.parametrize(
    ('tensors', 'reason'),
    [
        ({'network.out.bias': None}, 'network.out.bias'),
        ({'parametrisation.scale': None}, 'parametrisation.scale'),
        ({'network.more': torch.zeros(1)}, 'network.more'),
        ({'elsewhere': torch.zeros(1)}, 'elsewhere'),
        ({'calibration.scale': torch.zeros(7, 22)}, 'calibration.scale .*not positive'),
        ({'calibration.terms': -torch.ones(7)}, 'calibration.terms .*negative'),
        ({'calibration.pace_floor': -torch.ones(7)}, 'calibration.pace_floor .*negative'),
        ({'calibration.scale': torch.ones(1, 7)}, 'the tensor calibration.scale does not belong'),
        ({'network.out.bias': torch.zeros(65)}, r'network.out.bias .*\(65,\)'),
        ({'network.out.bias': torch.zeros(66, dtype=torch.int64)}, 'network.out.bias .*int64'),
        ({'network.out.bias': torch.full((66,), torch.nan)}, 'network.out.bias .*not finite'),
        ({'network.out.bias': torch.full((66,), torch.inf)}, 'network.out.bias .*not finite'),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(
    save_with: Callable[..., Path], tensors: dict[str, Tensor | None], reason: str
) -> None:
    sentence = refusal(save_with(tensors))
    assert re.search(reason, sentence), sentence


def test_a_calibration_of_other_groups_is_refused_by_name(
    save_with: Callable[..., Path], make_checkpoint: Callable[..., Checkpoint]
) -> None:
    sets = make_checkpoint(calibrated=True).tensors
    sets = {name: tensor for name, tensor in sets.items() if name.startswith('calibration.')}
    sentence = refusal(save_with(sets, {'calibration': CALIBRATION | {'samples': [4, 2]}}))
    assert 'calibration.scale is torch.float32 of shape (1, 2, 6, 2, 2)' in sentence
    assert 'asks for real numbers of shape (1, 2, 6, 1, 2)' in sentence


def test_weights_in_half_precision_run_in_single(save_with: Callable[..., Path]) -> None:
    checkpoint = load_checkpoint(save_with({'network.out.bias': torch.ones(66).half()}))
    weights = checkpoint.build_network().state_dict()
    assert weights['out.bias'].dtype == torch.float32
