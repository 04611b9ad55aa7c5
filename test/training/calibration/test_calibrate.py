"""Calibration of sets: quantiles, groups and margins, on errors with a known distribution."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_train
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, load_checkpoint
from motion_predictor.skeleton import Layout, known_layouts
from motion_predictor.uncertainty.calibration import PARTS, Calibration, parts_of
from motion_predictor.uncertainty.sets import Sets
from motion_predictor.uncertainty.state import State
from motion_predictor_training.calibration.calibrate import calibrate
from motion_predictor_training.calibration.conformal import at_least, carries, quantile, rising
from motion_predictor_training.calibration.errors import Scores
from motion_predictor_training.calibration.fit_pace_floor import PaceFloors
from motion_predictor_training.calibration.fit_sets import fit_sets
from motion_predictor_training.calibration.left_out import LeftOut
from motion_predictor_training.config import CalibrationConfig, ConfigError
from motion_predictor_training.data.windows import model_windows
from motion_predictor_training.predicting.every_window import predictor_of

BODY = Layout(name='body', joints={'pelvis': None, 'l_wrist': 'pelvis', 'l_ankle': 'pelvis'})
FRAMES = (1, 4, 12)
CALIBRATION = Calibration(
    kind='floored',
    coverages=(0.9, 0.95),
    samples=(8,),
    frames=FRAMES,
    speeds=(0.3, 1.0, 2.0),
    body_speeds=(1.0,),
    paces=(0.6,),
    people=12,
    windows=1200,
)
CONFIG = CalibrationConfig(steps=80, folds=3)


def crowd(people: dict[str, int], seed: int = 0, habits: float = 0.05) -> Scores:
    """Return scores of windows, whose errors grow with the speed of the joint and with time.

    An error is the length of a vector of three normal numbers. The standard deviation of these
    numbers is 1 cm plus 10 cm per m/s of the joint's speed, times the square root of the frame,
    times a factor of the person. `habits` is the standard deviation of the logarithm of these
    factors. `people` has the number of windows of each person.
    """
    random = np.random.default_rng(seed)
    names = np.repeat(list(people), list(people.values()))
    count, joints = len(names), len(BODY.joints)
    speed = random.gamma(1.0, 0.8, (count, joints)).astype(np.float32)
    own = dict(zip(people, np.exp(random.normal(scale=habits, size=len(people))), strict=True))
    habit = np.array([own[name] for name in names])[:, None, None]
    sigma = habit * (0.01 + 0.1 * speed[:, None]) * np.sqrt(FRAMES)[:, None]  # (W, K, J)
    error = np.linalg.norm(random.normal(size=(1, *sigma.shape, 3)), axis=-1) * sigma
    state = State(
        speed,
        speed,
        np.ones_like(speed),
        np.ones(count, np.float32),
        np.zeros(count, np.float32),
        np.full_like(speed, 1e-4),
    )
    spread = np.full(error.shape, 0.02, np.float32)
    share = np.ones(count, np.float32)
    trained = np.zeros(count, bool)
    times_s = np.array(FRAMES, np.float32) / 6
    return Scores(times_s, names, trained, share, state, spread, error.astype(np.float32))


def sets_of(scores: Scores, coverage: float) -> Sets:
    tensors, _ = fit_sets(scores, CALIBRATION, parts_of(BODY), CONFIG)
    return Sets(CALIBRATION, tensors, BODY, FRAMES[-1], coverage)


def easier(scores: Scores, who: NDArray[np.bool_], factor: float) -> Scores:
    """Return the scores with the errors of some windows (W,) multiplied by a factor."""
    smaller = np.where(who, factor, 1.0).astype(np.float32)
    return replace(scores, error=scores.error * smaller[:, None, None])


def applied(sets: Sets, scores: Scores) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return which joints (W, K, J) and which bodies (W, K) are held."""
    at = np.array(FRAMES) - 1
    spread = np.full((len(scores), FRAMES[-1], len(BODY.joints)), 0.02, np.float32)
    made = sets(scores.state, spread, 8)
    assert made is not None
    radius, body_scale = (values[:, at] for values in made)
    error = scores.error[0]
    return error <= radius, (error <= radius * body_scale[..., None]).all(-1)


@pytest.fixture(scope='module')
def known() -> Scores:
    return crowd({f'person {i}': 100 for i in range(12)})


@pytest.fixture(scope='module')
def fitted(known: Scores) -> tuple[dict[str, NDArray[np.float32]], LeftOut]:
    return fit_sets(known, CALIBRATION, parts_of(BODY), CONFIG)


@pytest.fixture(scope='module')
def others() -> Scores:
    return crowd({f'stranger {i}': 60 for i in range(40)}, seed=1)


