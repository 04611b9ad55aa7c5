"""Turns motion into the coefficients that a network sees, and back.

Every parametrisation turns an observed history (B, H, D) into a condition (B, K, D), and a whole
motion (B, H + F, D) into the target of denoising (B, K, D). Coefficients x0 become a future by
``synthesis @ expand(x0) + offset(history)``. This formula is linear in the coefficients, so other
linear steps can be applied to the coefficients before the synthesis.
"""

import math
from abc import ABC, abstractmethod
from itertools import pairwise

import torch
from torch import Tensor, nn

from motion_predictor.model.dct import dct_matrix, pad_with_last
from motion_predictor.model.diffusion import completion_matrices, cosine_schedule


class Parametrisation(nn.Module, ABC):
    """The base class of all parametrisations: numbers of frames, and the truncated DCT."""

    dct: Tensor  # (K, N)
    synthesis: Tensor  # (F, K) matrix from coefficients to future frames

    def __init__(self, history_frames: int, future_frames: int, coefficients: int) -> None:
        super().__init__()
        self.history_frames = history_frames
        self.future_frames = future_frames
        matrix = dct_matrix(history_frames + future_frames, coefficients).float()
        # These matrices follow from the numbers of frames and coefficients, so checkpoints do not
        # store the matrices.
        self.register_buffer('dct', matrix, persistent=False)
        future = matrix[:, history_frames:].T.contiguous()
        self.register_buffer('synthesis', future, persistent=False)

    def _padded(self, history: Tensor) -> Tensor:
        """Return the DCT coefficients (B, K, D) of a history padded with its last frame."""
        return self.dct @ pad_with_last(history, self.future_frames)

    @abstractmethod
    def condition(self, history: Tensor) -> Tensor:
        """Return the condition (B, K, D) for a history (B, H, D)."""

    @abstractmethod
    def encode(self, motion: Tensor) -> Tensor:
        """Return the clean coefficients (B, K, D) of whole motions (B, H + F, D)."""

    @abstractmethod
    def expand(self, x0: Tensor) -> Tensor:
        """Return the network's clean coefficients x0 (..., K, D), converted to metres."""

    def complete(self, x0: Tensor, condition: Tensor) -> Tensor:
        """Return clean coefficients (P, S, K, D), with the observed frames put back if necessary.

        Args:
            x0: clean coefficients from the network, (P, S, K, D).
            condition: coefficients of the history, (P, K, D).
        """
        return x0

    @abstractmethod
    def offset(self, history: Tensor) -> Tensor:
        """Return the base line (B, F or 1, D) of the future, given histories (B, H, D)."""


class OfficialParametrisation(Parametrisation):
    """The published parametrisation: raw DCT coefficients of the motion, with completion."""

    known: Tensor  # matrix (F, K) from the noised condition to future frames
    completion: Tensor  # (2, K, K), a matrix for the condition and one for the estimate
    alpha_hat: Tensor  # (1000,)

    def __init__(self, history_frames: int, future_frames: int, coefficients: int) -> None:
        super().__init__(history_frames, future_frames, coefficients)
        known, unknown = completion_matrices(history_frames, future_frames, coefficients)
        inverse = dct_matrix(history_frames + future_frames, coefficients).T[history_frames:]
        self.register_buffer('known', (inverse @ known).float(), persistent=False)
        completion = torch.stack([known, unknown]).float()
        self.register_buffer('completion', completion, persistent=False)
        self.synthesis = (inverse @ unknown).float()
        self.register_buffer('alpha_hat', cosine_schedule().float(), persistent=False)

    def condition(self, history: Tensor) -> Tensor:
        return self._padded(history)

    def encode(self, motion: Tensor) -> Tensor:
        return self.dct @ motion

    def expand(self, x0: Tensor) -> Tensor:
        return x0

    def complete(self, x0: Tensor, condition: Tensor) -> Tensor:
        known, unknown = self.completion
        return known @ (self.alpha_hat[0].sqrt() * condition[:, None]) + unknown @ x0

    def offset(self, history: Tensor) -> Tensor:
        # The published completion at t = 0 also adds unit normal noise, times 0.006, to the
        # condition. The mean of this noise is zero, so the noise is left out here.
        return self.known @ (self.alpha_hat[0].sqrt() * self._padded(history))


