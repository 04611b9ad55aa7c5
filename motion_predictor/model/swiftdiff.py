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

    def embed(self, noise: Tensor) -> Tensor:
        """Return the features (..., K, width) of noise (..., K, D), without the history."""
        return self.joint_embed(noise)

    def denoise(self, embedded: Tensor, condition: Tensor) -> Tensor:
        """Denoise coefficients in one step, from the timestep that the network was trained on.

        Args:
            embedded: (P, S, K, width) result of `embed`. A first dimension of 1 serves all people.
            condition: (P, K, D) coefficients of the padded history. They are embedded once per
                person.

        Returns:
            (P, S, K, D): the noise or the clean coefficients, whichever the network was trained
            to predict.
        """
        shape = condition.shape[0], embedded.shape[1]
        token = self.cond_embed(condition.flatten(1))[None, :, None]  # (1, P, 1, width)
        tokens = embedded.permute(2, 0, 1, 3)  # (K, P or 1, S, width)
        h = torch.cat([token.expand(-1, *shape, -1), tokens.expand(-1, *shape, -1)])
        h = h.flatten(1, 2)  # (K+1, P * S, width)
        for block in self.blocks:
            h = block(h)
        return self.out(h[1:]).unflatten(1, shape).permute(1, 2, 0, 3)  # (P, S, K, D)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Denoise coefficients (B, K, D), each under a condition (B, K, D) of its own."""
        return self.denoise(self.embed(x[:, None]), condition)[:, 0]