@pytest.mark.parametrize('coverage', [0.9, 0.95])
def test_strangers_are_held_as_promised_fast_or_slow_joint_by_joint_and_whole(
    fitted: Any, others: Scores, coverage: float
) -> None:
    sets = Sets(CALIBRATION, fitted[0], BODY, FRAMES[-1], coverage)
    joints, bodies = applied(sets, others)
    assert joints.mean() == pytest.approx(coverage, abs=0.02)
    np.testing.assert_allclose(joints.mean((0, 2)), coverage, atol=0.025)
    np.testing.assert_allclose(bodies.mean(0), coverage, atol=0.03)
    for low, high in ((0, 0.3), (0.3, 1), (1, 2), (2, 9)):
        group = (others.state.speed >= low) & (others.state.speed < high)
        assert joints.swapaxes(1, 2)[group].mean() == pytest.approx(coverage, abs=0.04), (
            low,
            high,
        )


def test_radii_grow_with_speed_time_and_coverage_alone(fitted: Any) -> None:
    speed = np.repeat(np.linspace(0, 4, 81, dtype=np.float32)[:, None], 3, 1)
    ones = np.ones_like(speed)
    still = State(speed, speed, ones, ones[:, 0], 0 * speed[:, 0], 0 * speed)
    spread = np.full((81, FRAMES[-1], 3), 0.02, np.float32)
    radii = []
    for coverage in (0.9, 0.95):
        made = Sets(CALIBRATION, fitted[0], BODY, FRAMES[-1], coverage)(still, spread, 8)
        assert made is not None
        radii.append(made[0])
    assert (np.diff(radii[0], axis=0) >= 0).all(), 'with speed'
    assert (np.diff(radii[0], axis=1) >= 0).all(), 'with the frame'
    assert (radii[1] >= radii[0]).all(), 'with the coverage'
    assert radii[0][60, -1, 1] > 2 * radii[0][10, -1, 1]


def test_what_was_not_measured_counts_for_nothing(fitted: Any, known: Scores) -> None:
    error = known.error.copy()
    error[:, ::2, 1:, 2] = np.nan
    error[:, 5] = np.nan
    joints, bodies = applied(sets_of(replace(known, error=error), 0.9), known)
    whole, _ = applied(Sets(CALIBRATION, fitted[0], BODY, FRAMES[-1], 0.9), known)
    assert joints.mean() == pytest.approx(whole.mean(), abs=0.02)
    assert bodies.mean() == pytest.approx(0.9, abs=0.05)


def test_joints_that_nobody_was_measured_at_have_the_largest_balls(known: Scores) -> None:
    error = known.error.copy()
    error[..., 2] = np.nan
    tensors, _ = fit_sets(replace(known, error=error), CALIBRATION, parts_of(BODY), CONFIG)
    still = known.state._replace(speed=known.state.speed[:, :1].repeat(3, 1))
    still = still._replace(own_speed=still.speed)
    spread = np.full((len(known), FRAMES[-1], 3), 0.02, np.float32)
    made = Sets(CALIBRATION, tensors, BODY, FRAMES[-1], 0.9)(still, spread, 8)
    assert made is not None
    ankle = made[0][..., 2]
    assert (ankle > 0.8 * made[0][..., :2].max(-1)).mean() > 0.9


def test_somebody_seen_all_day_does_not_outvote_the_others() -> None:
    people = {f'person {i}': 60 for i in range(8)} | {'guest': 900}
    scores = crowd(people, habits=0.0)
    steady = easier(scores, scores.people == 'guest', 0.2)
    joints, _ = applied(sets_of(steady, 0.9), crowd({'stranger': 1000}, seed=2, habits=0.0))
    assert joints.mean() > 0.87
    alone, _ = applied(sets_of(crowd({'guest': 600}, habits=0.0), 0.9), scores)
    assert alone.mean() == pytest.approx(0.9, abs=0.03), 'one person is left out bit by bit'


def test_people_trained_on_are_taken_for_as_hard_as_others() -> None:
    scores = crowd({f'person {i}': 60 for i in range(12)}, habits=0.05)
    known = np.array([int(name.split()[1]) < 8 for name in scores.people])
    easy = replace(easier(scores, known, 0.5), trained=known)
    strangers = crowd({f'stranger {i}': 60 for i in range(12)}, seed=3, habits=0.05)
    held, _ = applied(sets_of(easy, 0.9), strangers)
    blind, _ = applied(sets_of(replace(easy, trained=known & False), 0.9), strangers)
    assert held.mean() > blind.mean() + 0.02
    assert 0.88 < held.mean() < 0.95


