"""A student that shares its work among the samples of one person."""

import torch
from torch import Tensor, nn

from motion_predictor.model.layers import MixerBlock, zero_init


class SharedTrunk(nn.Module):
    """A one-step denoiser: a trunk sees the history once, a light branch makes each sample.

    The trunk gives the mean future and what the branch needs to know of the history; the branch
    turns noise into a sample's deviation from that mean. Both are made of SwiftDiff's blocks.

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

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Denoise coefficients in one step.

        Args:
            x: (P * S, K, D) noise, S for each condition in turn.
            condition: (P, K, D) coefficients of the padded history.

        Returns:
            (P * S, K, D): the clean coefficients.
        """
        samples = len(x) // max(1, len(condition))
        token = self.cond_embed(condition.flatten(1))[None]  # (1, P, width)
        h = torch.cat([token, self.history_embed(condition.transpose(0, 1))])  # (K+1, P, width)
        for block in self.trunk:
            h = block(h)
        mean = self.mean(h[1:])  # (K, P, D)
        known = self.bridge(h).repeat_interleave(samples, 1)  # (K+1, B, branch width)
        noise = self.noise_embed(x.transpose(0, 1))  # (K, B, branch width)
        h = torch.cat([known[:1], known[1:] + noise])
        for block in self.branch:
            h = block(h)
        deviation = self.out(h[1:])  # (K, B, D)
        return (mean.repeat_interleave(samples, 1) + deviation).transpose(0, 1)
