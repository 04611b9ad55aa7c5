"""Errors in the world beside baselines, on motions whose errors are known in advance."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from motion_predictor_training.evaluation.measures import bootstrap
from motion_predictor_training.evaluation.measures.groups import body_speed, joint_speed, pace_of
from motion_predictor_training.evaluation.measures.horizons import (
    QUANTITIES,
    ROWS,
    TIMES_S,
    baseline_wins,
    errors_mm,
    measure_world,
    read,
    summarise_world,
    times_within,
    world_report,
)
from motion_predictor_training.predicting.baselines import (
    BASELINES,
    JOINTS_S,
    ROOT_S,
    baselines,
    recent_velocity,
)

RATE_HZ, HISTORY, FUTURE = 60.0, 30, 120
ROW = {row: index for index, row in enumerate(ROWS)}


def moving(velocity: Any, frames: int = HISTORY + FUTURE, noise_m: float = 0.0) -> torch.Tensor:
    """Return motion (1, frames, J, 3) whose joints have constant velocities (J, 3), m/s."""
    speed = torch.as_tensor(velocity, dtype=torch.float32)
    start = torch.arange(len(speed))[:, None] * torch.tensor([0.1, 0.2, 0.3])
    motion = start + speed * torch.arange(frames)[:, None, None] / RATE_HZ
    noise = torch.randn(motion.shape, generator=torch.Generator().manual_seed(0))
    return (motion + noise * noise_m)[None]


# Baselines


def test_velocity_is_the_slope_of_the_last_tenth_of_a_second() -> None:
    velocity = [[1.0, 0, 0], [0, -2.0, 0.5]]
    torch.testing.assert_close(
        recent_velocity(moving(velocity)[:, :HISTORY], RATE_HZ)[0], torch.tensor(velocity)
    )
    history = moving(velocity, noise_m=0.003)[:, :HISTORY]
    recent = history[0, -7:].double()
    time_s = np.arange(7) / RATE_HZ
    expected = np.polyfit(time_s, recent.flatten(1).numpy(), 1)[0].reshape(2, 3)
    np.testing.assert_allclose(recent_velocity(history, RATE_HZ)[0], expected, atol=1e-4)
    # For a slow source, the slope is over two frames.
    assert recent_velocity(history, 4.0)[0].allclose((history[0, -1] - history[0, -2]) * 4)


def test_baselines_go_on_as_they_say() -> None:
    root, arm = torch.tensor([1.0, 0.5, 0]), torch.tensor([1.0, 0.5, 2.0])
    history = moving(torch.stack([root, arm]), HISTORY)
    futures = baselines(history, FUTURE, RATE_HZ)
    assert list(futures) == list(BASELINES)
    last = history[0, -1]
    time_s = torch.arange(1, FUTURE + 1)[:, None] / RATE_HZ
    root_faded = root * ROOT_S * (1 - torch.exp(-time_s / ROOT_S))
    own_faded = (arm - root) * JOINTS_S * (1 - torch.exp(-time_s / JOINTS_S))
    expected = {
        'zero_velocity': (0 * time_s * root, 0 * time_s * root),
        'constant_velocity': (time_s * root, time_s * arm),
        'damped_velocity': (root_faded, root_faded + own_faded),
        'root_goes_on': (time_s * root, time_s * root),
    }
    for name, ways in expected.items():
        for joint, way in enumerate(ways):
            torch.testing.assert_close(
                futures[name][0, :, joint], last[joint] + way, atol=1e-4, rtol=1e-4
            )


# Errors at moments


def test_curves_are_read_between_frames_and_from_zero_before_the_first() -> None:
    curve = torch.tensor([[2.0, 4.0, 10.0, torch.nan, 3.0]])  # values at 0.1, ... 0.5 s
    values = read(curve, [0.05, 0.1, 0.25, 0.3, 0.33, 0.5], 10.0)
    torch.testing.assert_close(
        values[0], torch.tensor([1.0, 2.0, 7.0, 10.0, torch.nan, 3.0]), equal_nan=True
    )
    assert times_within(FUTURE, RATE_HZ) == list(TIMES_S)
    assert times_within(7, 20.0) == list(TIMES_S[:5]), '0.35 s'


def test_errors_of_root_and_pose_are_told_apart() -> None:
    future = moving([[0.0, 0, 0]] * 3, frames=4)
    motion = future + torch.tensor([0.03, 0.04, 0])  # all joints have the same error of 50 mm
    motion[:, :, 2, 2] += 0.12  # one joint has an additional error
    errors = errors_mm(motion, future)[0, :, 0]
    torch.testing.assert_close(errors, torch.tensor([(50 + 50 + 130) / 3, 50.0, 60.0]))
    future[:, 0, 1] = torch.nan
    future[:, 1, 0] = torch.nan
    future[:, 2] = torch.nan
    errors = errors_mm(motion, future)[0]
    torch.testing.assert_close(errors[:, 0], torch.tensor([90.0, 50.0, 120.0]))
    assert errors[0, 1] == pytest.approx(90, abs=1e-3)
    assert errors[1:, 1].isnan().all(), 'nothing is relative to a root that was not measured'
    assert errors[:, 2].isnan().all()


def test_constant_velocity_is_right_about_people_who_go_on() -> None:
    motion = moving([[1.2, 0, 0]] * 4)
    history, future = motion.split([HISTORY, FUTURE], dim=1)
    still = history[:, -1:].expand_as(future)
    world = measure_world(still, history, future, RATE_HZ)['world'][0]  # (R, 3, T)
    assert world.shape == (len(ROWS), len(QUANTITIES), len(TIMES_S))
    way_mm = 1200 * torch.tensor(TIMES_S)
    for row in ('model', 'zero_velocity'):
        torch.testing.assert_close(world[ROW[row], 0], way_mm, atol=0.05, rtol=1e-3)
        torch.testing.assert_close(world[ROW[row], 1], way_mm, atol=0.05, rtol=1e-3)
        assert world[ROW[row], 2].abs().max() < 0.05
    for row in ('constant_velocity', 'root_goes_on'):
        assert world[ROW[row]].abs().max() < 0.1
    # After 2 s, damped velocity is 1.2 * (2 - 2 (1 - e^-1)) m behind the person.
    assert world[ROW['damped_velocity'], 1, -1] == pytest.approx(1200 * 2 * np.exp(-1), rel=1e-3)


# Intervals


def brute_force(values: NDArray[Any], clips: NDArray[Any], draws: int) -> tuple[float, float]:
    """Return the bootstrap interval, computed by drawing clips one by one."""
    rng = np.random.default_rng(1)
    names = np.unique(clips)
    means = []
    for _ in range(draws):
        drawn = np.concatenate([values[clips == c] for c in rng.choice(names, len(names))])
        means.append(np.nanmean(drawn))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def of_one(clips: NDArray[Any]) -> NDArray[np.void]:
    """Return the clusters of clips that are all of one person."""
    return bootstrap.clusters(clips, np.full(len(clips), 'somebody'))


def test_intervals_resample_clips_and_not_windows() -> None:
    rng = np.random.default_rng(0)
    clips = np.repeat(np.arange(12) * 7, rng.integers(1, 40, 12))
    values = rng.normal(size=12)[clips // 7] + 0.1 * rng.normal(size=len(clips))
    values[rng.random(len(values)) < 0.1] = np.nan
    low, high = bootstrap.interval(values[:, None], of_one(clips))
    expected = brute_force(values, clips, 4000)
    width = expected[1] - expected[0]
    assert (low[0], high[0]) == pytest.approx(expected, abs=0.12 * width)
    as_if_independent = bootstrap.interval(values[:, None], of_one(np.arange(len(values))))
    assert as_if_independent[1] - as_if_independent[0] < width / 2
    assert bootstrap.mean(values) == pytest.approx(np.nanmean(values))
    again = bootstrap.interval(values[:, None], of_one(clips))
    np.testing.assert_array_equal(again, (low, high), 'seeded')


def test_a_single_clip_and_what_was_never_measured_have_no_interval() -> None:
    values = np.random.default_rng(0).normal(size=(20, 2))
    assert np.isnan(bootstrap.interval(values, of_one(np.zeros(20, int)))).all()
    values[:, 1] = np.nan
    low, high = bootstrap.interval(values, of_one(np.arange(20)))
    assert np.isfinite([low[0], high[0]]).all()
    assert np.isnan([low[1], high[1]]).all()
    assert np.isnan(bootstrap.mean(values)[1])


def test_intervals_are_of_other_clips_of_the_same_people() -> None:
    """Differences between people widen the interval only if each person has one clip."""
    rng = np.random.default_rng(0)
    clips = np.repeat(np.arange(40), 5)
    values = rng.normal(size=40)[clips]
    people = np.where(clips < 20, 'a', 'b')
    habits = np.where(people == 'a', 0.0, 100.0)
    low, high = bootstrap.interval(values + habits, bootstrap.clusters(clips, people))
    assert (low, high) == pytest.approx((50 + np.array(brute_force(values, clips, 2000))), abs=0.1)
    each = np.array([f'{clip}' for clip in clips])
    alone = bootstrap.interval(values + habits, bootstrap.clusters(clips, each))
    together = bootstrap.interval(values + habits, of_one(clips))
    np.testing.assert_allclose(alone, together)
    assert together[1] - together[0] > 10


def test_every_person_counts_the_same() -> None:
    values = np.array([1.0, 1.0, 1.0, 5.0])
    people = np.array(['a', 'a', 'a', 'b'])
    assert bootstrap.over_people(values, people) == pytest.approx(3.0)


# Where a baseline is better


def made_up(model_mm: float, spread_mm: float, clips: int = 8) -> NDArray[np.float32]:
    """Return errors (W, R, 3, 2) in millimetres, of ten windows per clip.

    The error of every baseline is 100 mm, except 60 mm of damped velocity at the second time.
    Errors of the model differ between clips by `spread_mm`.
    """
    rng = np.random.default_rng(0)
    world = np.full((10 * clips, len(ROWS), 3, 2), 100.0, np.float32)
    world[:, ROW['damped_velocity'], :, 1] = 60
    of_clip = rng.normal(size=clips) * spread_mm
    of_clip -= of_clip.mean()
    world[:, 0] = model_mm + np.repeat(of_clip, 10)[:, None, None]
    return world


def test_cells_that_a_baseline_wins_beyond_the_interval_are_found() -> None:
    clips = of_one(np.repeat(np.arange(8), 10))
    labels = {'pace': np.array(['still'] * 40 + ['walking'] * 40)}
    report = world_report(made_up(80, 5), labels, clips, [0.5, 1.0])
    best = report['all']['joints']['best_baseline']
    assert best['row'] == ['zero_velocity', 'damped_velocity']
    assert best['is_better'] == [False, True]
    assert best['difference'] == pytest.approx([-20, 20], abs=1e-4)
    assert best['low'][1] < 20 < best['high'][1]
    found = {(w['kind'], w['group'], w['quantity'], w['time_s']) for w in baseline_wins(report)}
    groups = [('all', 'all'), ('pace', 'still'), ('pace', 'walking')]
    assert found == {(*group, quantity, 1.0) for group in groups for quantity in QUANTITIES}
    assert report['where_a_baseline_is_better'] == baseline_wins(report)


def test_what_may_be_chance_is_not_listed() -> None:
    clips = of_one(np.repeat(np.arange(8), 10))
    report = world_report(made_up(63, 20), {}, clips, [0.5, 1.0])
    best = report['all']['joints']['best_baseline']
    assert best['difference'][1] == pytest.approx(3, abs=1e-4)
    assert best['low'][1] < 0 < best['high'][1]
    assert report['where_a_baseline_is_better'] == []


def test_a_group_of_one_clip_is_listed_as_such() -> None:
    summary = summarise_world(made_up(80, 5)[:10], of_one(np.zeros(10, int)), None)
    best = summary['root']['best_baseline']
    assert best['is_better'] == [False, None]
    assert best['low'] == [None, None]
    report = {'times_s': [0.5, 1.0], 'all': summary, 'groups': {}}
    assert {win['beyond_interval'] for win in baseline_wins(report)} == {None}


# Groups


def test_paces_and_speeds() -> None:
    paces = [pace_of(v) for v in (0, 0.09, 0.1, 0.59, 0.6, 1.99, 2.0, 9.0)]
    assert paces == ['still'] * 2 + ['slower'] * 2 + ['walking'] * 2 + ['running'] * 2
    history = moving([[0.3, 0.4, 0], [0, 0, 1.5]], HISTORY)
    assert body_speed(history, RATE_HZ).tolist() == pytest.approx([1.0], rel=1e-3)
    assert joint_speed(history, RATE_HZ)[0].tolist() == pytest.approx([0.5, 1.5], rel=1e-3)
    assert body_speed(history[:, :2], 5.0).tolist() == pytest.approx([5.0 / 60], rel=1e-2)