class CompletedParametrisation(OfficialParametrisation):
    """The published parametrisation for coefficients to which completion was already applied.

    The last step of DDIM returns coefficients to which completion was already applied.
    """

    def __init__(self, history_frames: int, future_frames: int, coefficients: int) -> None:
        super().__init__(history_frames, future_frames, coefficients)
        self.synthesis = self.dct.T[history_frames:].contiguous()

    def complete(self, x0: Tensor, condition: Tensor) -> Tensor:
        return x0

    def offset(self, history: Tensor) -> Tensor:
        return torch.zeros_like(history[:, -1:])


class ScaledParametrisation(Parametrisation):
    """Divides the network's input and output by their spread over the training set.

    All values are then of order one, so reduced precision is safe.

    Args:
        history_frames: number of observed frames, H.
        future_frames: number of predicted frames, F.
        coefficients: number of coefficients in time, K.
        features: number of values per frame, D.
    """

    scale: Tensor  # (K, D) root mean square of the clean coefficients, metres
    condition_mean: Tensor  # (K, D)
    condition_scale: Tensor  # (K, D)

    def __init__(
        self, history_frames: int, future_frames: int, coefficients: int, features: int
    ) -> None:
        super().__init__(history_frames, future_frames, coefficients)
        self.register_buffer('scale', torch.ones(coefficients, features))
        self.register_buffer('condition_mean', torch.zeros(coefficients, features))
        self.register_buffer('condition_scale', torch.ones(coefficients, features))

    @abstractmethod
    def observe(self, history: Tensor) -> Tensor:
        """Return the coefficients (B, K, D) of a history (B, H, D), metres."""

    @abstractmethod
    def analyse(self, motion: Tensor) -> Tensor:
        """Return the clean coefficients (B, K, D) of whole motions (B, H + F, D), metres."""

    def fit(self, motions: Tensor) -> None:
        """Fit the scales to whole motions (B, H + F, D) of the training set."""
        condition = self.observe(motions[:, : self.history_frames])
        # Scales are at least 1 mm, so that features that hardly move are not amplified.
        self.scale = self.analyse(motions).square().mean(0).sqrt().clamp(min=1e-3)
        self.condition_mean = condition.mean(0)
        self.condition_scale = condition.std(0).clamp(min=1e-3)

    def condition(self, history: Tensor) -> Tensor:
        return (self.observe(history) - self.condition_mean) / self.condition_scale

    def encode(self, motion: Tensor) -> Tensor:
        return self.analyse(motion) / self.scale

    def expand(self, x0: Tensor) -> Tensor:
        return x0 * self.scale


class ResidualParametrisation(ScaledParametrisation):
    """The target is the motion minus the padded history. Zero means that a person stands still."""

    def observe(self, history: Tensor) -> Tensor:
        return self._padded(history)

    def analyse(self, motion: Tensor) -> Tensor:
        history = motion[:, : self.history_frames]
        return self.dct @ (motion - pad_with_last(history, self.future_frames))

    def offset(self, history: Tensor) -> Tensor:
        return history[:, -1:]


VELOCITY_WINDOW_S = 0.1
"""Time over which the observed velocity is the least-squares slope. A velocity from two frames at
60 Hz would have an error of 0.4 m/s with 5 mm of noise. With seven frames, the error is
0.06 m/s."""
ROOT_FADES_S, JOINTS_FADE_S = 2.0, 0.2
"""Time constants with which the velocities of the root, and of joints relative to it, decay."""


