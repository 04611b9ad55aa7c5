"""A denoiser on a graph of joints, whose edges are learnt."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from motion_predictor.model.dropout import Dropout
from motion_predictor.model.layers import zero_init


class GraphLayer(nn.Module):
    """Mixes joints along learnt edges, and the values of each joint."""

    def __init__(self, joints: int, width: int, dropout: float) -> None:
        super().__init__()
        self.edges = nn.Parameter(torch.eye(joints) + 0.01 * torch.randn(joints, joints))
        self.norm = nn.LayerNorm(width)
        self.values = nn.Linear(width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return joints (B, J, width) with the contributions of their neighbours."""
        return x + self.dropout(functional.gelu(self.values(self.edges @ self.norm(x))))


class GraphDenoiser(nn.Module):
    """A one-step denoiser made of graph convolutions like those of Mao et al. (arXiv 1908.05436).

    Every joint is a node with all its coefficients. The edges between joints are learnt in each
    layer.

    Args:
        features: D, values per frame, three for each of J joints.
        coefficients: K, DCT coefficients.
        layers: number of graph convolutions.
        width: number of values per node.
        dropout: probability, in training only.
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
        """Return the features (..., J, width) of noise (..., K, D), without the history."""
        return self.noise_embed(_by_joint(noise))

    def denoise(self, embedded: Tensor, condition: Tensor) -> Tensor:
        """Denoise coefficients in one step.

        Args:
            embedded: (P, S, J, width) result of `embed`. A first dimension of 1 serves all people.
            condition: (P, K, D) coefficients of the padded history.

        Returns:
            (P, S, K, D): the clean coefficients.
        """
        seen = self.history_embed(_by_joint(condition))  # (P, J, width)
        h = (embedded + seen[:, None]).flatten(0, 1)
        for layer in self.layers:
            h = layer(h)
        by_joint = self.out(h).unflatten(0, (len(condition), -1))  # (P, S, J, 3K)
        return by_joint.unflatten(-1, (-1, 3)).transpose(-3, -2).flatten(-2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Denoise coefficients (B, K, D), each under a condition (B, K, D) of its own."""
        return self.denoise(self.embed(x[:, None]), condition)[:, 0]


def _by_joint(coefficients: Tensor) -> Tensor:
    """Return coefficients (..., K, D) as (..., J, 3K)."""
    return coefficients.unflatten(-1, (-1, 3)).transpose(-3, -2).flatten(-2)
