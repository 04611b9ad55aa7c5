"""The discrete cosine transform (orthonormal DCT-II) over time, truncated to K coefficients."""

import math

import torch
from torch import Tensor


def dct_matrix(frames: int, coefficients: int) -> Tensor:
    """Return the matrix of the first rows of the orthonormal DCT-II.

    The rows are orthonormal. So the transpose of the matrix turns coefficients back into motion.

    Args:
        frames: number of frames, N.
        coefficients: number of coefficients that are kept, K <= N.

    Returns:
        The matrix (K, N), float64: ``coefficients = matrix @ motion``, and back
        ``motion = matrix.T @ coefficients``.

    Raises:
        ValueError: if K is not in 1..N.
    """
    if not 1 <= coefficients <= frames:
        raise ValueError(
            f'the number of DCT coefficients must lie in 1..{frames} (the frames), '
            f'got {coefficients}'
        )
    k = torch.arange(coefficients, dtype=torch.float64)[:, None]
    n = torch.arange(frames, dtype=torch.float64)[None, :]
    matrix = torch.cos(math.pi * (n + 0.5) * k / frames) * math.sqrt(2 / frames)  # (K, N)
    matrix[0] /= math.sqrt(2)
    return matrix


def pad_with_last(history: Tensor, future_frames: int) -> Tensor:
    """Return a history (..., H, D) with its last frame repeated F times: (..., H + F, D)."""
    tail = history[..., -1:, :].expand(*history.shape[:-2], future_frames, history.shape[-1])
    return torch.cat([history, tail], dim=-2)
