"""A training step as one CUDA graph, so that the GPU does not wait for Python."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

WARM_UP_STEPS = 3


def captured(gradients: Callable[[], Tensor], network: nn.Module) -> Callable[[], Tensor]:
    """Return a function that replays a step, with new random numbers each time.

    Args:
        gradients: returns the loss and leaves its gradients in the network. It must run the same
            GPU operations every time.
        network: network on the GPU.

    Returns:
        A function like `gradients`. Its gradients replace those of the previous step.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # libraries set themselves up in the first calls
        for _ in range(WARM_UP_STEPS):
            network.zero_grad(set_to_none=True)
            gradients()
    torch.cuda.current_stream().wait_stream(stream)
    network.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = gradients()

    def replay() -> Tensor:
        graph.replay()
        return loss.clone()

    return replay
