"""Records a training step as a CUDA graph, so that the GPU does not wait for Python."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

WARM_UP_STEPS = 3


def captured(gradients: Callable[[], Tensor], network: nn.Module) -> Callable[[], Tensor]:
    """Record a training step; return a function that replays it with new random numbers.

    Args:
        gradients: function that returns the loss and adds its gradients to the network. Every call
            of `gradients` must run the same GPU operations.
        network: network that is trained, on the GPU.

    Returns:
        A function that does the same as `gradients`, except that the gradients replace those of
        the previous step.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # libraries initialise themselves in the first steps
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
