"""A TensorRT engine through torch_tensorrt: built once, saved, and loaded from then on."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motion_predictor.common.files import written_whole
from motion_predictor.engines import Inputs, Result, Run, eager
from motion_predictor.engines.export import export, free_sizes

MAX_PEOPLE = 8


def build(module: nn.Module, inputs: Inputs, path: Path) -> Run:
    """Return a TensorRT engine for up to 8 people and up to the example's samples.

    Raises:
        RuntimeError: if the module is not on a GPU.
        ImportError: if there is no torch_tensorrt.
        Exception: whatever TensorRT raises.
    """
    device = inputs[1].device
    if device.type != 'cuda':
        raise RuntimeError(f"it needs an NVIDIA GPU, the device is '{device}'")
    import torch_tensorrt  # loading an engine needs it too

    path = path.with_stem(f'{path.stem}-{len(inputs[1])}')  # it is made for so many samples
    if not path.is_file():
        _compile(torch_tensorrt, module, inputs, path)
    try:
        loaded = torch.export.load(path).module()
    except Exception:  # a damaged file can fail in many ways
        _compile(torch_tensorrt, module, inputs, path)
        loaded = torch.export.load(path).module()
    compiled, plain = eager.build(loaded), eager.build(module)

    def run(history: Tensor, noise: Tensor, embedded: Tensor) -> Result:
        return (compiled if len(history) <= MAX_PEOPLE else plain)(history, noise, embedded)

    return run


def _compile(torch_tensorrt: Any, module: nn.Module, inputs: Inputs, path: Path) -> None:
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
        use_explicit_typing=True,  # the module says itself what may be bfloat16
        disable_tf32=True,
        min_block_size=1,
        require_full_compilation=True,
        use_python_runtime=False,  # what runs in Python cannot be saved
    )
    with written_whole(path, folder_mode=0o700) as draft:
        torch_tensorrt.save(
            engine,
            str(draft),
            output_format='exported_program',
            arg_inputs=inputs,
            dynamic_shapes=free,
        )
