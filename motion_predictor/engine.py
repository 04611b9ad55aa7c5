"""How the one module runs: one engine for each way of running it."""

from typing import Literal, get_args

from torch import Tensor, nn

Backend = Literal['auto', 'eager', 'compiled', 'cuda_graph', 'tensorrt']
BACKENDS: tuple[str, ...] = get_args(Backend)


class Engine:
    """Runs the module op by op, in single precision: what all other engines are held to.

    Args:
        module: from history (P, H, J, 3) and noise (S, K, D) to samples (P, S, F, J, 3), their
            mean (P, F, J, 3) and their spread (P, F, J).
        attempts: backend, precision and outcome of what was tried before and refused.
    """

    backend: str = 'eager'
    precision: str = 'float32'
    error_m: float = 0.0
    """99th percentile of the distance of joints to eager single precision."""

    def __init__(self, module: nn.Module, attempts: tuple[tuple[str, str, str], ...] = ()) -> None:
        self.module = module
        self.attempts = attempts

    def __call__(self, history: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return samples, mean and spread."""
        return self.module(history, noise)


def choose(module: nn.Module, backend: str) -> Engine:
    """Return the engine asked for, or the next best one that holds."""
    if backend not in BACKENDS:
        raise ValueError(f"there is no backend '{backend}': take one of {', '.join(BACKENDS)}")
    if backend in ('auto', 'eager'):
        return Engine(module)
    return Engine(module, ((backend, 'float32', 'not built yet'),))
