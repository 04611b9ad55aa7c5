"""Coverage and size of the balls that the node publishes, compared with those of ISO 13855.

A ball contains a joint with a stated probability, the coverage. Coverage without size says little,
and an average says little about a fast wrist. So coverage and size are reported by time ahead,
joint, person and speed, for single joints and for whole bodies. The balls of ISO 13855:2024 are
reported for comparison. The balls of ISO 13855 need no prediction: the standard assumes that a
joint moves away from its last seen position with at most its greatest speed.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.skeleton import Layout
from motion_predictor.uncertainty.reach import greatest_speed
from motion_predictor_training.evaluation.measures.groups import joint_speed
from motion_predictor_training.evaluation.measures.horizons import times_within
from motion_predictor_training.evaluation.measures.per_window import plain
from motion_predictor_training.predicting.every_window import Predicted

SET_TIMES_S = (0.05, 0.1, 0.2, 0.33, 0.5, 1.0, 1.5, 2.0)
JOINT_TIMES_S = (0.1, 0.5, 1.0, 2.0)
"""Times ahead at which the coverage of each joint is reported."""
PERCENTILES = (5, 50, 95)
SPEEDS_M_S = (0.0, 0.25, 1.0, 2.0, float('inf'))
"""Limits of the speed bins. A joint belongs to a bin by the speed at which it was last seen."""
EXTREMITIES = ('l_wrist', 'r_wrist', 'l_ankle', 'r_ankle')

FloatArray = NDArray[np.floating]


def measure_sets(predicted: Predicted, layout: Layout, rate_hz: float) -> dict[str, Tensor]:
    """Measure the balls of B windows at the frames nearest to SET_TIMES_S.

    Returns:
        `held` (B, T, J): 1 if our ball, the one that the node publishes, contains the joint, else
        0. `radius_m` (B, T, J): radius of our ball. `iso_radius_m` (B, T, J): radius of the ball
        of ISO 13855. `iso_way` (B, T, J): distance that the joint moved, divided by
        `iso_radius_m`. In `held`, `radius_m`, `iso_radius_m` and `iso_way`, NaN marks a joint that
        was not measured. `held_always` (B,): 1 if our balls contain all measured joints in all
        frames, else 0. `joint_speed` (B, J): speed at which each joint was last seen, m/s.
    """
    frames = predicted.future.shape[1]
    times_s = times_within(frames, rate_hz, SET_TIMES_S)
    chosen = [min(max(round(time_s * rate_hz), 1), frames) - 1 for time_s in times_s]
    error = (predicted.future - predicted.mean).norm(dim=-1)  # (B, F, J)
    radius = predicted.radius.expand_as(error)
    held = torch.where(predicted.measured, (error <= radius).float(), torch.nan)
    way = (predicted.future[:, chosen] - predicted.history[:, -1:]).norm(dim=-1)  # (B, T, J)
    ahead_s = (torch.tensor(chosen, dtype=torch.float32) + 1) / rate_hz
    reach = (ahead_s[:, None] * torch.from_numpy(greatest_speed(layout))).expand_as(way)
    known = predicted.measured[:, chosen]

    def where_known(values: Tensor) -> Tensor:
        return torch.where(known, values, torch.nan)

    return {
        'held': held[:, chosen],
        'radius_m': where_known(radius[:, chosen]),
        'iso_way': where_known(way / reach),
        'iso_radius_m': where_known(reach),
        'held_always': (held.nan_to_num(1.0) == 1).all(2).all(1).float(),
        'joint_speed': joint_speed(predicted.history, rate_hz),
    }


def sets_report(
    collected: dict[str, FloatArray],
    labels: dict[str, NDArray[np.str_]],
    layout: Layout,
    times_s: list[float],
) -> dict[str, Any]:
    """Return coverage and size of the balls, overall and by group, joint and speed.

    Args:
        collected: results of `measure_sets` for all W windows.
        labels: for each kind of group, the name of the group that each window belongs to (W,).
        layout: layout of the joints.
        times_s: times ahead at which the results were collected (T,).

    Returns:
        `ours` (our balls) and `iso_13855` (the balls of ISO 13855) have the following figures at
        each of `times_s`. `coverage`: share of the measured joints that are inside their ball.
        `whole_body`: share of windows in which all measured joints are inside their balls at once.
        `volume_m3`: the PERCENTILES of the volumes of the balls. `radius_cm`: median radius of the
        balls.

        `ours` also has `always`, the share of windows in which every joint is inside its ball in
        every frame. `iso_13855` also has the factor `times_its_speeds`. If the speeds that ISO
        13855 assumes are multiplied by this factor, the balls of ISO 13855 have the same coverage
        as our balls. `iso_13855` also has `ours_at_equal_coverage`: the median volume of our
        balls, divided by the median volume of the balls of ISO 13855 at the same coverage.

        `groups`: for each group of windows, its `coverage`, `whole_body` and `radius_cm`.
        `joints`: coverage of each joint at JOINT_TIMES_S. `extremities`: coverage of wrists and
        ankles by the speed at which the joint was last seen, with the number of joints.
    """
    way = collected['iso_way']
    ours = {'held': collected['held'], 'radius_m': collected['radius_m']}
    iso = {
        'held': np.where(np.isfinite(way), way <= 1, np.nan),
        'radius_m': collected['iso_radius_m'],
    }
    report = {
        'times_s': times_s,
        'ours': _sizes(ours) | _coverage(ours) | {'always': collected['held_always'].mean()},
        'iso_13855': _sizes(iso) | _coverage(iso) | _equal(ours, iso, way),
        'groups': {
            kind: {
                str(name): {'windows': int((names == name).sum())}
                | _coverage({key: values[names == name] for key, values in ours.items()})
                for name in np.unique(names)
            }
            for kind, names in labels.items()
        },
        'joints': _joints(ours['held'], layout, times_s),
        'extremities': _extremities(ours['held'], collected['joint_speed'], layout),
    }
    return plain(report)


def _coverage(sets: dict[str, FloatArray]) -> dict[str, Any]:
    """Return the coverage of joints, the coverage of whole bodies and the median radius (T,)."""
    held, radius = sets['held'], sets['radius_m']  # (W, T, J)
    share, count = _share(held, (0, 2))
    seen = np.isfinite(held).any(2)
    missed = (held == 0).any(2)
    bodies, windows = _share(np.where(seen, 1.0 - missed, np.nan), (0,))
    return {
        'coverage': share,
        'joints': count,
        'whole_body': bodies,
        'bodies': windows,
        'radius_cm': [_percentile(of_time, 50) * 100 for of_time in radius.transpose(1, 0, 2)],
    }


def _sizes(sets: dict[str, FloatArray]) -> dict[str, Any]:
    volume = 4 / 3 * np.pi * sets['radius_m'].astype(np.float64) ** 3
    return {
        'volume_m3': {
            str(p): [_percentile(of_time, p) for of_time in volume.transpose(1, 0, 2)]
            for p in PERCENTILES
        }
    }


def _equal(
    ours: dict[str, FloatArray], iso: dict[str, FloatArray], way: FloatArray
) -> dict[str, Any]:
    """Compare our balls with balls of ISO 13855 that are scaled to the same coverage.

    Return the factor by which the radius of the balls of ISO 13855 is multiplied. Return also the
    volume of our balls, divided by the volume of the scaled balls. The docstring of `sets_report`
    describes both results.
    """
    share, _ = _share(ours['held'], (0, 2))
    times, smaller = [], []
    for index, held in enumerate(share):
        factor = _percentile(way[:, index], 100 * held)
        times.append(factor)
        radius, reach = (_percentile(sets['radius_m'][:, index], 50) for sets in (ours, iso))
        smaller.append((radius / (factor * reach)) ** 3 if factor * reach else float('nan'))
    return {'times_its_speeds': times, 'ours_at_equal_coverage': smaller}


def _joints(held: FloatArray, layout: Layout, times_s: list[float]) -> dict[str, Any]:
    share, _ = _share(held, (0,))  # (T, J)
    chosen = [index for index, time_s in enumerate(times_s) if time_s in JOINT_TIMES_S]
    return {
        'times_s': [times_s[index] for index in chosen],
        'coverage': {
            joint: share[chosen, number] for number, joint in enumerate(layout.joint_names)
        },
    }


def _extremities(held: FloatArray, speed: FloatArray, layout: Layout) -> list[dict[str, Any]]:
    """Return the coverage of wrists and ankles by their speed."""
    chosen = [j for j in map(layout.index, EXTREMITIES) if j is not None]
    rows = []
    for low, high in zip(SPEEDS_M_S, SPEEDS_M_S[1:], strict=False):
        own = (speed[:, chosen] >= low) & (speed[:, chosen] < high)  # (W, n)
        of_speed = np.where(own[:, None], held[:, :, chosen], np.nan)
        share, count = _share(of_speed, (0, 2))
        rows.append({'from_m_s': low, 'to_m_s': high, 'coverage': share, 'joints': count})
    return rows


def _share(values: FloatArray, axis: tuple[int, ...]) -> tuple[FloatArray, NDArray[np.int64]]:
    """Average the values that are not NaN over some axes; return also their number."""
    known = np.isfinite(values)
    count = known.sum(axis)
    with np.errstate(invalid='ignore'):
        return np.where(known, values, 0).sum(axis, dtype=np.float64) / count, count


def _percentile(values: FloatArray, percent: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, percent)) if len(known) else float('nan')
