"""Compiled ahead of time for the CPU: one package for any number of people and samples.

The package holds machine code and weights. Loading it compiles nothing and running it
needs no Python.
"""

import copy
import logging
import os
import shutil
import zipfile
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from motion_predictor.common.files import written_whole
from motion_predictor.engines import Inputs, Result, Run
from motion_predictor.engines.export import export, free_sizes, torchs_own_warnings_ignored

logger = logging.getLogger(__name__)

MOST = 1000
"""People, or samples, that the package takes."""


def build(module: nn.Module, inputs: Inputs, path: Path) -> Run:
    """Return what runs the package, compiled if it is not there yet or damaged.

    Raises:
        RuntimeError: if the module is not on the CPU, or there is no compiler.
        Exception: whatever the compiler raises.
    """
    if inputs[0].device.type != 'cpu':
        raise RuntimeError('it is made for the CPU')
    if not _is_sound(path):
        compiler = os.environ.get('CXX', 'g++')
        if shutil.which(compiler) is None:
            raise RuntimeError(f"there is no C++ compiler '{compiler}'")
        _announce()
        with torchs_own_warnings_ignored():
            _compile(module, inputs, path)
    # Its own threads would only wait for the one that predicts.
    loaded = torch._inductor.aoti_load_package(str(path), run_single_threaded=True)

    def run(history: Tensor, noise: Tensor, embedded: Tensor) -> Result:
        # Called itself, what was loaded parses a description of its inputs and outputs every time.
        samples, mean, spread = loaded.loader.boxed_run([history, noise, embedded])
        return samples, mean, spread

    return run


@cache
def _announce() -> None:
    """Say once that it takes a while, however many networks are compiled."""
    logger.warning('compiling for this machine: about a minute for each network, once')


def _is_sound(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as package:
            return package.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def _compile(module: nn.Module, inputs: Inputs, path: Path) -> None:
    """Write the package of a module.

    Measured on `default`: adding the bias after the matrix product saves a tenth of the time,
    weights that lie transposed in memory a twentieth; constants folded and packed ("freezing")
    cost a fifth, and products by the compiler's own templates ("max_autotune") were wrong.
    """
    program = export(_transposed(module), inputs, free_sizes(MOST, MOST))
    program = program.run_decompositions(
        {torch.ops.aten.addmm.default: _addmm, torch.ops.aten.linear.default: _linear}
    )
    with written_whole(path, folder_mode=0o700) as draft:
        torch._inductor.aoti_compile_and_package(
            program,
            package_path=str(draft),
            inductor_configs={'pattern_matcher': False},  # it would put the biases back
        )


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
    """Leave the bias to the pointwise kernel that follows; a product copies it to its result."""
    return left @ right + bias
