"""The state of motion of a person, on motion with known speed, acceleration and noise."""

import numpy as np
import pytest

from motion_predictor.uncertainty.state import StateReader


def falling(frames: int, rate_hz: float) -> np.ndarray:
    """Return two joints far from the origin, one at rest and one thrown: (1, H, 2, 3)."""
    time = (np.arange(frames) - (frames - 1)) / rate_hz
    thrown = np.stack([2 * time, 0 * time, 1 * time - 4.9 * time**2], -1)
    return (np.stack([0 * thrown, thrown], 1)[None] + [30.0, -40.0, 1.0]).astype(np.float32)


@pytest.mark.parametrize('rate_hz', [20.0, 50.0, 60.0, 120.0])
def test_a_throw_has_its_speed_and_its_acceleration(rate_hz: float) -> None:
    state = StateReader(30, rate_hz)(falling(30, rate_hz))
    middle_s = 0.05 * round(0.1 * rate_hz) / (0.1 * rate_hz)  # time since the slope's middle
    fall = 1 + 9.8 * middle_s
    np.testing.assert_allclose(state.speed, [[0, np.hypot(2, fall)]], atol=2e-3)
    np.testing.assert_allclose(state.own_speed, state.speed, atol=1e-5)
    np.testing.assert_allclose(state.acceleration, [[0, 9.8]], atol=0.1)
    np.testing.assert_allclose(state.body_acceleration, [9.8 / np.sqrt(2)], atol=0.1)
    np.testing.assert_allclose(state.jitter, 0, atol=1e-4)
    np.testing.assert_allclose(state.root_speed, 0, atol=1e-4)


def test_jitter_is_the_noise_of_the_tracker() -> None:
    noise = np.random.default_rng(0).normal(scale=0.005, size=(500, 30, 2, 3))
    history = (falling(30, 60.0) + noise).astype(np.float32)
    jitter = StateReader(30, 60.0)(history).jitter
    assert np.sqrt((jitter**2).mean()) == pytest.approx(0.005 * np.sqrt(3), rel=0.03)


def test_speed_beside_the_root_leaves_out_where_it_goes_over_the_ground_and_nothing_else() -> None:
    time = np.arange(30)[:, None] / 60
    walk = np.stack([1.5 * time, 0 * time, 0 * time], -1) + np.zeros((30, 3, 3))
    walk[:, 1] += time * [0.0, 0.4, 0.0]  # a hand that is put out to the side
    walk[:, 2] += time * [0.0, 0.0, -0.7]  # a head that goes down
    state = StateReader(30, 60.0)(walk[None].astype(np.float32))
    np.testing.assert_allclose(state.own_speed, [[0, 0.4, 0.7]], atol=1e-3)
    np.testing.assert_allclose(state.speed[0, 0], 1.5, atol=1e-3)


@pytest.mark.parametrize('frames', [2, 3, 4, 5])
def test_short_histories_have_a_speed_at_least(frames: int) -> None:
    still = np.zeros((1, frames, 2, 3), np.float32)
    still[:, :, 1, 0] = np.arange(frames) / 20
    state = StateReader(frames, 20.0)(still)
    np.testing.assert_allclose(state.speed, [[0, 1]], atol=1e-5)
    np.testing.assert_allclose(state.acceleration, 0, atol=1e-3)
    np.testing.assert_allclose(state.jitter, 0, atol=1e-5)
