"""A recurrent denoiser, which reads the coefficients as a sequence, slowest motion first."""

from torch import Tensor, nn

from motion_predictor.model.layers import zero_init


class GruDenoiser(nn.Module):
    """A one-step denoiser made of gated recurrent units that run in both directions.

    The units are described in arXiv 1406.1078.

    Args:
        features: number of values per frame, D: three per predicted joint.
        coefficients: number of coefficients in time, K, which are the steps of the sequence.
        layers: number of layers of units.
        width: number of hidden values per direction.
        dropout: dropout probability between layers in training.
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
        """Return features (..., K, width) of noise (..., K, D), independent of the history."""
        return self.noise_embed(noise)

    def denoise(self, embedded: Tensor, condition: Tensor) -> Tensor:
        """Return samples of the clean coefficients, denoised in one step.

        Args:
            embedded: features of the noise from `embed`, (P, S, K, width), or (1, S, K, width)
                if all people share the same noise.
            condition: coefficients of the history, (P, K, D).

        Returns:
            The clean coefficients (P, S, K, D).
        """
        seen = (
            self.history_embed(condition) + self.whole_history_embed(condition.flatten(1))[:, None]
        )
        h = embedded + seen[:, None]  # (P, S, K, width)
        h, _ = self.units(h.flatten(0, 1))
        return self.out(h).unflatten(0, (len(condition), -1))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return B denoised coefficients (B, K, D), each for its own condition (B, K, D)."""
        return self.denoise(self.embed(x[:, None]), condition)[:, 0]
