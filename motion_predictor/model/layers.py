"""Building blocks that both networks share."""

from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Scales each token by a gate computed from the mean of every token."""

    def __init__(self, tokens: int, reduction: int = 4) -> None:
        super().__init__()
        self.excitation = nn.Sequential(
            nn.Linear(tokens, tokens // reduction, bias=False),
            nn.ReLU(),
            nn.Linear(tokens // reduction, tokens, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.excitation(x.mean(dim=-1)).unsqueeze(-1)  # (B, tokens, width)


def zero_init(linear: nn.Linear) -> nn.Linear:
    """Zero a layer, so that what it feeds starts as the identity."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
