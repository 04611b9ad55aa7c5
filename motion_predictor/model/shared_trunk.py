"""A student that does most of its work only once for all samples of a person."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from motion_predictor.model.layers import MixerBlock, zero_init


class SharedTrunk(nn.Module):
    """A one-step denoiser: a trunk processes the history once, a small branch makes each sample.

    The trunk returns the mean future, and features of the history for the branch. The branch turns
    noise into the deviation of a sample from that mean. Both are made of SwiftDiff's blocks.

    Args:
        features: D, values per frame (three per predicted joint).
        coefficients: K, DCT coefficients (tokens).
        layers: mixer blocks of the trunk.
        width: channels per token of the trunk.
        branch_layers: mixer blocks of the branch.
        branch_width: channels per token of the branch.
        dropout: probability, in training only.
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
        """Return the features (..., K + 1, branch width) of noise (..., K, D) for the branch."""
        return functional.pad(self.noise_embed(noise), (0, 0, 1, 0))  # no noise at the first token

    def denoise(self, embedded: Tensor, condition: Tensor) -> Tensor:
        """Denoise coefficients in one step.

        Args:
            embedded: (P, S, K + 1, branch width) result of `embed`. A first dimension of 1 serves
                all people.
            condition: (P, K, D) coefficients of the padded history.

        Returns:
            (P, S, K, D): the clean coefficients.
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
        """Denoise coefficients (B, K, D), each under a condition (B, K, D) of its own."""
        return self.denoise(self.embed(x[:, None]), condition)[:, 0]