class AnchoredParametrisation(ScaledParametrisation):
    """The target is the future minus a base line, which starts at the observed pose and velocity.

    The velocity of the base line decays: slowly for the root, quickly for joints relative to the
    root. The network adds basis functions that start at zero with slope zero (`anchored_basis`).
    So every future starts at the observed pose and velocity, whatever the network returns. If the
    network returns zero, the future follows the base line. The network's input is the last pose
    and earlier displacements (see `displacements`).

    Args:
        history_frames: number of observed frames, H.
        future_frames: number of predicted frames, F.
        coefficients: number of coefficients in time, K.
        features: number of values per frame, D.
        rate_hz: frames per second.
        with_root: whether the first three features are the position of the root.
    """

    observation: Tensor  # (K, H)
    going_on: Tensor  # (2, F, H) matrices from history to base line: root, other joints

    def __init__(
        self,
        history_frames: int,
        future_frames: int,
        coefficients: int,
        features: int,
        rate_hz: float,
        with_root: bool,
    ) -> None:
        super().__init__(history_frames, future_frames, coefficients, features)
        self.root_features = 3 if with_root else 0
        observation = displacements(history_frames, coefficients)
        self.register_buffer('observation', observation.float(), persistent=False)
        self.synthesis = anchored_basis(future_frames, coefficients).float()
        slope = velocity_weights(history_frames, rate_hz, VELOCITY_WINDOW_S)
        t = torch.arange(1, future_frames + 1, dtype=torch.float64) / rate_hz
        going_on = torch.stack(
            [
                torch.outer(tau * (1 - torch.exp(-t / tau)), slope)
                for tau in (ROOT_FADES_S, JOINTS_FADE_S)
            ]
        )
        self.register_buffer('going_on', going_on.float(), persistent=False)

    def observe(self, history: Tensor) -> Tensor:
        return self.observation @ history

    def analyse(self, motion: Tensor) -> Tensor:
        history, future = motion.tensor_split([self.history_frames], dim=1)
        return self.synthesis.T @ (future - self.offset(history))  # orthonormal columns

    def offset(self, history: Tensor) -> Tensor:
        root, others = history.tensor_split([self.root_features], dim=-1)
        way = [path @ part for path, part in zip(self.going_on, (root, others), strict=True)]
        return history[:, -1:] + torch.cat(way, -1)


def displacements(history_frames: int, coefficients: int) -> Tensor:
    """Return the matrix (K, H), float64, from a history to its last frame and displacements.

    Each displacement spans a part of the history. Recent spans are one frame long, earlier spans
    several frames. All spans together cover the whole history. Networks learn better from
    displacements than from a DCT, which spreads the newest frames over all coefficients. Unused
    rows of the matrix are zero.
    """
    reach = history_frames - 1
    spans = min(coefficients - 1, reach)
    ages = [max(i, round(reach * (i / max(spans, 1)) ** 2)) for i in range(spans + 1)]
    rows = torch.zeros(coefficients, history_frames, dtype=torch.float64)
    rows[0, -1] = 1
    for row, (newer, older) in enumerate(pairwise(ages), start=1):
        rows[row, reach - newer] = 1
        rows[row, reach - older] = -1
    return rows


def velocity_weights(history_frames: int, rate_hz: float, window_s: float) -> Tensor:
    """Return weights (H,), float64, for which ``weights @ history`` is the velocity (per second).

    The velocity is the least-squares slope over the last `window_s` seconds, but over at least two
    frames.
    """
    frames = min(history_frames, max(2, round(window_s * rate_hz) + 1))
    centred = (torch.arange(frames, dtype=torch.float64) - (frames - 1) / 2) / rate_hz
    weights = torch.zeros(history_frames, dtype=torch.float64)
    weights[-frames:] = centred / centred.square().sum()
    return weights


def anchored_basis(future_frames: int, coefficients: int) -> Tensor:
    """Return a matrix (F, K) of orthonormal columns that begin at zero with slope zero, float64.

    The columns span 1 - cos((k - 1/2) pi n / F) for k in 1..K. Frame n = 0 is the last observed
    frame.

    Raises:
        ValueError: if K is not in 1..F.
    """
    if not 1 <= coefficients <= future_frames:
        raise ValueError(
            f'coefficients of the future must lie in 1..{future_frames} (its frames), '
            f'got {coefficients}'
        )
    n = torch.arange(1, future_frames + 1, dtype=torch.float64)[:, None]
    k = torch.arange(coefficients, dtype=torch.float64)[None, :] + 0.5
    basis, triangle = torch.linalg.qr(1 - torch.cos(k * math.pi * n / future_frames))
    return basis * triangle.diagonal().sign()
