"""A denoiser on a graph of joints. The edges of the graph are learnt."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from motion_predictor.model.dropout import Dropout
from motion_predictor.model.layers import zero_init


class GraphLayer(nn.Module):
    """Mixes the joints along learnt edges, and then the values within each joint."""

    def __init__(self, joints: int, width: int, dropout: float) -> None:
        super().__init__()
        self.edges = nn.Parameter(torch.eye(joints) + 0.01 * torch.randn(joints, joints))
        self.norm = nn.LayerNorm(width)
        self.values = nn.Linear(width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the values of the joints (B, J, width), with those of their neighbours added."""
        return x + self.dropout(functional.gelu(self.values(self.edges @ self.norm(x))))


class GraphDenoiser(nn.Module):
    """A one-step denoiser made of graph convolutions like those of Mao et al. (arXiv 1908.05436).

    Every joint is a node of the graph. The values of a node come from all coefficients of the
    joint. Every layer learns its own edges between joints.

    Args:
        features: number of values per frame, D: three for each of J joints.
        coefficients: number of coefficients in time, K.
        layers: number of graph convolutions.
        width: number of values per node.
        dropout: dropout probability in training.
    """

    def __init__(
        self, features: int, coefficients: int, layers: int, width: int, dropout: float
    ) -> None:
        super().__init__()
        joints = features // 3
        self.noise_embed = nn.Linear(3 * coefficients, width)
        self.history_embed = nn.Linear(3 * coefficients, width)
        self.layers = nn.ModuleList(GraphLayer(joints, width, dropout) for _ in range(layers))
        self.out = zero_init(nn.Linear(width, 3 * coefficients))

    def embed(self, noise: Tensor) -> Tensor:
        """Return features (..., J, width) of noise (..., K, D), independent of the history."""
        return self.noise_embed(_by_joint(noise))

    def denoise(self, embedded: Tensor, condition: Tensor) -> Tensor:
        """Return samples of the clean coefficients, denoised in one step.

        Args:
            embedded: features of the noise from `embed`, (P, S, J, width), or (1, S, J, width)
                if all people share the same noise.
            condition: coefficients of the history, (P, K, D).

        Returns:
            The clean coefficients (P, S, K, D).
        """
        seen = self.history_embed(_by_joint(condition))  # (P, J, width)
        h = (embedded + seen[:, None]).flatten(0, 1)
        for layer in self.layers:
            h = layer(h)
        by_joint = self.out(h).unflatten(0, (len(condition), -1))  # (P, S, J, 3K)
        return by_joint.unflatten(-1, (-1, 3)).transpose(-3, -2).flatten(-2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return B denoised coefficients (B, K, D), each for its own condition (B, K, D)."""
        return self.denoise(self.embed(x[:, None]), condition)[:, 0]


def _by_joint(coefficients: Tensor) -> Tensor:
    """Return coefficients (..., K, D) sorted by joint (..., J, 3K)."""
    return coefficients.unflatten(-1, (-1, 3)).transpose(-3, -2).flatten(-2)
