"""Whether TensorRT has all operations of the networks, checked by name, without a GPU."""

import pytest

from motion_predictor.engines.choice import walkers
from motion_predictor.engines.export import export, free_sizes
from motion_predictor.predictor import MotionPredictor

# From the source code of torch_tensorrt 2.14: operations with a converter (conversion/),
# operations that are decomposed before (lowering/), and assertions, which are removed.
CONVERTED = {
    'add.Tensor',
    'addmm',
    'arange.start_step',
    'bmm',
    'cat',
    'clamp',
    'clone',
    'div.Tensor',
    'expand',
    'gelu',
    'gt.Scalar',
    'index.Tensor',
    'mean.dim',
    'mm',
    'mul.Tensor',
    'native_layer_norm',
    'neg',
    'permute',
    'relu',
    'select.int',
    'sigmoid',
    'slice.Tensor',
    'split_with_sizes',
    'sqrt',
    'squeeze.dims',
    'sub.Tensor',
    'sum.dim_IntList',
    'sym_size.int',
    'unsqueeze',
    'view',
    'where.self',
}
TAKEN_APART = {'full_like', 'linalg_vector_norm'}
REMOVED = {'_assert_tensor_metadata'}
OF_SIZES = {'add', 'floordiv', 'getitem', 'mul', 'sub'}


def operations(predictor: MotionPredictor) -> set[str]:
    """Return the names of all functions that the graph of a whole prediction calls."""
    layout = predictor.checkpoint.header.layout
    rate_hz = predictor.checkpoint.header.window.rate_hz
    history = walkers(layout, predictor.checkpoint.header.window.history_frames, rate_hz)[:2]
    inputs = history, predictor._noise, predictor._embedded
    program = export(predictor._module, inputs, free_sizes(8, 8)).run_decompositions()
    found = set()
    for node in program.graph.nodes:
        if node.op == 'call_function':
            name = str(node.target) if 'aten' in str(node.target) else node.target.__name__
            found.add(name.removeprefix('aten.').removesuffix('.default'))
    return found


@pytest.mark.parametrize('checkpoint', ['default', 'accurate'])
def test_everything_that_ships_has_converters(checkpoint: str) -> None:
    used = operations(MotionPredictor.load(checkpoint, 'cpu', samples=8, backend='eager'))
    assert {'addmm', 'native_layer_norm'} <= used
    assert used - CONVERTED - TAKEN_APART - REMOVED - OF_SIZES == set()
