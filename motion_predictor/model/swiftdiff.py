"""SwiftDiff, the student: an MLP-Mixer that denoises in one step (arXiv 2409.12456)."""

import torch
from torch import Tensor, nn

from motion_predictor.model.layers import MixerBlock, zero_init


class SwiftDiff(nn.Module):
    """The one-step denoiser SwiftDiff, with the parameter names of the official state dict.

    Args:
        features: number of values per frame, D: three per predicted joint.
        coefficients: number of coefficients in time, K. Each coefficient is a token.
        layers: number of mixer blocks.
        width: number of channels per token.
        dropout: dropout probability in training.
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
        """Return features (..., K, width) of noise (..., K, D), independent of the history."""
        return self.joint_embed(noise)

    def denoise(self, embedded: Tensor, condition: Tensor) -> Tensor:
        """Return samples of coefficients, denoised in one step.

        The step starts at the diffusion timestep for which the network was trained.

        Args:
            embedded: features of the noise from `embed`, (P, S, K, width), or (1, S, K, width)
                if all people share the same noise.
            condition: coefficients of the history, (P, K, D), which are embedded once per person.

        Returns:
            The noise or the clean coefficients (P, S, K, D), as the network was trained.
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
        """Return B denoised coefficients (B, K, D), each for its own condition (B, K, D)."""
        return self.denoise(self.embed(x[:, None]), condition)[:, 0]
