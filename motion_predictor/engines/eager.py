"""Runs the module eagerly, operation by operation.

Eager is slow, and is the reference with which every other backend is compared.
"""

from torch import Tensor, nn

from motion_predictor.engines import Result, Run


def build(module: nn.Module) -> Run:
    """Return a function that runs the module eagerly, with histories and results on the CPU."""

    def run(history: Tensor, noise: Tensor, embedded: Tensor) -> Result:
        deviations, mean, spread = module(history.to(noise.device), noise, embedded)
        return deviations.cpu(), mean.cpu(), spread.cpu()

    return run
