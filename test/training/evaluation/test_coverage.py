"""The coverage and the volume of balls, on balls with a known coverage."""

import numpy as np
import pytest
import torch

from motion_predictor.skeleton import known_layouts
from motion_predictor.uncertainty.reach import greatest_speed
from motion_predictor_training.evaluation.measures.coverage import (
    SET_TIMES_S,
    measure_sets,
    sets_report,
)
from motion_predictor_training.predicting.every_window import Predicted

SMPL = known_layouts()['smpl22']
JOINTS = len(SMPL.joints)
RATE_HZ, FRAMES = 20.0, 40
WRIST = SMPL.joint_names.index('r_wrist')


def predicted(windows: int, seed: int = 0) -> Predicted:
    """Return predictions of people who stand, with errors of at most one metre.

    The distance of the future from the mean has a uniform distribution. All radii are 0.8 m.
    """
    generator = torch.Generator().manual_seed(seed)
    mean = torch.zeros(windows, FRAMES, JOINTS, 3)
    way = torch.randn(mean.shape, generator=generator)
    off = torch.rand(*mean.shape[:3], 1, generator=generator)
    return Predicted(
        range(windows),
        history=torch.zeros(windows, 10, JOINTS, 3),
        doubt_m=torch.zeros(windows, JOINTS),
        future=mean + off * way / way.norm(dim=-1, keepdim=True),
        measured=torch.ones(windows, FRAMES, JOINTS, dtype=torch.bool),
        samples=mean[:, None],
        mean=mean,
        radius=torch.full((windows, FRAMES, JOINTS), 0.8),
    )


def report(of: Predicted, **labels: list[str]) -> dict:
    """Return the report on the sets of predictions. `labels` are groups of windows."""
    collected = {name: v.numpy() for name, v in measure_sets(of, SMPL, RATE_HZ).items()}
    named = {kind: np.array(names) for kind, names in labels.items()}
    return sets_report(collected, named, SMPL, list(SET_TIMES_S))


def test_coverage_and_volume_are_those_of_the_balls() -> None:
    found = report(predicted(400))
    ours = found['ours']
    assert ours['coverage'] == pytest.approx([0.8] * len(SET_TIMES_S), abs=0.02)
    assert ours['whole_body'] == pytest.approx([0.8**JOINTS] * len(SET_TIMES_S), abs=0.02)
    assert ours['always'] == 0
    assert ours['radius_cm'] == pytest.approx([80] * len(SET_TIMES_S))
    for volumes in ours['volume_m3'].values():
        assert volumes == pytest.approx([4 / 3 * np.pi * 0.8**3] * len(SET_TIMES_S))
    assert found['joints']['times_s'] == [0.1, 0.5, 1.0, 2.0]
    assert found['joints']['coverage']['head'] == pytest.approx([0.8] * 4, abs=0.08)


def test_the_balls_of_the_standard_grow_with_its_speeds() -> None:
    speed = greatest_speed(SMPL)
    assert speed[WRIST] == 2.0
    assert speed.sum() == pytest.approx(1.6 * (JOINTS - 2) + 2 * 2.0)
    of = predicted(400)
    of.future[:] = of.mean  # nobody moves
    iso = report(of)['iso_13855']
    assert iso['coverage'] == [1] * len(SET_TIMES_S)
    ahead_s = np.round(np.array(SET_TIMES_S) * RATE_HZ) / RATE_HZ  # there is no frame at 0.33 s
    assert iso['radius_cm'] == pytest.approx((160 * ahead_s).tolist(), rel=1e-4)
    assert iso['volume_m3']['95'] == pytest.approx((4 / 3 * np.pi * (2 * ahead_s) ** 3).tolist())
    time_s = torch.arange(1, FRAMES + 1)[:, None] / RATE_HZ
    of.future[..., 0] += 1.8 * time_s  # between the standard's speeds of bodies and of hands
    iso = report(of)['iso_13855']
    assert iso['coverage'] == pytest.approx([2 / JOINTS] * len(SET_TIMES_S))
    assert iso['whole_body'] == [0] * len(SET_TIMES_S)


def test_the_standard_is_compared_at_equal_coverage() -> None:
    of = predicted(400)
    of.future[:] = of.mean
    time_s = torch.arange(1, FRAMES + 1)[:, None] / RATE_HZ
    of.future[..., 0] += 3.2 * time_s  # ISO 13855: 1.6 m/s, hands 2 m/s
    ahead_s = torch.arange(1, FRAMES + 1) / RATE_HZ
    of.radius[:] = 3.2 * ahead_s[:, None] + 0.01
    found = report(of)['iso_13855']
    assert found['coverage'] == [0] * len(SET_TIMES_S)
    assert found['times_its_speeds'] == pytest.approx([2.0] * len(SET_TIMES_S))
    assert found['ours_at_equal_coverage'][-1] == pytest.approx((6.41 / 6.4) ** 3, rel=1e-3)
    of.future[:] = of.mean
    assert report(of)['iso_13855']['ours_at_equal_coverage'][-1] is None, 'nobody moves'


def test_a_body_is_held_where_every_measured_joint_is() -> None:
    of = predicted(10)
    of.future[:] = of.mean
    of.future[:4, :, WRIST] += 5  # a wrist of four people leaves its ball
    of.measured[:2, :, WRIST] = False  # two of these four wrists are not measured
    of.future[:2, :, WRIST] = torch.nan
    of.measured[9] = False
    of.future[9] = torch.nan
    of.future[8, -1, 0] += 5  # one root leaves its ball in the last frame
    found = report(of, subject=['a'] * 4 + ['b'] * 6)
    ours = found['ours']
    times = len(SET_TIMES_S)
    assert ours['whole_body'] == pytest.approx([7 / 9] * (times - 1) + [6 / 9])
    assert ours['bodies'] == [9] * times
    assert ours['joints'] == [9 * JOINTS - 2] * times
    assert ours['coverage'][0] == pytest.approx(1 - 2 / (9 * JOINTS - 2))
    assert ours['always'] == pytest.approx(7 / 10), 'of whom nothing was measured, nothing is lost'
    people = found['groups']['subject']
    assert people['a']['whole_body'] == pytest.approx([0.5] * times)
    assert people['b']['coverage'][:-1] == [1] * (times - 1)
    assert found['joints']['coverage']['r_wrist'] == pytest.approx([5 / 7] * 4)


def test_wrists_and_ankles_are_told_apart_by_their_speed() -> None:
    of = predicted(6)
    of.future[:] = of.mean
    time_s = torch.arange(-9, 1) / RATE_HZ
    of.history[:, :, WRIST, 0] = time_s * torch.tensor([0.1, 0.5, 1.5, 1.5, 3.0, 3.0])[:, None]
    of.future[4:, 0, WRIST] += 5  # fast wrists leave their balls in the first frame
    rows = report(of)['extremities']
    assert [row['joints'][0] for row in rows] == [6 * 3 + 1, 1, 2, 2]
    assert [row['coverage'][0] for row in rows] == [1, 1, 1, 0]
    assert [row['coverage'][1] for row in rows] == [1, 1, 1, 1]
    assert rows[-1]['to_m_s'] is None
