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
"""Level of the fitted quantile, for every coverage. A fit at 99.9 % would depend on few people."""
RATE, LAST_RATE = 0.1, 0.03
"""Learning rate of the fit, and learning rate for the last third of the steps."""
ENOUGH = 150
"""Greatest number of windows of a person in the fit."""
LEAST = 0.1
"""Lower limit of an input's size (m/s, m/s2 or m) when the fit is started."""
LEAST_M = 1e-4
"""Lower limit of errors, metres."""


def fit_expected_error(
    scores: Scores, weights: FloatArray, parts: Sequence[int], steps: int
) -> FloatArray:
    """Return the terms (weights) of the inputs in the expected error (G, A, K).

    There are terms for G parts of the body, A inputs and K frames. The terms are fitted by
    quantile regression (Koenker and Bassett 1978) with the pinball loss of the logarithm of the
    error. The pinball loss is smallest when a share LEVEL of the errors is below the expected
    error. No term is negative. A term of the state of motion is never smaller at a later frame. If
    the layout lacks a body part, all terms of this part are 1. If a body part was never measured,
    such as legs behind a bench, each of its terms is the largest such term of the measured parts,
    since an expected error that is too small would be dangerous.

    Args:
        scores: errors of W windows. Of several numbers of samples per prediction, only the largest
            number is used.
        weights: weights of the windows (W,).
        parts: part of the body to which each joint belongs (J,).
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
    """Return the terms (weights of the inputs) for one part of the body (A, K).

    Args:
        inputs: inputs of the expected error (A, W, K, J).
        error: errors of the mean, metres; NaN where there is no error (W, K, J).
        weights: weights of the windows (W,).
        steps: number of steps of the optimiser.
    """
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
    """Compute the terms (A, K) from the parameters of the optimiser (A, K).

    Most parameters of the optimiser are logarithms of terms. But the terms of the state of motion
    rise from frame to frame. Their parameters are the logarithms of the increments from one frame
    to the next.
    """
    steps = free.exp()
    rising = steps[:JITTER].cumsum(-1)
    # The term of the jitter is the same at all frames, since an error of the observation has the
    # same effect at all times. If this term could rise with the frames, it would be fitted to
    # jerks in clean recordings, and then a noisy tracker would get balls of 10 m.
    level = steps[JITTER:STILL_TERMS, :1].expand(-1, steps.shape[1])
    return torch.cat([rising, level, steps[STILL_TERMS:]])


def _start(squares: Tensor, errors: Tensor) -> Tensor:
    """Return start values (A, K) for the optimiser, with which all terms contribute equally.

    Args:
        squares: squared inputs (A, W, K, J).
        errors: squared errors (W, K, J).
    """
    part = errors.mean((0, 2)).cummax(0).values / squares.mean((1, 3)).clamp(
        min=LEAST**2
    )  # (A, K)
    terms = (part / len(part)).sqrt()
    rising = terms[:STILL_TERMS].diff(dim=-1, prepend=torch.zeros(STILL_TERMS, 1))
    # The optimiser could not change an increment of zero, since its gradient would be zero.
    rising = torch.maximum(rising, 0.02 * terms[:STILL_TERMS])
    return torch.cat([rising, terms[STILL_TERMS:]]).clamp(min=1e-6).log()


def _evenly(people: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return the indices of at most ENOUGH windows of each person, evenly spaced in time."""
    chosen = []
    for person in np.unique(people):
        own = np.flatnonzero(people == person)
        places = np.linspace(0, len(own) - 1, min(ENOUGH, len(own))).round().astype(int)
        chosen.append(own[places])
    return np.sort(np.concatenate(chosen))
