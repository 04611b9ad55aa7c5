"""Fits the expected error of a prediction: one model for all people and states."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.uncertainty.calibration import PARTS, STILL_TERMS, TERMS
from motion_predictor_training.calibration.errors import Scores

FloatArray = NDArray[np.float32]
JITTER = TERMS.index('jitter')
LEVEL = 0.95
"""Level of the quantile, whatever the coverage: a fit at 99.9 % would depend on few people."""
RATE, LAST_RATE = 0.1, 0.03
"""Learning rates, the second for the last third of the steps."""
ENOUGH = 150
"""Greatest number of windows of a person in the fit."""
LEAST = 0.1
"""Lower limit of the size of an input where the fit starts (m/s, m/s2 or m)."""
LEAST_M = 1e-4
"""Lower limit of errors, metres."""


def fit_expected_error(
    scores: Scores, weights: FloatArray, parts: Sequence[int], steps: int
) -> FloatArray:
    """Return the terms of the model, by part, input and frame (G, A, K).

    They are fitted by quantile regression (Koenker and Bassett 1978). The loss is the pinball loss
    of the logarithm of the error. It is least where a share LEVEL of the errors is below the
    expected error. No term is negative, and the terms of the state do not fall with the frame. A
    part that the layout lacks has terms of one. A part that was measured on nobody, such as legs
    behind a bench, gets the largest terms of the other parts, since small ones would be dangerous.

    Args:
        scores: W windows. Only the errors with the largest number of samples are used.
        weights: weights of the windows (W,).
        parts: part of each joint (J,).
        steps: number of steps of the optimiser (Adam).
    """
    chosen = _evenly(scores.people)
    scores, weights = scores.choose(chosen), weights[chosen]
    spread, error = scores.spread[0], scores.error[0]  # (W, K, J)
    still = scores.still(parts)  # (A', W, J)
    body = np.sqrt((spread**2).mean(-1, keepdims=True))
    terms = np.ones((len(PARTS), len(TERMS), error.shape[1]), np.float32)
    measured, unknown = [], []
    for part in np.unique(parts):
        own = np.flatnonzero(np.asarray(parts) == part)
        if not np.isfinite(error[..., own]).any():
            unknown.append(part)
            continue
        measured.append(part)
        shape = (*error.shape[:2], len(own))
        inputs = np.stack(
            [np.broadcast_to(term[:, None, own], shape) for term in still]
            + [spread[..., own], np.broadcast_to(body, shape)]
        )
        terms[part] = _fit_part(inputs, error[..., own], weights, steps)
    if measured and unknown:
        terms[unknown] = terms[measured].max(0)
    return terms


def _fit_part(
    inputs: FloatArray, error: FloatArray, weights: FloatArray, steps: int
) -> FloatArray:
    """Return the terms (A, K) of one part from inputs (A, W, K, J) and errors (W, K, J)."""
    squares = torch.from_numpy(np.square(inputs))
    known = torch.from_numpy(np.isfinite(error)).float()
    logs = torch.from_numpy(np.log(np.maximum(np.nan_to_num(error, nan=1.0), LEAST_M)))
    weight = torch.from_numpy(weights)[:, None, None] * known
    weight = weight / weight.sum().clamp(min=1e-9)
    free = _start(squares, (logs.exp() * known).square()).requires_grad_(True)
    optimiser = torch.optim.Adam([free], lr=RATE)
    for step in range(steps):
        if step == 2 * steps // 3:
            optimiser.param_groups[0]['lr'] = LAST_RATE
        expected = torch.einsum('ak,awkj->wkj', _terms(free).square(), squares)
        off = logs - 0.5 * torch.log(expected + LEAST_M**2)
        loss = (torch.maximum(LEVEL * off, (LEVEL - 1) * off) * weight).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return _terms(free).detach().numpy()


def _terms(free: Tensor) -> Tensor:
    """Return the terms (A, K) for free numbers (A, K).

    The free numbers are logarithms: of the term itself, or of its increments over time for the
    terms of the state.
    """
    steps = free.exp()
    rising = steps[:JITTER].cumsum(-1)
    # An error of the observation has the same effect at all times. If the term of the jitter could
    # rise, it would follow jerks of clean motion, and a noisy tracker would get balls of 10 m.
    level = steps[JITTER:STILL_TERMS, :1].expand(-1, steps.shape[1])
    return torch.cat([rising, level, steps[STILL_TERMS:]])


def _start(squares: Tensor, errors: Tensor) -> Tensor:
    """Return free numbers (A, K) with which all terms contribute equally.

    Args:
        squares: squared inputs (A, W, K, J).
        errors: squared errors (W, K, J).
    """
    part = errors.mean((0, 2)).cummax(0).values / squares.mean((1, 3)).clamp(
        min=LEAST**2
    )  # (A, K)
    terms = (part / len(part)).sqrt()
    rising = terms[:STILL_TERMS].diff(dim=-1, prepend=torch.zeros(STILL_TERMS, 1))
    # An increment of zero would have no gradient.
    rising = torch.maximum(rising, 0.02 * terms[:STILL_TERMS])
    return torch.cat([rising, terms[STILL_TERMS:]]).clamp(min=1e-6).log()


def _evenly(people: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return the numbers of at most ENOUGH windows of each person, evenly spaced."""
    chosen = []
    for person in np.unique(people):
        own = np.flatnonzero(people == person)
        places = np.linspace(0, len(own) - 1, min(ENOUGH, len(own))).round().astype(int)
        chosen.append(own[places])
    return np.sort(np.concatenate(chosen))
