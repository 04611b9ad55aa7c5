"""Runs the module with TensorRT, through torch_tensorrt.

The TensorRT engine is built and saved once, and loaded from then on.
"""

import ctypes
import io
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motion_predictor.engines import Inputs, Result, Run, eager
from motion_predictor.engines.cache import SEAL_BYTES, ensure, is_sound
from motion_predictor.engines.export import export, free_sizes

MAX_PEOPLE = 8
MADE_WITH = ('torch_tensorrt', 'tensorrt')


def build(module: nn.Module, inputs: Inputs, path: Path) -> Run:
    """Return a function that runs a TensorRT engine, or runs eager for more than 8 people.

    The greatest number of samples is that of the example inputs.

    Raises:
        RuntimeError: if the module is not on a GPU.
        ImportError: if torch_tensorrt is not installed.
        OSError: if the engine cannot be written.
        Exception: any error that TensorRT raises.
    """
    device = inputs[1].device
    if device.type != 'cuda':
        raise RuntimeError(f"it needs an NVIDIA GPU, but the device is '{device}'")
    import torch_tensorrt  # this import is needed even to load an engine

    file = _file(inputs, path)
    ensure(file, lambda draft: _compile(torch_tensorrt, module, inputs, draft))
    loaded = torch.export.load(io.BytesIO(file.read_bytes()[:-SEAL_BYTES])).module()
    compiled, plain = eager.build(loaded), eager.build(module)

    def run(history: Tensor, noise: Tensor, embedded: Tensor) -> Result:
        return (compiled if len(history) <= MAX_PEOPLE else plain)(history, noise, embedded)

    return run


def has_to_be_made(inputs: Inputs, path: Path) -> bool:
    """Return whether `build` has to make the engine, because its file is missing or damaged."""
    return inputs[1].device.type == 'cuda' and not is_sound(_file(inputs, path))


def versions(device: torch.device) -> tuple[str, ...]:
    """Return the versions of TensorRT and of the GPU driver, on which an engine depends."""
    found = []
    for name in MADE_WITH:
        try:
            found.append(f'{name} {version(name)}')
        except PackageNotFoundError:
            continue
    driver = ctypes.c_int(0)
    if device.type == 'cuda':
        ctypes.CDLL('libcuda.so.1').cuDriverGetVersion(ctypes.byref(driver))
    return (*found, f'driver {driver.value}')


def _file(inputs: Inputs, path: Path) -> Path:
    # Each engine is built for a greatest number of samples. This number is part of the file name.
    return path.with_name(f'{path.name}-{len(inputs[1])}.pt2')


def _compile(torch_tensorrt: Any, module: nn.Module, inputs: Inputs, draft: Path) -> None:
    free = free_sizes(MAX_PEOPLE, len(inputs[1]))
    ranges = [
        torch_tensorrt.Input(
            min_shape=(1, *tensor.shape[1:]),
            opt_shape=(1 if tensor is inputs[0] else len(tensor), *tensor.shape[1:]),
            max_shape=(MAX_PEOPLE if tensor is inputs[0] else len(tensor), *tensor.shape[1:]),
        )
        for tensor in inputs
    ]
    engine = torch_tensorrt.dynamo.compile(
        export(module, inputs, free),
        inputs=ranges,
        use_explicit_typing=True,  # the types of the weights choose float32 or bfloat16
        disable_tf32=True,
        min_block_size=1,
        require_full_compilation=True,
        use_python_runtime=False,  # an engine of the Python runtime cannot be saved
    )
    torch_tensorrt.save(
        engine,
        str(draft),
        output_format='exported_program',
        arg_inputs=inputs,
        dynamic_shapes=free,
    )
