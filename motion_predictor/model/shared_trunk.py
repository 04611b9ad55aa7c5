"""A student network that does most of its work once per person, and only the rest per sample."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from motion_predictor.model.layers import MixerBlock, zero_init


class SharedTrunk(nn.Module):
    """A one-step denoiser: a trunk processes the history once, a small branch makes each sample.

    The trunk returns the mean future, and features of the history for the branch. The branch turns
    noise into the deviation of a sample from that mean. Trunk and branch are made of the mixer
    blocks of SwiftDiff.

    Args:
        features: number of values per frame, D: three per predicted joint.
        coefficients: number of coefficients in time, K. Each coefficient is a token.
        layers: number of mixer blocks of the trunk.
        width: number of channels per token of the trunk.
        branch_layers: number of mixer blocks of the branch.
        branch_width: number of channels per token of the branch.
        dropout: dropout probability in training.
    """

    def __init__(
        self,
        features: int,
        coefficients: int,
        layers: int,
        width: int,
        branch_layers: int,
        branch_width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        tokens = coefficients + 1
        self.cond_embed = nn.Linear(features * coefficients, width)
        self.history_embed = nn.Linear(features, width)
        self.trunk = nn.ModuleList(MixerBlock(tokens, width, dropout) for _ in range(layers))
        self.mean = zero_init(nn.Linear(width, features))
        self.bridge = nn.Linear(width, branch_width)
        self.noise_embed = nn.Linear(features, branch_width)
        self.branch = nn.ModuleList(
            MixerBlock(tokens, branch_width, dropout) for _ in range(branch_layers)
        )
        self.out = zero_init(nn.Linear(branch_width, features))

    def embed(self, noise: Tensor) -> Tensor:
        """Return features (..., K + 1, branch width) of noise (..., K, D) for the branch."""
        # The first token is the condition, which has no noise.
        return functional.pad(self.noise_embed(noise), (0, 0, 1, 0))

    def denoise(self, embedded: Tensor, condition: Tensor) -> Tensor:
        """Return samples of the clean coefficients, denoised in one step.

        Args:
            embedded: features of the noise from `embed`, (P, S, K + 1, branch width), or
                (1, S, K + 1, branch width) if all people share the same noise.
            condition: coefficients of the history, (P, K, D).

        Returns:
            The clean coefficients (P, S, K, D).
        """
        token = self.cond_embed(condition.flatten(1))[None]  # (1, P, width)
        h = torch.cat([token, self.history_embed(condition.transpose(0, 1))])  # (K+1, P, width)
        for block in self.trunk:
            h = block(h)
        mean = self.mean(h[1:])[:, :, None]  # (K, P, 1, D)
        h = self.bridge(h)[:, :, None] + embedded.permute(2, 0, 1, 3)  # (K+1, P, S, branch width)
        shape = h.shape[1:3]
        h = h.flatten(1, 2)  # (K+1, P * S, branch width)
        for block in self.branch:
            h = block(h)
        deviation = self.out(h[1:]).unflatten(1, shape)  # (K, P, S, D)
        return (mean + deviation).permute(1, 2, 0, 3)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return B denoised coefficients (B, K, D), each for its own condition (B, K, D)."""
        return self.denoise(self.embed(x[:, None]), condition)[:, 0]
