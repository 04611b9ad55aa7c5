"""An example of a custom denoiser: one perceptron for all coefficients together.

    pip install -e examples/denoiser
    train student --set 'network={kind: my_perceptron, width: 512}' ...

Checkpoints of this denoiser run on every machine where this package is installed, also in the
node.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn


class Perceptron(nn.Module):
    """The network of the example. A denoiser must have the methods `embed` and `denoise`."""

    def __init__(self, features: int, coefficients: int, width: int) -> None:
        super().__init__()
        values = features * coefficients
        self.noise_embed = nn.Linear(values, width)
        self.history_embed = nn.Linear(values, width)
        self.out = nn.Sequential(
            nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, values)
        )

    def embed(self, noise: Tensor) -> Tensor:
        """Return the embedding of noise (..., K, D), which does not depend on the history."""
        return self.noise_embed(noise.flatten(-2))

    def denoise(self, embedded: Tensor, condition: Tensor) -> Tensor:
        """Return denoised coefficients of the motion (P, S, K, D).

        Args:
            embedded: result of `embed` (P, S, ...). If the first dimension is 1 instead of P, all
                people share the same noise.
            condition: coefficients of the observed history (P, K, D).
        """
        seen = self.history_embed(condition.flatten(-2))  # (P, width)
        return self.out(embedded + seen[:, None]).unflatten(-1, condition.shape[1:])


class PerceptronSpec(BaseModel):
    """Kind and sizes of the network, as stored in configurations and checkpoints."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    kind: Literal['my_perceptron'] = 'my_perceptron'
    width: int
    dropout: float = 0.0

    def build(self, features: int, coefficients: int) -> Perceptron:
        """Return a network with random weights."""
        return Perceptron(features, coefficients, self.width)
