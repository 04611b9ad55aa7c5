"""Building blocks that the networks share."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from motion_predictor.model.dropout import Dropout

REDUCED_TRUNK_WIDTH = 256
"""A shared trunk with fewer channels than this is not faster in bfloat16 on a CPU."""


def zero_init(linear: nn.Linear) -> nn.Linear:
    """Set the weights of a layer to zero, so that its residual block starts as the identity."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


class SqueezeExcitation(nn.Module):
    """Computes a gate (a factor from 0 to 1) for each token from the means of all tokens."""

    def __init__(self, tokens: int, reduction: int = 4) -> None:
        super().__init__()
        self.excitation = nn.Sequential(
            nn.Linear(tokens, tokens // reduction, bias=False),
            nn.ReLU(),
            nn.Linear(tokens // reduction, tokens, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, means: Tensor) -> Tensor:
        """Return gates (B, tokens), given the mean of each token over its channels (B, tokens)."""
        return self.excitation(means)


def reduce_precision(network: nn.Module) -> None:
    """Convert the layers that do most of the arithmetic to bfloat16.

    The converted layers are those that mix channels, and the feed-forward layers. The results of
    these layers are added to a residual in single precision.

    With bfloat16 in these layers, the joints of samples move by 2 to 3 mm (99th percentile), and
    the joints of the mean by 0.4 mm (measured on the checkpoints that ship). If the last layer of
    the branch were converted too, the joints of samples would move by 3 to 4 mm. If the whole
    network were converted, the joints of samples would move by 5 to 6 mm.

    A narrow trunk stays in single precision. The trunk computes the mean, whose joints would move
    by 3 mm in bfloat16. A narrow trunk would not gain much: the checkpoint `default` would take
    6 % longer for one person on a CPU with AMX, and 4 % less on a CPU without AMX.
    """
    for name, module in network.named_modules():
        if name.endswith(('mlp_block_channel_mixing', 'ffn.linear1', 'ffn.linear2')):
            width = next(module.parameters()).shape[-1]
            if 'trunk' not in name.split('.') or width >= REDUCED_TRUNK_WIDTH:
                module.to(torch.bfloat16)


class MixingMLP(nn.Module):
    """Two linear layers of equal width, with GELU and dropout.

    Both layers compute in the precision of their weights (float32 or bfloat16).
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return x (..., width), mixed along its last dimension."""
        h = self.dropout(functional.gelu(self.fc1(x.to(self.fc1.weight.dtype))))
        return self.dropout(self.fc2(h)).to(x.dtype)

    def mix_rows(self, x: Tensor) -> Tensor:
        """Return x (width, N), mixed along its first dimension by one product per layer."""
        h = torch.addmm(self.fc1.bias[:, None], self.fc1.weight, x)
        h = self.dropout(functional.gelu(h))
        return self.dropout(torch.addmm(self.fc2.bias[:, None], self.fc2.weight, h))


class MixerBlock(nn.Module):
    """Mixes tokens, then channels. The same squeeze-excitation gates the results of both mixings.

    Tokens are the first dimension of the input (T, B, width). With the tokens first, each of the
    two mixings (of tokens and of channels) is one matrix product, and no transposition is needed
    between these products.
    """

    def __init__(self, tokens: int, width: int, dropout: float) -> None:
        super().__init__()
        self.LN1 = nn.LayerNorm(width)
        self.mlp_block_token_mixing = MixingMLP(tokens, dropout)
        self.LN2 = nn.LayerNorm(width)
        self.mlp_block_channel_mixing = MixingMLP(width, dropout)
        self.se = SqueezeExcitation(tokens)

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens x (T, B, width) after both mixings."""
        y = self.mlp_block_token_mixing.mix_rows(self.LN1(x).flatten(1)).view_as(x)
        x = self._add_gated(x, y)
        return self._add_gated(x, self.mlp_block_channel_mixing(self.LN2(x)))

    def _add_gated(self, x: Tensor, y: Tensor) -> Tensor:
        gates = self.se(y.mean(dim=-1).t()).t()  # (T, B)
        return torch.addcmul(x, y, gates[..., None])
