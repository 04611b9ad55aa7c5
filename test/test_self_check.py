"""The self-check: how it judges earlier predictions, and how it corrects the radii."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.common.status import Status
from motion_predictor.prediction import Prediction
from motion_predictor.predictor import MotionPredictor
from motion_predictor.self_check.check import SelfCheck
from motion_predictor.tracking.history import ObservedWindow
from motion_predictor.tracking.people import People
from motion_predictor.tracking.scene import Observation, Person
from motion_predictor.tracking.track import LastSeen
from motion_predictor.uncertainty.adaptive import BOUNDS

RATE_HZ, FRAMES, HISTORY, JOINTS = 60, 120, 30, 4
TIMES = (np.arange(1, FRAMES + 1) / RATE_HZ).astype(np.float32)
PERIOD_NS = 2 * 10**9 // RATE_HZ
MS = 1_000_000
SEEN = LastSeen(0, np.zeros((JOINTS, 3), np.float32), np.zeros(3), 1.0)


def person(positions: NDArray[np.float32], name: str = 'a', track: int = 1) -> Person:
    """Return a person with the same pose (J, 3) in all frames of the history."""
    history = np.tile(positions, (HISTORY, 1, 1)).astype(np.float32)
    window = ObservedWindow(history, 1.0, 1.0, 1.0, np.zeros(len(positions), np.float32))
    return Person(name, Status.OK, 1.0, window, SEEN, track)


def prediction(people: list[Person], radius_m: float, coverage: float = 0.95) -> Prediction:
    """Return the prediction that all people stay where they are."""
    newest = np.stack([p.window.positions[-1] for p in people if p.window is not None])
    mean = np.repeat(newest[:, None], FRAMES, 1)
    radius = np.full(mean.shape[:3], radius_m, np.float32)
    count = len(people)
    return Prediction(
        deviations=np.zeros((count, 1, 1, mean.shape[2], 3), np.float32),
        synthesis=np.ones((FRAMES, 1), np.float32),
        mean=mean,
        radius=radius,
        body_radius_scale=np.full((count, FRAMES), 1.5, np.float32),
        coverage=coverage,
        times=TIMES,
        familiarity=np.full(count, 0.5, np.float32),
        unfamiliar=np.zeros(count, bool),
    )


class Trembling:
    """A person whose joints tremble around one place.

    Each coordinate is normally distributed with a standard deviation of 5 cm. So a radius of 5 cm
    holds too few joints.
    """

    def __init__(self, check: SelfCheck, radius_m: float) -> None:
        self.check, self.radius_m = check, radius_m
        self.stamp_ns = 10**18
        self._random = np.random.default_rng(0)

    def go_on(self, seconds: float, name: str = 'a', track: int = 1) -> Prediction:
        """Observe the person for some seconds. Return the last corrected prediction."""
        for _ in range(round(seconds * 1e9 / PERIOD_NS)):
            self.stamp_ns += PERIOD_NS
            place = self._random.normal(scale=0.05, size=(JOINTS, 3)).astype(np.float32)
            people = [person(place, name, track)]
            told = prediction(people, self.radius_m)
            result = self.check.step(self.stamp_ns, people, told)
        return result


def test_errors_are_those_of_the_mean_and_of_simple_guesses() -> None:
    """A person moves at 1 m/s, as the mean predicts. Zero velocity is off by the path walked."""
    check = SelfCheck(TIMES)
    way = np.zeros((JOINTS, 3), np.float32)
    for message in range(120):
        now_s = message / 30
        ahead = -np.arange(HISTORY)[::-1] / RATE_HZ
        history = way + np.array([1, 0, 0]) * (now_s + ahead)[:, None, None]
        window = ObservedWindow(
            history.astype(np.float32), 1.0, 1.0, 1.0, np.zeros(JOINTS, np.float32)
        )
        people = [Person('a', Status.OK, 1.0, window, SEEN, 1)]
        told = prediction(people, 0.02)
        moving = told.mean + (np.array([1, 0, 0]) * TIMES[:, None, None]).astype(np.float32)
        told = replace(told, mean=moving)
        check.step(10**18 + message * PERIOD_NS, people, told)
    (quality,) = check.report()
    mean, zero, constant = quality.error_m
    np.testing.assert_allclose(mean, 0, atol=1e-3)
    np.testing.assert_allclose(constant, 0, atol=1e-3)
    np.testing.assert_allclose(zero, check.horizons_s, atol=0.04)
    np.testing.assert_array_equal(quality.coverage, 1)
    np.testing.assert_array_equal(quality.factor, 1)
    assert (quality.seconds > 1.5).all()


def test_nothing_is_said_of_what_has_not_happened_yet() -> None:
    check = SelfCheck(TIMES)
    Trembling(check, 0.05).go_on(0.7)
    (quality,) = check.report()
    judged = check.horizons_s < 0.65
    assert np.isfinite(quality.coverage[judged]).all()
    assert np.isnan(quality.coverage[~judged]).all()
    assert (quality.seconds[~judged] == 0).all()


def test_radii_that_are_too_small_are_widened_within_seconds() -> None:
    check = SelfCheck(TIMES)
    crowd = Trembling(check, 0.05)
    first = crowd.go_on(0.05)
    np.testing.assert_array_equal(first.radius, np.float32(0.05))
    corrected = crowd.go_on(20)
    (quality,) = check.report()
    # The 95 % quantile of the distance of two places with normal coordinates (sigma: 5 cm).
    assert corrected.radius[0, 5:].mean() == pytest.approx(0.05 * np.sqrt(2) * 2.795, rel=0.15)
    assert (quality.factor > 3).all()
    crowd.go_on(20)
    (quality,) = check.report()
    assert quality.coverage == pytest.approx(0.95, abs=0.02)


def test_radii_are_never_narrower_than_calibrated_unless_asked() -> None:
    for correction, least, most in (('none', 1, 1), ('widen', 1, 1), ('both', *BOUNDS)):
        check = SelfCheck(TIMES, correction)
        result = Trembling(check, 1.0).go_on(30)
        assert (result.radius >= least * 0.999).all(), correction
        assert (result.radius <= most * 1.001).all(), correction
        assert (result.radius < 0.9).any() == (correction == 'both')
    check = SelfCheck(TIMES, 'none')
    np.testing.assert_array_equal(Trembling(check, 0.01).go_on(10).radius, np.float32(0.01))
    (quality,) = check.report()
    assert (quality.coverage < 0.2).all(), 'it is judged all the same'


def test_what_was_learnt_survives_other_ids_gaps_and_restarts() -> None:
    check = SelfCheck(TIMES)
    crowd = Trembling(check, 0.05)
    crowd.go_on(15)
    known = check.report()[0].factor.min()
    assert known > 2
    assert crowd.go_on(0.05, name='b').radius.min() > 0.05 * 2, 'the tracker says b now'
    assert [quality.id for quality in check.report()] == ['b']
    crowd.stamp_ns += 5000 * MS
    assert crowd.go_on(0.05, name='b', track=2).radius.min() > 0.05 * 2, 'back after 5 s'
    crowd.stamp_ns -= 10_000 * MS
    assert crowd.go_on(0.05, name='b', track=3).radius.min() > 0.05 * 2, 'time went back'
    crowd.stamp_ns += 120_000 * MS
    fresh = crowd.go_on(0.05, name='b', track=4)
    np.testing.assert_array_equal(fresh.radius, np.float32(0.05))


def test_predictions_are_not_judged_by_somebody_elses_motion() -> None:
    check = SelfCheck(TIMES)
    crowd = Trembling(check, 0.05)
    crowd.go_on(1.0, track=1)
    judged = check.report()[0].seconds.copy()
    crowd.go_on(0.05, track=2)
    np.testing.assert_allclose(check.report()[0].seconds, judged, rtol=1e-9)


def test_people_are_judged_apart_and_not_by_joints_that_were_not_seen() -> None:
    check = SelfCheck(TIMES)
    random = np.random.default_rng(1)
    stamp_ns = 10**18
    for _ in range(240):
        stamp_ns += PERIOD_NS
        still = np.zeros((JOINTS, 3), np.float32)
        still[0] = random.normal(scale=0.5, size=3)  # this joint is filled in: it was not observed
        calm = person(still, 'calm', 1)
        assert calm.window is not None
        doubt_m = np.array([0.3, 0, 0, 0], np.float32)
        calm = replace(calm, window=replace(calm.window, doubt_m=doubt_m))
        wild = person(random.normal(scale=0.05, size=(JOINTS, 3)).astype(np.float32), 'wild', 2)
        people = [calm, wild] if random.random() < 0.8 else [wild]
        check.step(stamp_ns, people, prediction(people, 0.05))
    calm_quality, wild_quality = sorted(check.report(), key=lambda quality: quality.id)
    np.testing.assert_array_equal(calm_quality.coverage, 1)
    np.testing.assert_array_equal(calm_quality.factor, 1)
    assert (wild_quality.factor > 2).all()


def test_what_can_be_reached_is_neither_corrected_nor_learnt_from() -> None:
    check = SelfCheck(TIMES)
    random = np.random.default_rng(0)
    for message in range(600):
        place = random.normal(scale=0.05, size=(JOINTS, 3)).astype(np.float32)
        people = [person(place)]
        told = replace(prediction(people, 0.05), unfamiliar=np.ones(1, bool))
        result = check.step(10**18 + message * PERIOD_NS, people, told)
        np.testing.assert_array_equal(result.radius, told.radius)
    known = check.step(10**18 + 600 * PERIOD_NS, people, prediction(people, 0.05))
    np.testing.assert_array_equal(known.radius, np.float32(0.05))


def test_without_calibration_only_errors_are_told() -> None:
    check = SelfCheck(TIMES)
    for message in range(90):
        people = [person(np.zeros((JOINTS, 3), np.float32))]
        told = prediction(people, float('nan'), coverage=float('nan'))
        result = check.step(10**18 + message * PERIOD_NS, people, told)
        assert np.isnan(result.radius).all()
    (quality,) = check.report()
    assert np.isnan(quality.coverage).all()
    assert np.isfinite(quality.error_m[:, 0]).all()


def test_a_way_to_correct_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of none, widen, both, got 'narrow'"):
        SelfCheck(TIMES, 'narrow')


def replay(
    predictor: MotionPredictor, path: Path, subject: str, share: float, limit_s: float
) -> Iterator[tuple[float, Prediction, Prediction, NDArray[np.float32]]]:
    """Yield predictions of a person at 30 Hz, clip after clip with a pause between them.

    Each item has the seconds since the person came, the prediction with its radius times `share`,
    the corrected prediction, and the future motion (F', J, 3).
    """
    header = predictor.checkpoint.header
    people = People(header.layout, 60.0, 30, 0.3, 1.0, 0.5, 1)
    check = SelfCheck(predictor.times)
    archive = load_archive(path)
    begin_s = 0.0
    for index in (i for i, name in enumerate(archive.subjects) if name == subject):
        clip = archive.clip(index)
        for frame in range(0, len(clip), 2):
            now_s = begin_s + frame / 60
            if now_s > limit_s:
                return
            people.update(round((1 + now_s) * 1e9), [Observation('somebody', clip[frame])])
            scene = people.scene()
            assert scene is not None
            seen = [p for p in scene.people if p.window is not None]
            if not seen or seen[0].window is None:
                continue
            told = predictor.predict(seen[0].window.positions)
            told = replace(told, radius=told.radius * np.float32(share))
            corrected = check.step(scene.stamp_ns, seen, told)
            yield now_s, told, corrected, clip[frame + 1 : frame + 1 + FRAMES]
        begin_s += len(clip) / 60 + 0.5


def test_somebody_whom_the_calibration_fails_is_held_within_20_s(recorded: Path) -> None:
    """With halved radii, the corrected radii hold the promised share after 20 s."""
    predictor = MotionPredictor.load('default', device='cpu', samples=8, backend='eager')
    before, after = [], []
    path = recorded / 'test.npz'
    for now_s, told, corrected, future in replay(predictor, path, '39', 0.5, limit_s=38.0):
        half = future[:30]
        if now_s >= 20 and len(half):
            error = np.linalg.norm(told.mean[0, : len(half)] - half, axis=-1)
            before.append((error <= told.radius[0, : len(half)]).mean())
            after.append((error <= corrected.radius[0, : len(half)]).mean())
    assert np.mean(before) < 0.85
    assert 0.93 <= np.mean(after) <= 0.99
