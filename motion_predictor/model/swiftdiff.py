"""SwiftDiff, the student: an MLP-Mixer that denoises in one step (arXiv 2409.12456)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from motion_predictor.model.layers import SqueezeExcitation, zero_init


class MixingMLP(nn.Module):
    """Two linear layers of equal width with GELU and dropout."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.fc2(self.dropout(functional.gelu(self.fc1(x)))))


class MixerBlock(nn.Module):
    """Mixes tokens, then channels; both results pass the same squeeze-excitation."""

    def __init__(self, tokens: int, width: int, dropout: float) -> None:
        super().__init__()
        self.LN1 = nn.LayerNorm(width)
        self.mlp_block_token_mixing = MixingMLP(tokens, dropout)
        self.LN2 = nn.LayerNorm(width)
        self.mlp_block_channel_mixing = MixingMLP(width, dropout)
        self.se = SqueezeExcitation(tokens)

    def forward(self, x: Tensor) -> Tensor:
        y = self.mlp_block_token_mixing(self.LN1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.se(y)  # (B, K+1, width)
        return x + self.se(self.mlp_block_channel_mixing(self.LN2(x)))


class SwiftDiff(nn.Module):
    """The one-step denoiser; parameter names are those of the official state dict.

    Args:
        features: D, values per frame (three per predicted joint).
        coefficients: K, DCT coefficients (tokens).
        layers: mixer blocks.
        width: channels per token.
        dropout: probability, in training only.
    """

    def __init__(
        self,
        features: int,
        coefficients: int = 20,
        layers: int = 12,
        width: int = 768,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.joint_embed = nn.Linear(features, width)
        self.cond_embed = nn.Linear(features * coefficients, width)
        self.blocks = nn.ModuleList(
            MixerBlock(coefficients + 1, width, dropout) for _ in range(layers)
        )
        self.out = zero_init(nn.Linear(width, features))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Denoise coefficients in one step, from the one timestep the network was trained on.

        Args:
            x: (B, K, D) noise.
            condition: (B, K, D) coefficients of the padded history.

        Returns:
            (B, K, D): the noise, or the clean coefficients, as the checkpoint says.
        """
        token = self.cond_embed(condition.flatten(1))[:, None]  # (B, 1, width)
        h = torch.cat([token, self.joint_embed(x)], dim=1)  # (B, K+1, width)
        for block in self.blocks:
            h = block(h)
        return self.out(h[:, 1:])  # (B, K, D)
