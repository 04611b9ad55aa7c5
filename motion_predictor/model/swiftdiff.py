"""SwiftDiff, the student: an MLP-Mixer that denoises in one step (arXiv 2409.12456)."""

import torch
from torch import Tensor, nn

from motion_predictor.model.layers import MixerBlock, zero_init


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
            x: (P * S, K, D) noise, S for each condition in turn.
            condition: (P, K, D) coefficients of the padded history, embedded once each.

        Returns:
            (P * S, K, D): the noise, or the clean coefficients, as the checkpoint says.
        """
        samples = len(x) // max(1, len(condition))
        token = self.cond_embed(condition.flatten(1)).repeat_interleave(samples, 0)  # (B, width)
        h = torch.cat([token[None], self.joint_embed(x.transpose(0, 1))])  # (K+1, B, width)
        for block in self.blocks:
            h = block(h)
        return self.out(h[1:]).transpose(0, 1)  # (B, K, D)
