"""Turns sums over windows into the averages that are reported."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion_predictor.skeleton import Layout
from motion_predictor_training.evaluation.measures.motion import Sums, divergence_bits

HORIZON_STEP_S = 0.1


def summary_of(sums: dict[str, Sums], rows: Sequence[str]) -> dict[str, Any]:
    """Average the figures of each row (model or baseline), and the coverage, over a group."""
    true_speeds = sums['truth'].mean('speeds')['count']
    figures = {row: figures_of(sums[row]) for row in rows}
    if true_speeds.any():  # a future of one frame has no speeds
        for row, by_name in figures.items():
            speeds = sums[row].mean('speeds')['count']
            by_name['speed_JSD_bits'] = divergence_bits(speeds, true_speeds)
    summary: dict[str, Any] = {'windows': sums['model'].windows, 'rows': figures}
    if sums['model'].mean('coverage'):
        summary['coverage'] = {'reached': float(sums['model'].pooled('coverage', 'covered'))}
    return summary


def figures_of(sums: Sums) -> dict[str, float]:
    """Return each figure, averaged over the windows that were summed."""
    return {name: float(value) for name, value in sums.mean('figures').items()}


def horizon_of(sums: dict[str, Sums], rows: Sequence[str], rate_hz: float) -> dict[str, Any]:
    """Return the errors of each row (model or baseline) at multiples of HORIZON_STEP_S ahead."""
    curves = {row: sums[row].mean('horizon') for row in rows}
    times_s = _times(len(curves['model']['FDE']), rate_hz)
    return {
        'times_s': times_s,
        'rows': {
            row: {name: _read(curve, times_s, rate_hz) for name, curve in by_name.items()}
            for row, by_name in curves.items()
        },
    }


def joints_of(sums: dict[str, Sums], rows: Sequence[str], layout: Layout) -> dict[str, Any]:
    """Return the errors of each row (model or baseline) for each joint."""
    return {
        row: {
            name: dict(zip(layout.joint_names, errors_mm.tolist(), strict=True))
            for name, errors_mm in sums[row].mean('joints').items()
        }
        for row in rows
    }


def coverage_of(sums: Sums, layout: Layout, rate_hz: float) -> dict[str, Any]:
    """Return the share of joints inside the radius: overall, by time ahead, and by joint."""
    by_frame = sums.pooled('coverage', 'covered', 1)  # (F,)
    by_joint = sums.pooled('coverage', 'covered', 0)  # (J,), NaN where never measured
    times_s = _times(len(by_frame), rate_hz)
    reached = _read(by_frame, times_s, rate_hz)
    return {
        'reached': float(sums.pooled('coverage', 'covered')),
        'reached_at_s': {f'{t:g}': value for t, value in zip(times_s, reached, strict=True)},
        'reached_by_joint': dict(zip(layout.joint_names, by_joint.tolist(), strict=True)),
    }


def _times(frames: int, rate_hz: float) -> list[float]:
    """Return the multiples of HORIZON_STEP_S within a number of future frames, seconds."""
    first, last = (np.array([1, frames]) / rate_hz / HORIZON_STEP_S).tolist()
    multiples = np.arange(np.ceil(first - 1e-6), np.floor(last + 1e-6) + 1)
    return [round(float(m) * HORIZON_STEP_S, 6) for m in multiples if m > 0]


def _read(curve: NDArray[np.float64], times_s: list[float], rate_hz: float) -> list[float]:
    """Interpolate a curve (F,) linearly at the given times.

    Entry f of the curve, counted from 0, is the value f + 1 frames after the last observed frame.
    """
    at_s = np.arange(1, len(curve) + 1) / rate_hz
    return [float(value) for value in np.interp(times_s, at_s, curve)]
