"""A library compiled ahead of time for the CPU, for any number of people and samples.

The library holds machine code and weights. Loading it needs no compilation and no unpacking, and
running it needs no Python.
"""

import copy
import logging
import os
import shutil
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motion_predictor.engines import Inputs, Result, Run
from motion_predictor.engines.cache import ensure, is_sound
from motion_predictor.engines.export import export, free_sizes, torchs_own_warnings_ignored

logger = logging.getLogger(__name__)

MOST = 1000
"""Largest number of people, and of samples, that the library can run."""


def build(module: nn.Module, inputs: Inputs, path: Path) -> Run:
    """Return a function that runs the library. Compile it if it is missing or damaged.

    Raises:
        RuntimeError: if the module is not on the CPU, or there is no compiler.
        OSError: if the library cannot be written.
        Exception: any error that the compiler raises.
    """
    if not _is_for(inputs):
        raise RuntimeError('it needs the CPU')
    library = _library(path)
    with torchs_own_warnings_ignored():
        ensure(library, lambda draft: _compile(module, inputs, draft))
    loaded = torch._C._aoti.AOTIModelContainerRunnerCpu(str(library), 1)

    def run(history: Tensor, noise: Tensor, embedded: Tensor) -> Result:
        deviations, mean, spread = loaded.run([history, noise, embedded])
        return deviations, mean, spread

    return run


def has_to_be_made(inputs: Inputs, path: Path) -> bool:
    """Whether building takes long, because the library is missing or damaged."""
    return _is_for(inputs) and not is_sound(_library(path))


def _is_for(inputs: Inputs) -> bool:
    return inputs[1].device.type == 'cpu'


def _library(path: Path) -> Path:
    return path.with_suffix('.so')


def _compile(module: nn.Module, inputs: Inputs, draft: Path) -> None:
    """Write the library of a module.

    Measured on `default`: Adding the bias after the matrix product saves 10 % of the time. Weights
    that are transposed in memory save 5 %. With folded and packed constants ("freezing") a run
    takes 20 % longer. With the compiler's own templates ("max_autotune"), products were wrong.
    """
    compiler = os.environ.get('CXX', 'g++')
    if shutil.which(compiler) is None:
        raise RuntimeError(f"there is no C++ compiler '{compiler}'")
    _announce()
    program = export(_transposed(module), inputs, free_sizes(MOST, MOST))
    program = program.run_decompositions(
        {torch.ops.aten.addmm.default: _addmm, torch.ops.aten.linear.default: _linear}
    )
    package = draft.with_suffix('.pt2')
    # The compiler's other files lie beside the draft, so they are removed even after an error.
    with torch._inductor.utils.fresh_inductor_cache(dir=str(draft.parent)):
        torch._inductor.aoti_compile_and_package(
            program,
            package_path=str(package),
            inductor_configs=_configuration(),
        )
    with zipfile.ZipFile(package) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith('.so'))
        draft.write_bytes(archive.read(name))


def _configuration() -> dict[str, Any]:
    chosen: dict[str, Any] = {'pattern_matcher': False}  # it would put biases back into products
    if hasattr(torch._inductor.config.aot_inductor, 'precompile_headers'):
        chosen['aot_inductor.precompile_headers'] = False  # they pay off only with many files
    return chosen


@cache
def _announce() -> None:
    """Log that compiling takes a while, once for all networks."""
    logger.warning('compiling for this machine: about a minute for each network, once')


def _transposed(module: nn.Module) -> nn.Module:
    """Return the module with the weights of its linear layers transposed in memory."""
    module = copy.deepcopy(module)
    for linear in module.modules():
        if isinstance(linear, nn.Linear):
            linear.weight.data = linear.weight.data.t().contiguous().t()
    return module


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    product = x @ weight.t()
    return product if bias is None else product + bias


def _addmm(bias: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Add the bias after the product, in the next pointwise kernel.

    A product with a bias would first copy the bias to its result.
    """
    return left @ right + bias
