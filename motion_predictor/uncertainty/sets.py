"""Balls that hold each joint of a person, or all joints at once, with a promised probability.

The expected error of a joint at a frame is the root of a weighted sum of squared terms. The terms
are a constant, the present motion of the joint, of the body and of the root, the jitter of the
observation, and the spread of the samples. No weight of a term is negative. Only the weights of
the spread may fall with the horizon. So the terms other than the spread never make a ball smaller
for faster motion or a later frame.

Split conformal calibration scales the expected error, separately for each group of body part and
speed (Mondrian conformal prediction, Vovk et al. 2003). A walking person may stop or turn, even if
nobody in the calibration set did. So the radius has a lower limit that grows with the speed of the
person; see doc/sets.md.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion_predictor.skeleton import Layout
from motion_predictor.uncertainty.calibration import PARTS, STILL_TERMS, Calibration, parts_of
from motion_predictor.uncertainty.state import State

FloatArray = NDArray[np.float32]


class ExpectedError:
    """Computes the expected error: how far the mean of the samples may be off.

    Args:
        terms: weights of the A TERMS in the error of the G PARTS, at each of F frames, (G, A, F).
        parts: index in PARTS of the part of the body to which each joint belongs, (J,).
    """

    def __init__(self, terms: ArrayLike, parts: ArrayLike) -> None:
        squares = np.square(np.asarray(terms, np.float32))[np.asarray(parts)]  # (J, A, F)
        self._trunk = trunk_of(parts)
        self._still = np.ascontiguousarray(squares[:, :STILL_TERMS])
        self._spread = np.ascontiguousarray(squares[:, STILL_TERMS].T)  # (F, J)
        self._body_spread = np.ascontiguousarray(squares[:, STILL_TERMS + 1].T)

    def __call__(self, state: State, spread: FloatArray) -> FloatArray:
        """Return the expected errors (P, F, J), metres. Radii are multiples of these errors.

        Args:
            state: present motion of P people.
            spread: spread of the samples of the P people, (P, F, J) metres.
        """
        still = np.stack(state_terms(state, self._trunk), -1)  # (P, J, A')
        squares = (still * still).swapaxes(0, 1) @ self._still  # (J, P, F)
        scatter = spread * spread
        squares = squares.transpose(1, 2, 0) + self._spread * scatter
        squares += self._body_spread * scatter.mean(-1, keepdims=True)
        return np.sqrt(squares)


def trunk_of(parts: ArrayLike) -> NDArray[np.int64]:
    """Return the indices of the joints that belong to the trunk or the head."""
    return np.flatnonzero(np.asarray(parts) == PARTS.index('others'))


def state_terms(state: State, trunk: NDArray[np.int64]) -> list[FloatArray]:
    """Return the values of the first STILL_TERMS of TERMS, an array (P, J) for each term."""
    of_trunk = state.own_speed[:, trunk]
    trunk_speed = np.sqrt((of_trunk * of_trunk).sum(1) / max(1, len(trunk)))
    ones = np.ones_like(state.own_speed)
    return [
        ones,
        state.own_speed,
        trunk_speed[:, None] * ones,
        state.acceleration,
        state.body_acceleration[:, None] * ones,
        state.root_speed[:, None] * ones,
        state.jitter,
    ]


def groups_of(
    state: State, parts: ArrayLike, calibration: Calibration
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the group of each joint (P, J), and two groups of each person, (P,) each.

    The first group of a person follows from the speed of the root, the second from the speed of
    the fastest joint.
    """
    speeds = np.searchsorted(calibration.speeds, state.speed, side='right')
    groups = np.asarray(parts) * (len(calibration.speeds) + 1) + speeds
    paces = np.searchsorted(calibration.paces, state.root_speed, side='right')
    bodies = np.searchsorted(calibration.body_speeds, state.speed.max(1), side='right')
    return groups, paces, bodies


class Sets:
    """Computes prediction sets (balls around the mean) with one promised coverage.

    Args:
        calibration: calibration of the checkpoint.
        tensors: tensors of the calibration, by name.
        layout: layout of the joints.
        frames: number of predicted frames, F.
        coverage: one of the calibrated coverages. If `coverage` is None, the default of
            `Calibration.choose` is used.

    Raises:
        ValueError: if the coverage is not calibrated.
    """

    def __init__(
        self,
        calibration: Calibration,
        tensors: dict[str, FloatArray],
        layout: Layout,
        frames: int,
        coverage: float | None = None,
    ) -> None:
        chosen = calibration.choose(coverage)
        self.coverage = calibration.coverages[chosen]
        self._calibration = calibration
        self._parts = np.array(parts_of(layout))
        terms, *scales = (tensors[name] for name in calibration.shapes())
        terms, scale, pace_scale, pace_floor, body_scale = (
            _at_every_frame(values, calibration.frames, frames)
            for values in (terms, *(of_coverages[chosen] for of_coverages in scales))
        )
        self._expected = ExpectedError(terms, self._parts)
        self._scale = scale.reshape(len(scale), -1, frames)  # (R, G * B, F)
        self._pace_scale = pace_scale  # (R, Q, F)
        self._pace_floor = pace_floor  # (R, F) s
        self._body_scale = body_scale  # (R, V, F)

    def __call__(
        self, state: State, spread: FloatArray, samples: int
    ) -> tuple[FloatArray, FloatArray] | None:
        """Return the radii, and the factors by which radii grow to hold all joints at once.

        Args:
            state: present motion of P people.
            spread: spread of the samples of the P people, (P, F, J) metres.
            samples: number of samples per person.

        Returns:
            Radii (P, F, J), metres, and factors (P, F). The result is None if the checkpoint is
            not calibrated for so few samples.
        """
        rung = self._calibration.rung(samples)
        if rung is None:
            return None
        groups, paces, bodies = groups_of(state, self._parts, self._calibration)
        radius = self._expected(state, spread)
        radius *= self._scale[rung][groups].swapaxes(1, 2)
        radius *= self._pace_scale[rung][paces][..., None]
        least = self._pace_floor[rung] * state.root_speed[:, None]  # (P, F)
        np.maximum(radius, least[..., None], out=radius)
        # A radius never shrinks with the horizon.
        return np.maximum.accumulate(radius, axis=1), self._body_scale[rung][bodies]


def _at_every_frame(values: FloatArray, knots: tuple[int, ...], frames: int) -> FloatArray:
    """Return values (..., F) at frames 1 to F, linearly interpolated from (..., K) at K knots."""
    at = np.arange(1, frames + 1)
    rows = values.reshape(-1, values.shape[-1])
    read = np.stack([np.interp(at, knots, row) for row in rows])
    return read.reshape(*values.shape[:-1], frames).astype(np.float32)
