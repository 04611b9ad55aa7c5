"""A denoiser of one's own: one perceptron for all coefficients together.

    pip install -e examples/denoiser
    train student --set 'network={kind: my_perceptron, width: 512}' ...

Its checkpoints run wherever this package is installed, the node included.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn


class Perceptron(nn.Module):
    """What a denoiser has to have: `embed` and `denoise`."""

    def __init__(self, features: int, coefficients: int, width: int) -> None:
        super().__init__()
        values = features * coefficients
        self.noise_embed = nn.Linear(values, width)
        self.history_embed = nn.Linear(values, width)
        self.out = nn.Sequential(
            nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, values)
        )

    def embed(self, noise: Tensor) -> Tensor:
        """Embed noise (..., K, D), without the history."""
        return self.noise_embed(noise.flatten(-2))

    def denoise(self, embedded: Tensor, condition: Tensor) -> Tensor:
        """Return clean coefficients (P, S, K, D).

        Args:
            embedded: (P, S, ...) of `embed`; a first dimension of 1 serves all people.
            condition: (P, K, D) what was observed.
        """
        seen = self.history_embed(condition.flatten(-2))  # (P, width)
        return self.out(embedded + seen[:, None]).unflatten(-1, condition.shape[1:])


class PerceptronSpec(BaseModel):
    """Its sizes, as a configuration and a checkpoint hold them."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    kind: Literal['my_perceptron'] = 'my_perceptron'
    width: int
    dropout: float = 0.0

    def build(self, features: int, coefficients: int) -> Perceptron:
        """Return the network with fresh weights."""
        return Perceptron(features, coefficients, self.width)