def test_somebody_who_is_hard_to_predict_is_missed_twice_as_often_at_most() -> None:
    scores = crowd({f'person {i}': 100 for i in range(12)}, habits=0.0)
    hard = easier(scores, scores.people == 'person 5', 1.5)
    tensors, left_out = fit_sets(hard, CALIBRATION, parts_of(BODY), CONFIG)
    own = hard.people == 'person 5'
    for index, coverage in enumerate(CALIBRATION.coverages):
        sets = Sets(CALIBRATION, tensors, BODY, FRAMES[-1], coverage)
        held = applied(sets, hard.choose(own))[0].mean((0, 2))
        assert (held > 1 - 2.1 * (1 - coverage)).all()
        unknown = left_out.held[index, own].mean(0)
        assert (unknown < held - 0.02).all(), 'whoever is left out has no part in the margin'
    _, left_out = fit_sets(scores, CALIBRATION, parts_of(BODY), CONFIG)
    np.testing.assert_allclose(left_out.held.mean(1)[0], 0.9, atol=0.03)


def test_balls_of_walkers_have_a_floor_that_other_walkers_need_for_their_speed() -> None:
    people = {f'walker {i}': 40 for i in range(10)} | {'stander': 40}
    scores = crowd(people)
    number = np.array([int(name[-1]) if name != 'stander' else 0 for name in scores.people])
    speed = np.where(scores.people == 'stander', 0.1, 1.0 + 0.1 * number).astype(np.float32)
    scores = replace(scores, state=scores.state._replace(root_speed=speed))
    needs = 0.1 * (number + 1)  # the error as a share of the path walked
    off = np.broadcast_to(
        (needs * speed)[:, None, None] * scores.times_s[:, None], scores.error[0].shape
    ).astype(np.float32)
    floors = PaceFloors(scores, off, number % 5, (0.6,), 0.95)
    last_s = scores.times_s[-1]
    assert floors.everybodys[-1] == pytest.approx(0.82 * last_s, rel=1e-3)
    early = floors.everybodys[:-1] / scores.times_s[:-1] ** 2
    np.testing.assert_allclose(early, floors.everybodys[-1] / last_s**2, rtol=1e-3)
    held = (off <= floors.left_out())[:, -1].all(1)
    assert held[number < 7].all()
    assert not held[number == 9].any()
    without = floors.left_out()[number == 9, -1, 0] / speed[number == 9]
    np.testing.assert_allclose(without, 0.76 * last_s, rtol=1e-3)  # needs 0.5 and 1 share a fold
    nobody = PaceFloors(scores, off, number % 5, (9.0,), 0.95)
    assert not nobody.everybodys.any()


def test_who_asks_for_more_gets_no_smaller_ball(fitted: Any, others: Scores) -> None:
    tensors, _ = fitted
    scale, pace_scale = tensors['calibration.scale'], tensors['calibration.pace_scale']
    product = scale[:, :, :, :, None] * pace_scale[:, :, None, None]  # (C, R, G, B, Q, K)
    assert (np.diff(product, axis=0) >= -1e-6).all()
    assert (np.diff(tensors['calibration.pace_floor'], axis=0) >= 0).all()


def test_each_pace_has_its_margin() -> None:
    scores = crowd({f'person {i}': 100 for i in range(12)}, habits=0.0)
    walks = np.arange(len(scores)) % 2 == 0
    pace = np.where(walks, 1.2, 0.0).astype(np.float32)
    steady = replace(easier(scores, walks, 0.4), state=scores.state._replace(root_speed=pace))
    joints, _ = applied(sets_of(steady, 0.9), steady)
    assert 0.88 < joints[walks].mean() < 0.97, 'drawn a little towards the others'
    assert 0.88 < joints[~walks].mean() < 0.94
    alike, _ = applied(sets_of(replace(steady, state=scores.state), 0.9), steady)
    assert alike[walks].mean() > 0.985


def test_who_is_never_off_has_balls_of_next_to_nothing() -> None:
    scores = crowd({f'person {i}': 30 for i in range(4)})
    with np.errstate(all='raise', under='ignore'):
        still = easier(scores, scores.people != '', 0.0)
        tensors, _ = fit_sets(still, CALIBRATION, parts_of(BODY), CONFIG)
    assert all(np.isfinite(values).all() for values in tensors.values())


def test_what_is_reported_is_of_people_left_out(fitted: Any) -> None:
    left_out = fitted[1]
    facts = left_out.facts()
    np.testing.assert_allclose(facts['0.9']['joints'], 0.9, atol=0.02)
    np.testing.assert_allclose(facts['0.95']['bodies'], 0.95, atol=0.02)
    page = left_out.table(60.0)
    assert '0.95: person 3 (100 windows), %' in page
    assert '0.9: person 3' not in page


