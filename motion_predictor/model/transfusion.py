"""TransFusion, the teacher: a diffusion transformer over DCT coefficients (arXiv 2307.16106)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from motion_predictor.model.dropout import Dropout
from motion_predictor.model.layers import SqueezeExcitation, zero_init


def timestep_embedding(timesteps: Tensor, width: int) -> Tensor:
    """Return the sinusoidal embedding (B, width) of timesteps (B,), cosines first."""
    half = width // 2
    exponents = torch.arange(half, dtype=torch.float32, device=timesteps.device) / half
    angles = timesteps[:, None].float() * torch.exp(-math.log(10000.0) * exponents)  # (B, half)
    embedding = torch.cat([angles.cos(), angles.sin()], dim=-1)
    return functional.pad(embedding, (0, width % 2))  # (B, width)


class SelfAttention(nn.Module):
    """Multi-head self-attention with a norm in front and a residual connection.

    The attention has no biases and no output projection.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        query, key, value = (
            project(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, K+1, w/heads)
            for project in (self.query, self.key, self.value)
        )
        y = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=self.dropout if self.training else 0.0
        )
        return x + y.transpose(1, 2).flatten(-2)  # (B, K+1, width)


class FeedForward(nn.Module):
    """A feed-forward layer with a norm in front and a residual connection."""

    def __init__(self, width: int, ff_width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, ff_width)
        self.dropout = Dropout(dropout)
        self.linear2 = zero_init(nn.Linear(ff_width, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x).to(self.linear1.weight.dtype)
        hidden = functional.gelu(self.linear1(y))  # (B, K+1, ff_width)
        return x + self.linear2(self.dropout(hidden))  # (B, K+1, width)


class Block(nn.Module):
    """A transformer block: squeeze-excitation over tokens, self-attention, feed-forward layer.

    A block with `skip` first merges in the result of an earlier block (a long skip connection).
    """

    def __init__(
        self, tokens: int, width: int, heads: int, ff_width: int, dropout: float, skip: bool
    ) -> None:
        super().__init__()
        if skip:
            self.skip_linear = nn.Linear(2 * width, width)
        self.se = SqueezeExcitation(tokens)
        self.sa_block = SelfAttention(width, heads, dropout)
        self.ffn = FeedForward(width, ff_width, dropout)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        if skip is not None:
            x = self.skip_linear(torch.cat([x, skip], dim=-1))
        x = x * (1 + self.se(x.mean(dim=-1))[..., None])  # adding 1 makes a residual connection
        return self.ffn(self.sa_block(x))  # (B, K+1, width)


class TransFusion(nn.Module):
    """The denoiser of TransFusion, with the parameter names of the official state dict.

    Args:
        features: number of values per frame, D: three per predicted joint.
        coefficients: number of coefficients in time, K. Each coefficient is a token.
        layers: number of blocks: a middle block with layers // 2 blocks before and layers // 2
            after it. Long skip connections join each block before the middle block to one block
            after the middle block.
        heads: number of attention heads; the width must be a multiple of this number.
        width: number of channels per token.
        ff_width: number of hidden channels of the feed-forward layers.
        dropout: dropout probability in training.
    """

    def __init__(
        self,
        features: int,
        coefficients: int = 20,
        layers: int = 9,
        heads: int = 8,
        width: int = 512,
        ff_width: int = 1024,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.width = width

        def block(skip: bool) -> Block:
            return Block(coefficients + 1, width, heads, ff_width, dropout, skip)

        # The official table of position embeddings has one row more than there are tokens. The
        # last row of the table is never read.
        self.sequence_embedding = nn.Parameter(torch.randn(coefficients + 2, width))
        self.joint_embed = nn.Linear(features, width)
        self.cond_embed = nn.Linear(features * coefficients, width)
        self.time_embed = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.in_blocks = nn.ModuleList(block(skip=False) for _ in range(layers // 2))
        self.mid_block = block(skip=False)
        self.out_blocks = nn.ModuleList(block(skip=True) for _ in range(layers // 2))
        self.out = zero_init(nn.Linear(width, features))

    def forward(self, x: Tensor, timesteps: Tensor, condition: Tensor | None) -> Tensor:
        """Denoise coefficients x, each from its own timestep.

        Args:
            x: noised coefficients (B, K, D).
            timesteps: diffusion timesteps (B,).
            condition: coefficients of the history (B, K, D). If `condition` is None, the network
                does not see the history.

        Returns:
            The noise or the clean coefficients (B, K, D), as the network was trained.
        """
        return self._denoise(self._token(timesteps, condition), self.embed(x))

    def embed(self, x: Tensor) -> Tensor:
        """Return features (..., K, width) of coefficients x (..., K, D), without the history."""
        return self.joint_embed(x) + self.sequence_embedding[1 : x.shape[-2] + 1]

    def denoise(self, embedded: Tensor, condition: Tensor, timestep: int) -> Tensor:
        """Denoise coefficients that all have the same diffusion timestep.

        Args:
            embedded: features of the noise from `embed`, (P, S, K, width), or (1, S, K, width)
                if all people share the same noise.
            condition: coefficients of the history, (P, K, D), which are embedded once per person.
            timestep: diffusion timestep of all coefficients.

        Returns:
            The noise or the clean coefficients (P, S, K, D), as the network was trained.
        """
        shape = condition.shape[0], embedded.shape[1]
        timesteps = torch.full((1,), timestep, device=condition.device)
        token = self._token(timesteps, condition)[:, None].expand(*shape, -1)  # (P, S, width)
        each = embedded.expand(*shape, -1, -1)
        return self._denoise(token.flatten(0, 1), each.flatten(0, 1)).unflatten(0, shape)

    def _token(self, timesteps: Tensor, condition: Tensor | None) -> Tensor:
        token = self.time_embed(timestep_embedding(timesteps, self.width))  # (B, width)
        if condition is not None:
            token = token + self.cond_embed(condition.flatten(1))
        return token + self.sequence_embedding[0]

    def _denoise(self, token: Tensor, embedded: Tensor) -> Tensor:
        h = torch.cat([token[:, None], embedded], dim=1)  # (B, K+1, width)
        skips = []
        for block in self.in_blocks:
            h = block(h)
            skips.append(h)
        h = self.mid_block(h)
        for block in self.out_blocks:
            h = block(h, skips.pop())
        return self.out(h[:, 1:])  # (B, K, D)
