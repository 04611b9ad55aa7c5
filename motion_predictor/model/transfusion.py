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
    """Pre-norm multi-head self-attention with a residual, without biases or output projection."""

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
    """Pre-norm feed-forward layer with a residual."""

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
    """Squeeze-excitation over tokens, self-attention and feed-forward layer.

    A long skip connection may come first.
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
        x = x * (1 + self.se(x.mean(dim=-1))[..., None])  # with a residual
        return self.ffn(self.sa_block(x))  # (B, K+1, width)


class TransFusion(nn.Module):
    """The denoiser of TransFusion; parameter names are those of the official state dict.

    Args:
        features: D, values per frame (three per predicted joint).
        coefficients: K, DCT coefficients (tokens).
        layers: number of blocks. There are layers // 2 before and as many after the middle block,
            joined by long skips.
        heads: attention heads; must divide width.
        width: channels per token.
        ff_width: hidden channels of the feed-forward layers.
        dropout: probability, in training only.
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

        # The official table has one row more than there are tokens. That row is never read.
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
        """Denoise coefficients.

        Args:
            x: (B, K, D) noised coefficients.
            timesteps: (B,) diffusion timesteps.
            condition: (B, K, D) coefficients of the padded history, or None for unconditional.

        Returns:
            (B, K, D): the noise or the clean coefficients, whichever the network was trained to
            predict.
        """
        return self._denoise(self._token(timesteps, condition), self.embed(x))

    def embed(self, x: Tensor) -> Tensor:
        """Return the features (..., K, width) of coefficients (..., K, D), without the history."""
        return self.joint_embed(x) + self.sequence_embedding[1 : x.shape[-2] + 1]

    def denoise(self, embedded: Tensor, condition: Tensor, timestep: int) -> Tensor:
        """Denoise coefficients that are all at the same timestep.

        Args:
            embedded: (P, S, K, width) result of `embed`. A first dimension of 1 serves all people.
            condition: (P, K, D) coefficients of the padded history. They are embedded once per
                person.
            timestep: diffusion timestep of all coefficients.

        Returns:
            (P, S, K, D): the noise or the clean coefficients, whichever the network was trained
            to predict.
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