@given(st.integers(1, 200), st.floats(0.05, 0.99))
def test_a_quantile_of_equals_holds_the_next_one(count: int, coverage: float) -> None:
    scores = np.random.default_rng(count).permutation(count).astype(float)
    least = quantile(scores, np.ones(count), at_least(coverage, count))
    rank = least + 1
    if carries(coverage, count):
        assert rank / (count + 1) >= coverage - 1e-9
        assert (rank - 1) / (count + 1) < coverage
    else:
        assert rank == count


def test_a_quantile_weighs_and_leaves_out_what_is_not_known() -> None:
    scores, weights = np.array([3.0, np.nan, 1.0, 2.0]), np.array([1.0, 9.0, 1.0, 2.0])
    assert quantile(scores, weights, 0.25) == 1
    assert quantile(scores, weights, 0.26) == 2
    assert quantile(scores, weights, 0.75) == 2
    assert quantile(scores, weights, 0.76) == 3
    assert np.isnan(quantile(scores[1:2], weights[1:2], 0.5))


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 5)), min_size=1, max_size=8))
def test_what_rises_keeps_its_average_and_what_rose_before(
    pairs: list[tuple[float, float]],
) -> None:
    values, weights = np.array(pairs).T
    risen = rising(values, weights)
    assert (np.diff(risen) >= -1e-9).all()
    assert (risen * weights).sum() == pytest.approx((values * weights).sum(), abs=1e-5)
    np.testing.assert_allclose(rising(np.sort(values), weights), np.sort(values), atol=1e-6)


@pytest.mark.parametrize('layout', known_layouts().values(), ids=lambda layout: layout.name)
def test_every_layout_has_its_joints_in_parts(layout: Layout) -> None:
    parts = dict(zip(layout.joints, (PARTS[p] for p in parts_of(layout)), strict=True))
    for joint, part in parts.items():
        common = layout.common_name(joint)
        for word, expected in (('wrist', 'wrists'), ('elbow', 'elbows'), ('ankle', 'feet')):
            assert word not in common or part == expected
    assert 'knees' in parts.values()
    assert 'others' in parts.values()


def test_coverages_that_the_data_does_not_carry_are_not_promised(
    make_checkpoint: Callable[..., Checkpoint],
    write_archive: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = np.random.default_rng(0).normal(scale=0.02, size=(260, 22, 3)).cumsum(0)
    archive = write_archive(positions=steps, clip_offsets=np.array([0, 120, 260]), fps=20)
    student, out = tmp_path / 'student.safetensors', tmp_path / 'predictor.safetensors'
    make_checkpoint().save(student)
    files = ['--checkpoint', str(student), '--validation', str(archive), '--out', str(out)]
    settings = ['stride=4', 'samples=[2, 4]', 'steps=5']  # 24 windows half a second apart
    options = [part for setting in settings for part in ('--set', setting)]
    assert run_train(['calibrate', *files, '--train', str(archive), *options]) == 0
    assert '0.9: joints, people not trained on, %' in capsys.readouterr().out
    calibration = load_checkpoint(out).header.calibration
    assert calibration is not None
    assert (calibration.coverages, calibration.samples) == ((0.9, 0.95), (4, 2))
    assert calibration.frames == (1, 2, 3, 4, 5, 6, 7)
    few = ['--set', 'coverages=[0.99, 0.999]', '--set', 'stride=4']
    assert run_train(['calibrate', *files, *few]) == 2
    with pytest.raises(ConfigError, match='a coverage of 0.99 needs 99 windows'):
        calibrate(CalibrationConfig(coverages=[0.99], stride=4), student, [archive], [], out)


def test_sets_that_ship_hold_people_who_calibrated_nothing(recorded: Path) -> None:
    checkpoint = load_checkpoint('default')
    windows = model_windows(load_archive(recorded / 'test.npz'), checkpoint.header, 240)
    motion = windows.all()[::2].numpy()
    future = motion[:, 30:]
    predictor = predictor_of(checkpoint, 50)
    parts = [predictor.predict(some) for some in np.array_split(motion[:, :30], 5)]
    assert {part.coverage for part in parts} == {0.95}
    mean, radius, body_scale = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ('mean', 'radius', 'body_radius_scale')
    )
    error = np.linalg.norm(mean - future, axis=-1)
    at = np.array([6, 12, 30, 60]) - 1
    assert ((error <= radius)[:, at].mean((0, 2)) > 0.9).all()
    whole = (error <= radius * body_scale[..., None]).all(-1)
    assert (whole[:, at].mean(0) > 0.85).all()
    assert (np.median(radius, (0, 2))[at] < [0.08, 0.14, 0.4, 0.8]).all()
