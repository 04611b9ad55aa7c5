"""How motion becomes the coefficients that a network sees, and back.

Both kinds turn an observed history (B, H, D) into a condition (B, K, D) and a whole motion
(B, H + F, D) into the target of denoising (B, K, D). Back, a future is linear in the coefficients:
``synthesis @ expand(x0) + offset(history)``, with whatever is linear in the features in between.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from motion_predictor.model.dct import dct_matrix, pad_with_last
from motion_predictor.model.diffusion import completion_matrices, cosine_schedule


class Parametrisation(nn.Module, ABC):
    """What both kinds share: the window and its truncated DCT."""

    dct: Tensor  # (K, N)
    synthesis: Tensor  # (F, K) future frames of coefficients

    def __init__(self, history_frames: int, future_frames: int, coefficients: int) -> None:
        super().__init__()
        self.history_frames = history_frames
        self.future_frames = future_frames
        matrix = dct_matrix(history_frames + future_frames, coefficients).float()
        # Constants are derived from the sizes, so checkpoints do not carry them.
        self.register_buffer('dct', matrix, persistent=False)
        future = matrix[:, history_frames:].T.contiguous()
        self.register_buffer('synthesis', future, persistent=False)

    def _padded(self, history: Tensor) -> Tensor:
        """Return the coefficients (B, K, D) of the history continued with its last frame."""
        return self.dct @ pad_with_last(history, self.future_frames)

    @abstractmethod
    def condition(self, history: Tensor) -> Tensor:
        """Return the condition (B, K, D) for a history (B, H, D)."""

    @abstractmethod
    def encode(self, motion: Tensor) -> Tensor:
        """Return the clean coefficients (B, K, D) of whole motions (B, H + F, D)."""

    @abstractmethod
    def expand(self, x0: Tensor) -> Tensor:
        """Return clean coefficients (..., K, D) in metres."""

    @abstractmethod
    def offset(self, history: Tensor) -> Tensor:
        """Return what a future after histories (B, H, D) adds to the synthesis, (B, F or 1, D)."""


class OfficialParametrisation(Parametrisation):
    """Raw DCT coefficients of the motion, with completion, as published."""

    known: Tensor  # (F, K) future frames of the noised condition
    alpha_hat: Tensor  # (1000,)

    def __init__(self, history_frames: int, future_frames: int, coefficients: int) -> None:
        super().__init__(history_frames, future_frames, coefficients)
        known, unknown = completion_matrices(history_frames, future_frames, coefficients)
        inverse = dct_matrix(history_frames + future_frames, coefficients).T[history_frames:]
        self.register_buffer('known', (inverse @ known).float(), persistent=False)
        self.synthesis = (inverse @ unknown).float()
        self.register_buffer('alpha_hat', cosine_schedule().float(), persistent=False)

    def condition(self, history: Tensor) -> Tensor:
        return self._padded(history)

    def encode(self, motion: Tensor) -> Tensor:
        return self.dct @ motion

    def expand(self, x0: Tensor) -> Tensor:
        return x0

    def offset(self, history: Tensor) -> Tensor:
        # Completion at t = 0 also puts 0.6 % of a unit normal on the condition: left at its mean.
        return self.known @ (self.alpha_hat[0].sqrt() * self._padded(history))


class ResidualParametrisation(Parametrisation):
    """The motion minus the padded history, each coefficient divided by its spread.

    Zero is standing still, every number is of order one, and reduced precision is safe.

    Args:
        history_frames: H.
        future_frames: F.
        coefficients: K.
        features: D.
    """

    scale: Tensor  # (K, D) standard deviation of the residual's coefficients
    condition_mean: Tensor  # (K, D)
    condition_scale: Tensor  # (K, D)

    def __init__(
        self, history_frames: int, future_frames: int, coefficients: int, features: int
    ) -> None:
        super().__init__(history_frames, future_frames, coefficients)
        self.register_buffer('scale', torch.ones(coefficients, features))
        self.register_buffer('condition_mean', torch.zeros(coefficients, features))
        self.register_buffer('condition_scale', torch.ones(coefficients, features))

    def fit(self, motions: Tensor) -> None:
        """Take the spreads from whole motions (B, H + F, D) of the training set."""
        history = motions[:, : self.history_frames]
        residual = self.dct @ (motions - pad_with_last(history, self.future_frames))
        condition = self._padded(history)
        # A floor keeps features that hardly move from being blown up: 1 mm over one frame.
        self.scale = residual.square().mean(0).sqrt().clamp(min=1e-3)
        self.condition_mean = condition.mean(0)
        self.condition_scale = condition.std(0).clamp(min=1e-3)

    def condition(self, history: Tensor) -> Tensor:
        return (self._padded(history) - self.condition_mean) / self.condition_scale

    def encode(self, motion: Tensor) -> Tensor:
        history = motion[:, : self.history_frames]
        residual = motion - pad_with_last(history, self.future_frames)
        return self.dct @ residual / self.scale

    def expand(self, x0: Tensor) -> Tensor:
        return x0 * self.scale

    def offset(self, history: Tensor) -> Tensor:
        return history[:, -1:]
