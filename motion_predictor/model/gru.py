"""A recurrent denoiser: the coefficients are a sequence, from the slowest to the fastest."""

from torch import Tensor, nn

from motion_predictor.model.layers import zero_init


class GruDenoiser(nn.Module):
    """A one-step denoiser made of gated recurrent units that run in both directions.

    Source of the units: arXiv 1406.1078.

    Args:
        features: D, values per frame (three per predicted joint).
        coefficients: K, DCT coefficients, which are the steps of the sequence.
        layers: number of layers of units.
        width: number of hidden values per direction.
        dropout: probability between layers, in training only.
    """

    def __init__(
        self, features: int, coefficients: int, layers: int, width: int, dropout: float
    ) -> None:
        super().__init__()
        self.noise_embed = nn.Linear(features, width)
        self.history_embed = nn.Linear(features, width)
        self.whole_history_embed = nn.Linear(features * coefficients, width)
        self.units = nn.GRU(
            width,
            width,
            layers,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,
            bidirectional=True,
        )
        self.out = zero_init(nn.Linear(2 * width, features))

    def embed(self, noise: Tensor) -> Tensor:
        """Return the features (..., K, width) of noise (..., K, D), without the history."""
        return self.noise_embed(noise)

    def denoise(self, embedded: Tensor, condition: Tensor) -> Tensor:
        """Denoise coefficients in one step.

        Args:
            embedded: (P, S, K, width) result of `embed`. A first dimension of 1 serves all people.
            condition: (P, K, D) coefficients of the padded history.

        Returns:
            (P, S, K, D): the clean coefficients.
        """
        seen = (
            self.history_embed(condition) + self.whole_history_embed(condition.flatten(1))[:, None]
        )
        h = embedded + seen[:, None]  # (P, S, K, width)
        h, _ = self.units(h.flatten(0, 1))
        return self.out(h).unflatten(0, (len(condition), -1))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Denoise coefficients (B, K, D), each under a condition (B, K, D) of its own."""
        return self.denoise(self.embed(x[:, None]), condition)[:, 0]
