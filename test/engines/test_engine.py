"""Engines with a tiny network: each agrees with eager, or says why it is not used."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from motion_predictor.checkpoint import Checkpoint, SharedTrunkSpec
from motion_predictor.engines import choice, eager
from motion_predictor.engines.cache import SEAL_BYTES, is_sound
from motion_predictor.engines.choice import LADDER, TOLERANCE_M, walkers
from motion_predictor.engines.export import export, free_sizes
from motion_predictor.model.layers import reduce_precision
from motion_predictor.model.shared_trunk import SharedTrunk
from motion_predictor.model.statistics import WithStatistics
from motion_predictor.predictor import MotionPredictor
from motion_predictor.skeleton import known_layouts

FloatArray = NDArray[np.float32]
CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def saved(
    make_checkpoint: Callable[..., Checkpoint], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A tiny shared trunk as a file, since only a file has the hash that compilation needs."""
    network = SharedTrunkSpec(layers=1, width=16, branch_layers=1, branch_width=8)
    path = tmp_path_factory.mktemp('checkpoint') / 'tiny.safetensors'
    make_checkpoint(calibrated=True, network=network).save(path)
    return path


@pytest.fixture(scope='module', autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of engines for these tests only."""
    home = tmp_path_factory.mktemp('cache')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(home))
        yield home / 'motion_predictor'


@pytest.fixture(scope='module')
def crowd() -> FloatArray:
    return walkers(known_layouts()['smpl22'], 5, 20.0).numpy()


def load(path: Path, backend: str, samples: int = 4) -> MotionPredictor:
    return MotionPredictor.load(path, device='cpu', samples=samples, backend=backend)


def of_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, 'cpu_capabilities', dict)


@pytest.mark.parametrize(
    ('kind', 'rounding_m'),
    # Attention with random weights moves joints by metres, so that rounding errors are larger.
    [
        ('shared trunk', 1e-5),
        ('tiny', 1e-5),
        ('tiny_symmetric', 1e-5),
        ('tiny_official', 1e-4),
    ],
)
def test_a_compiled_predictor_agrees_with_eager_for_any_people_and_samples(
    request: pytest.FixtureRequest,
    saved: Path,
    tmp_path: Path,
    crowd: FloatArray,
    kind: str,
    rounding_m: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_single_precision(monkeypatch)
    path = saved
    if kind != 'shared trunk':
        monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))  # tests count files in the cache
        path = tmp_path / f'{kind}.safetensors'
        request.getfixturevalue(kind).save(path)
    compiled, eager = load(path, 'compiled'), load(path, 'eager')
    assert (compiled.engine.backend, compiled.engine.precision) == ('compiled', 'float32')
    assert compiled.engine.attempts == ()
    assert 0 < compiled.engine.error_m < rounding_m, 'it is verified, and is another engine'
    for people in (1, 2, 4):
        for samples in (1, 3, 4):
            ours = compiled.predict(crowd[:people], samples)
            theirs = eager.predict(crowd[:people], samples)
            for field in ('samples', 'mean', 'radius'):
                np.testing.assert_allclose(
                    getattr(ours, field), getattr(theirs, field), atol=rounding_m, err_msg=field
                )
    ours, theirs = compiled.predict(np.asfortranarray(crowd)), compiled.predict(crowd)
    np.testing.assert_array_equal(ours.samples, theirs.samples, 'however a history lies in memory')


def test_a_second_load_compiles_nothing(
    saved: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_single_precision(monkeypatch)
    load(saved, 'compiled')
    monkeypatch.setattr(choice.compiled, '_compile', None)
    assert load(saved, 'auto', samples=3).engine.backend == 'compiled'
    left = [path.suffix for path in cache.iterdir() if path.name != '.lock']
    assert left == ['.so'], 'and no draft is left behind'


@pytest.mark.parametrize('damage', ['empty', 'foreign', 'truncated', 'flipped'])
def test_a_damaged_artefact_is_made_again(
    saved: Path, cache: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_single_precision(monkeypatch)
    load(saved, 'compiled')
    (artefact_path,) = cache.glob('*.so')
    whole = artefact_path.read_bytes()
    middle = len(whole) // 2
    artefact_path.unlink()  # a new file: overwriting a library in use would crash the process
    artefact_path.write_bytes(
        {
            'empty': b'',
            'foreign': b'something else',
            'truncated': whole[:middle],
            'flipped': whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
        }[damage]
    )
    compiled: list[Path] = []

    def compile_again(module: object, inputs: object, path: Path) -> None:
        compiled.append(path)
        path.write_bytes(whole[:-SEAL_BYTES])

    monkeypatch.setattr(choice.compiled, '_compile', compile_again)
    assert load(saved, 'compiled').engine.backend == 'compiled'
    (draft,) = compiled
    assert (draft.name, is_sound(artefact_path)) == (artefact_path.name, True)


def test_without_a_compiler_it_falls_back_to_eager_and_says_so(
    saved: Path, tmp_path: Path
) -> None:
    program = (
        'import sys; from motion_predictor import predictor;'
        'from motion_predictor.engines import choice;'
        'choice.cpu_capabilities = dict;'
        'chosen = predictor.MotionPredictor.load(sys.argv[1], "cpu", 4).engine;'
        'print(chosen.backend, chosen.error_m, *chosen.attempts[0][:2])'
    )
    homes = {'XDG_CACHE_HOME': str(tmp_path), 'TORCHINDUCTOR_CACHE_DIR': str(tmp_path / 'make')}
    done = subprocess.run(
        [sys.executable, '-c', program, str(saved)],
        env={**os.environ, **homes, 'CXX': '/bin/false'},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ['eager', '0.0', 'compiled', 'float32']
    assert 'the compiled engine in float32 is not used: ' in done.stderr
    left = [path.name for path in (tmp_path / 'motion_predictor').iterdir()]
    assert left == ['.lock']


def test_a_missing_compiler_is_named(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setenv('CXX', 'no-such-compiler')
    attempts = load(saved, 'compiled', samples=2).engine.attempts
    assert attempts[-1] == ('compiled', 'float32', "there is no C++ compiler 'no-such-compiler'")


def test_an_engine_that_disagrees_is_not_used(
    saved: Path,
    crowd: FloatArray,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    of_single_precision(monkeypatch)

    def build_a_wrong_one(module: torch.nn.Module, *_: object) -> object:
        def run(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            deviations, mean, spread = module(*inputs)
            return deviations, mean + 2 * TOLERANCE_M, spread

        return run

    monkeypatch.setitem(choice.BUILDERS, 'compiled', build_a_wrong_one)
    predictor = load(saved, 'auto')
    assert predictor.engine.backend == 'eager'
    assert predictor.engine.attempts == (
        ('compiled', 'float32', 'its joints are 17.3 mm from those of eager'),
    )
    assert '17.3 mm' in caplog.text


def test_results_that_are_no_numbers_are_not_agreement(saved: Path) -> None:
    def silent(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(torch.full_like(tensor, torch.nan) for tensor in right(*inputs))

    predictor = load(saved, 'eager')
    right = predictor.engine
    assert choice.disagreement_m(right, right, predictor._case()) == 0
    assert choice.disagreement_m(silent, right, predictor._case()) == np.inf


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
@pytest.mark.parametrize('backend', ['cuda_graph', 'tensorrt'])
def test_what_needs_a_gpu_is_refused_without_one(
    saved: Path, crowd: FloatArray, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, 'LADDER', [rung for rung in LADDER if rung[0] != 'compiled'])
    predictor = load(saved, backend)
    assert predictor.engine.backend == 'eager'
    assert {name for name, _, _ in predictor.engine.attempts} >= {backend}
    reason = "it needs an NVIDIA GPU, but the device is 'cpu'"
    assert all(outcome == reason for _, _, outcome in predictor.engine.attempts)


@pytest.mark.parametrize(
    ('name', 'of_trunk'), [('default', torch.float32), ('accurate', torch.bfloat16)]
)
def test_reduced_precision_is_safe_for_what_ships(name: str, of_trunk: torch.dtype) -> None:
    predictor = MotionPredictor.load(name, device='cpu', samples=8, backend='eager')
    reduced = WithStatistics(predictor.checkpoint.build())
    reduce_precision(reduced)
    network = reduced.model.network
    assert isinstance(network, SharedTrunk)
    for blocks, precision in ((network.trunk, of_trunk), (network.branch, torch.bfloat16)):
        mixing = [block.get_submodule('mlp_block_channel_mixing') for block in blocks]
        assert {p.dtype for m in mixing for p in m.parameters()} == {precision}
        assert {block.get_parameter('LN1.weight').dtype for block in blocks} == {torch.float32}
    run = eager.build(reduced)
    assert 0 < choice.disagreement_m(run, predictor.engine, predictor._case()) < TOLERANCE_M


@pytest.mark.parametrize('kind', ['tiny', 'tiny_official'])
def test_a_prediction_takes_no_numbers_from_the_host(
    request: pytest.FixtureRequest, crowd: FloatArray, kind: str
) -> None:
    checkpoint: Checkpoint = request.getfixturevalue(kind)
    predictor = MotionPredictor(checkpoint, checkpoint.build(), 'cpu', 4)
    inputs = torch.from_numpy(crowd), predictor._noise, predictor._embedded
    program = export(predictor._module, inputs, free_sizes(4, 4))
    operations = {str(node.target) for node in program.graph.nodes}
    assert 'aten.bmm.default' in operations or 'aten.matmul.default' in operations
    copies = {name for name in operations if 'lift_fresh' in name}
    assert not copies, 'a CUDA graph cannot capture them'


def test_a_checkpoint_that_was_never_saved_is_not_compiled(tiny: Checkpoint) -> None:
    predictor = MotionPredictor(tiny, tiny.build(), 'cpu', 4, backend='compiled')
    assert predictor.engine.backend == 'eager'
    assert 'never saved' in predictor.engine.attempts[0][2]


def test_a_full_disk_is_one_sentence(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    usage = shutil.disk_usage(tmp_path)._replace(free=5 << 20)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage)
    predictor = load(saved, 'compiled', samples=2)
    assert predictor.engine.backend == 'eager'
    ((_, _, why),) = predictor.engine.attempts[-1:]
    assert f'{tmp_path}/motion_predictor has only 5 MB free' in why


def test_figures_walk_within_reach(crowd: FloatArray) -> None:
    assert crowd.shape == (4, 5, 22, 3)
    assert 0.1 < np.linalg.norm(np.diff(crowd[:, :, 0], axis=1), axis=-1).max() * 20 < 3
    assert np.ptp(crowd, axis=2).max() < 3


@pytest.mark.parametrize('precision', ['bfloat16', 'float32'])
@pytest.mark.parametrize('capability', ['amx_bf16', 'avx512_bf16'])
def test_only_the_precision_asked_for_is_tried(
    saved: Path, precision: str, capability: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, 'cpu_capabilities', lambda: {capability: True})
    monkeypatch.setitem(choice.BUILDERS, 'compiled', lambda *inputs: 1 / 0)
    refused = MotionPredictor.load(
        saved, device='cpu', samples=2, backend='compiled', precision=precision
    ).engine.attempts
    assert [attempt[:2] for attempt in refused] == [('compiled', precision)]
