"""Runs the module as a CUDA graph: one launch instead of hundreds.

There is one graph for each number of people and samples. The CUDA documentation says that graphs
must be captured and replayed in one thread. In this package, the thread that loads the predictor
also predicts. See "CUDA Graphs" in PyTorch's notes on CUDA semantics.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motion_predictor.engines import Inputs, Result, Run

WARM_UP_CALLS = 3


class _Graph:
    """A CUDA graph of the module for one number of people and samples, with fixed buffers.

    All graphs share one pool of GPU memory. Sharing is safe, because graphs run one after the
    other, and the results of a graph are on the host before the next graph starts.
    """

    def __init__(self, module: nn.Module, inputs: Inputs, pool: Any) -> None:
        self._inputs = tuple(tensor.clone() for tensor in inputs)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_CALLS):
                module(*self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool):
            self._outputs = module(*self._inputs)
        self._history = torch.empty(inputs[0].shape, pin_memory=True)
        self._host = [torch.empty(output.shape, pin_memory=True) for output in self._outputs]
        self._done = torch.cuda.Event()

    def __call__(self, history: Tensor, noise: Tensor, embedded: Tensor) -> Result:
        self._history.copy_(history)
        for buffer, fresh in zip(self._inputs, (self._history, noise, embedded), strict=True):
            buffer.copy_(fresh, non_blocking=True)
        self._graph.replay()
        for host, output in zip(self._host, self._outputs, strict=True):
            host.copy_(output, non_blocking=True)
        self._done.record()
        self._done.synchronize()
        # The results are copied, since the next call overwrites these buffers.
        deviations, mean, spread = (host.clone() for host in self._host)
        return deviations, mean, spread


def build(module: nn.Module, inputs: Inputs, path: Path) -> Run:
    """Return a function that captures a graph for each new input shape, and then replays it.

    Raises:
        RuntimeError: if the module is not on a GPU.
    """
    device = inputs[1].device
    if device.type != 'cuda':
        raise RuntimeError(f"it needs an NVIDIA GPU, but the device is '{device}'")
    graphs: dict[tuple[int, int], _Graph] = {}
    pool = torch.cuda.graph_pool_handle()

    def run(history: Tensor, noise: Tensor, embedded: Tensor) -> Result:
        shape = len(history), len(noise)
        with torch.cuda.device(device):
            if shape not in graphs:
                graphs[shape] = _Graph(module, (history.to(device), noise, embedded), pool)
            return graphs[shape](history, noise, embedded)

    return run


def has_to_be_made(inputs: Inputs, path: Path) -> bool:
    """Return False, since building a CUDA graph never takes long."""
    return False
