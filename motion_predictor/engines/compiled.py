"""Compiles the module ahead of time into a library for the CPU.

The library holds machine code and weights, and runs any number of people and samples. Loading the
library needs no compilation and no unpacking. Running the library needs no Python.
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
    """Return a function that runs the library. Compile the library if it is missing or damaged.

    Raises:
        RuntimeError: if the module is not on the CPU, or if there is no compiler.
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
    """Return whether `build` has to compile, because the library is missing or damaged."""
    return _is_for(inputs) and not is_sound(_library(path))


def _is_for(inputs: Inputs) -> bool:
    return inputs[1].device.type == 'cpu'


def _library(path: Path) -> Path:
    return path.with_suffix('.so')


def _compile(module: nn.Module, inputs: Inputs, draft: Path) -> None:
    """Compile a module and write the library.

    The options were measured on the checkpoint `default`. Adding the bias after the matrix product
    saves 10 % of the time. Weights that are transposed in memory save 5 % of the time. Folded and
    packed constants ("freezing") make a run 20 % longer. With the compiler's own templates
    ("max_autotune"), matrix products were wrong.
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
    # The compiler writes its other files beside the draft, where all files are removed with the
    # draft, even after an error.
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
    # The pattern matcher would put the biases back into the matrix products.
    chosen: dict[str, Any] = {'pattern_matcher': False}
    if hasattr(torch._inductor.config.aot_inductor, 'precompile_headers'):
        # Precompiled headers save time only if many files are compiled.
        chosen['aot_inductor.precompile_headers'] = False
    return chosen


@cache
def _announce() -> None:
    """Log that compiling takes about a minute. Only the first call logs."""
    logger.warning('compiling for this machine: about a minute for each network, once')


def _transposed(module: nn.Module) -> nn.Module:
    """Return a copy of the module whose linear layers store their weights transposed in memory."""
    module = copy.deepcopy(module)
    for linear in module.modules():
        if isinstance(linear, nn.Linear):
            linear.weight.data = linear.weight.data.t().contiguous().t()
    return module


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    product = x @ weight.t()
    return product if bias is None else product + bias


def _addmm(bias: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return `left @ right + bias`, with the bias added in the next pointwise kernel.

    A matrix product with a bias (addmm) would first copy the bias to the place of its result.
    """
    return left @ right + bias
