"""The history of a person: frames at any rate and jitter, resampled to the model's rate."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from motion_predictor.skeleton import Layout, known_layouts
from motion_predictor.tracking.body import Body
from motion_predictor.tracking.history import History, ObservedWindow

FloatArray = NDArray[np.float32]
RATE_HZ = 30.0
FRAMES = 16
SPAN_S = (FRAMES - 1) / RATE_HZ
JOINTS = ('pelvis', 'neck', 'head', 'nose')
BODIES = {
    count: Body(
        Layout(name='few', joints=dict(zip(JOINTS[:count], (None, *JOINTS), strict=False)))
    )
    for count in (2, 3, 4)
}
START_NS = 1_700_000_000_000_000_000  # Unix time: too large for a float to hold exactly

seconds = st.floats(1e-4, 0.25, allow_nan=False)


def arrivals(rate_hz: float, jitter: list[float]) -> NDArray[np.int64]:
    """Return ascending stamps at a rate. `jitter` shifts each stamp by a share of the period."""
    period = 1e9 / rate_hz
    shifts = np.array(jitter) * period
    return START_NS + np.round(np.arange(len(jitter)) * period + shifts).astype(np.int64)


@st.composite
def stamps(draw: st.DrawFn) -> NDArray[np.int64]:
    """Draw stamps at 5 to 120 Hz for more than a window, with jitter up to 45 % of the period."""
    rate_hz = draw(st.floats(5, 120))
    count = int(SPAN_S * rate_hz) + 4
    jitter = draw(st.lists(st.floats(-0.45, 0.45), min_size=count, max_size=count))
    return arrivals(rate_hz, jitter)


def pose_at(path: FloatArray) -> FloatArray:
    """Return a pose of two joints with the root at a place (3,)."""
    return np.stack([path, path + np.array([0, 0, 1], np.float32)]).astype(np.float32)


def fill(history: History, times: NDArray[np.int64], velocity: float = 1.0) -> None:
    """Append poses whose root moves along x at constant velocity from the first stamp on."""
    for time in times:
        place = np.array([velocity * (time - times[0]) * 1e-9, 2, 3], np.float32)
        assert history.append(int(time), pose_at(place))


def window_of(history: History) -> ObservedWindow:
    window = history.window()
    assert window is not None
    return window


def grid(newest_ns: int) -> NDArray[np.int64]:
    """Return the stamps of a window's frames."""
    return newest_ns + np.round(np.arange(1 - FRAMES, 1) * 1e9 / RATE_HZ).astype(np.int64)


@given(stamps(), st.floats(-3, 3))
def test_steady_motion_is_resampled_exactly(times: NDArray[np.int64], velocity: float) -> None:
    history = History(BODIES[2], RATE_HZ, FRAMES, max_gap_s=1.0)
    fill(history, times, velocity)
    window = window_of(history)
    x = velocity * (grid(int(times[-1])) - times[0]) * 1e-9
    np.testing.assert_allclose(window.positions[:, 0, 0], x, atol=1e-5)
    np.testing.assert_allclose(
        window.positions[:, 1], window.positions[:, 0] + [0, 0, 1], atol=1e-5
    )
    assert window.seen_fraction == 1.0


@given(stamps())
def test_an_oscillation_is_followed_as_well_as_lines_can(times: NDArray[np.int64]) -> None:
    omega = 2 * np.pi

    def x(time: NDArray[np.int64] | np.int64) -> FloatArray:
        return np.sin(omega * (time - START_NS) * 1e-9)

    history = History(BODIES[2], RATE_HZ, FRAMES, max_gap_s=1.0)
    for time in times:
        history.append(int(time), pose_at(np.array([x(time), 0, 0], np.float32)))
    error = np.abs(window_of(history).positions[:, 0, 0] - x(grid(int(times[-1]))))
    longest_s = np.diff(times).max() * 1e-9
    assert error.max() <= (omega * longest_s) ** 2 / 8 + 1e-5  # the error of linear interpolation


@given(stamps(), st.integers(0, 2**32 - 1))
def test_the_last_frame_is_the_newest_frame(times: NDArray[np.int64], seed: int) -> None:
    generator = np.random.default_rng(seed)
    history = History(BODIES[3], RATE_HZ, FRAMES, max_gap_s=1.0)
    for time in times:
        newest = generator.normal(scale=10, size=(3, 3)).astype(np.float32)
        history.append(int(time), newest)
    assert history.newest_ns == times[-1]
    np.testing.assert_array_equal(window_of(history).positions[-1], newest)


@given(stamps(), st.data())
def test_stamps_that_are_not_newer_are_rejected_and_change_nothing(
    times: NDArray[np.int64], data: st.DataObject
) -> None:
    history = History(BODIES[2], RATE_HZ, FRAMES, max_gap_s=1.0)
    fill(history, times)
    before = window_of(history)
    older = st.sampled_from([*times[:-1], times[0] - 1, times[-1] - 1])
    for late in (times[-1], *data.draw(st.lists(older))):
        assert not history.append(int(late), pose_at(np.array([99, 99, 99], np.float32)))
    after = window_of(history)
    np.testing.assert_array_equal(after.positions, before.positions)
    assert history.newest_ns == times[-1]


@given(st.lists(seconds, min_size=1, max_size=60))
def test_the_window_is_there_exactly_when_the_frames_span_it(steps_s: list[float]) -> None:
    history = History(BODIES[2], RATE_HZ, FRAMES, max_gap_s=1.0)
    offsets = np.cumsum([0, *(round(step * 1e9) for step in steps_s)])
    span_ns = grid(0)[-1] - grid(0)[0]
    for offset in offsets:
        history.append(START_NS + int(offset), pose_at(np.zeros(3, np.float32)))
        assert history.is_full() == (offset >= span_ns)
        assert (history.window() is not None) == (offset >= span_ns)


def test_an_empty_history_has_no_window() -> None:
    history = History(BODIES[2], RATE_HZ, FRAMES, max_gap_s=1.0)
    assert not history.is_full()
    assert history.window() is None
    assert history.newest_ns is None


def test_a_gap_longer_than_allowed_restarts_and_one_as_long_does_not() -> None:
    history = History(BODIES[2], RATE_HZ, FRAMES, max_gap_s=0.25)
    times = START_NS + np.arange(0, 1_000_000_001, 50_000_000)
    fill(history, times)
    assert history.append(int(times[-1]) + 250_000_000, pose_at(np.zeros(3, np.float32)))
    assert history.is_full()
    assert history.append(int(times[-1]) + 500_000_001, pose_at(np.zeros(3, np.float32)))
    assert not history.is_full()
    fill(history, int(times[-1]) + 600_000_000 + np.arange(0, 600_000_000, 50_000_000))
    assert window_of(history).positions[0, 0, 1] == 2.0, 'nothing from before the gap is left'


def test_a_missing_joint_moves_with_the_root_between_the_frames_that_have_it() -> None:
    history = History(BODIES[2], 10, 11, max_gap_s=1.0)  # the window has the rate of the input
    for i in range(11):
        root = np.array([i, 0, 0], np.float32)
        joint = root + np.array([0, 0, i], np.float32)
        if 3 < i < 8:
            joint[:] = np.nan
        history.append(START_NS + i * 100_000_000, np.stack([root, joint]))
    window = window_of(history)
    expected = [[i, 0, i] for i in range(11)]
    np.testing.assert_allclose(window.positions[:, 1], expected, atol=1e-5)
    assert window.observed_fraction == pytest.approx(18 / 22)


def test_a_joint_that_is_lost_keeps_its_last_place_beside_the_root() -> None:
    history = History(BODIES[2], 10, 11, max_gap_s=1.0)
    for i in range(11):
        root = np.array([i, 0, 0], np.float32)
        joint = (
            root + np.array([0, 0, i], np.float32)
            if 2 <= i <= 5
            else np.full(3, np.nan, np.float32)
        )
        history.append(START_NS + i * 100_000_000, np.stack([root, joint]))
    positions = window_of(history).positions
    np.testing.assert_allclose(positions[:, 1, 0], np.arange(11), atol=1e-5)
    np.testing.assert_allclose(positions[:, 1, 2], np.clip(np.arange(11), 2, 5), atol=1e-5)


def test_a_missing_root_is_where_the_joints_beside_it_say() -> None:
    history = History(BODIES[2], 10, 11, max_gap_s=1.0)
    for i in range(11):
        pose = np.array([[i * i, 0, 0], [i * i, 1, 0]], np.float32)
        if i in (4, 5, 10):
            pose[0] = np.nan
        history.append(START_NS + i * 100_000_000, pose)
    window = window_of(history)
    np.testing.assert_allclose(window.positions[:, 0, 0], np.arange(11) ** 2, atol=1e-4)
    assert 0 < window.doubt_m[0] <= 0.31


def test_a_root_missing_with_all_other_joints_is_interpolated_in_the_world() -> None:
    history = History(BODIES[3], 10, 11, max_gap_s=1.0)
    for i in range(11):
        pose = np.array([[i, 0, 0], [i, 0, 1], [i, 0, 2]], np.float32)
        if i in (4, 5, 9, 10):
            pose[:] = np.nan
        history.append(START_NS + i * 100_000_000, pose)
    window = window_of(history)
    np.testing.assert_allclose(window.positions[:, 0, 0], [*range(9), 8, 8], atol=1e-5)
    assert window.doubt_m[0] == pytest.approx(0.22), '0.2 s at 1.1 m/s'
    assert window.recent_fraction == 0


def test_the_longer_a_joint_is_hidden_the_more_it_is_doubted() -> None:
    history = History(BODIES[2], 10, 5, max_gap_s=1.0)
    pose = pose_at(np.zeros(3, np.float32))
    doubts = []
    for i in range(12):
        if i == 4:
            pose[1] = np.nan
        history.append(START_NS + i * 100_000_000, pose.copy())
        if i >= 4:
            doubts.append(window_of(history).doubt_m[1])
    assert doubts[0] > 0
    assert (np.diff(doubts[:4]) > 0).all()
    assert doubts[-1] > 0


def test_between_frames_a_joint_counts_as_observed_if_both_have_it() -> None:
    history = History(
        BODIES[2], 20, 3, max_gap_s=1.0
    )  # frames of the window at -100, -50 and 0 ms; input every 100 ms
    seen = pose_at(np.zeros(3, np.float32))
    lost = seen.copy()
    lost[1] = np.nan
    for i, pose in enumerate([lost, seen]):
        history.append(START_NS + i * 100_000_000, pose)
    assert window_of(history).seen_fraction == pytest.approx(4 / 6)
    assert window_of(history).observed_fraction == pytest.approx(3 / 6), 'at -50 ms nothing was'


@pytest.mark.parametrize(('rate_hz', 'measured'), [(60, 1.0), (30, 1.0), (15, 1.0), (5, 0.4)])
def test_what_is_interpolated_across_a_long_gap_was_not_measured(
    rate_hz: float, measured: float
) -> None:
    history = History(BODIES[2], 60, 30, max_gap_s=1.0)
    for i in range(round(rate_hz) + 1):
        history.append(START_NS + round(i * 1e9 / rate_hz), pose_at(np.zeros(3, np.float32)))
    window = window_of(history)
    assert window.observed_fraction == pytest.approx(measured, abs=0.05)
    assert window.seen_fraction == 1.0


def test_a_hole_was_not_measured() -> None:
    history = History(BODIES[2], 60, 30, max_gap_s=0.3)
    for milliseconds in [*range(0, 601, 20), *range(880, 1001, 20)]:
        history.append(START_NS + milliseconds * 1_000_000, pose_at(np.zeros(3, np.float32)))
    assert window_of(history).observed_fraction == pytest.approx(1 - 0.21 / 0.5, abs=0.05)


def test_where_no_joint_was_observed_there_is_no_window() -> None:
    history = History(BODIES[2], 10, 3, max_gap_s=1.0)
    for i in range(4):
        history.append(START_NS + i * 100_000_000, np.full((2, 3), np.nan, np.float32))
    assert history.is_full()
    assert history.window() is None


@given(stamps(), st.integers(0, 2**32 - 1), st.floats(0, 0.99))
def test_whatever_is_missing_a_window_has_no_gaps(
    times: NDArray[np.int64], seed: int, share: float
) -> None:
    generator = np.random.default_rng(seed)
    history = History(BODIES[4], RATE_HZ, FRAMES, max_gap_s=1.0)
    for time in times:
        pose = generator.normal(size=(4, 3)).astype(np.float32)
        pose[generator.random(4) < share] = np.nan
        history.append(int(time), pose)
    window = history.window()
    if window is not None:
        assert window.positions.shape == (FRAMES, 4, 3)
        assert window.positions.dtype == np.float32
        assert np.isfinite(window.positions).all()
        assert np.isfinite(window.doubt_m).all()
        assert 0 <= window.observed_fraction <= 1


def test_memory_is_bounded_under_a_fast_tracker() -> None:
    history = History(Body(known_layouts()['smpl22']), RATE_HZ, FRAMES, max_gap_s=1.0)

    def run(first: int, count: int) -> None:
        for i in range(first, first + count):
            history.append(START_NS + i * 2_000_000, np.zeros((22, 3), np.float32))

    run(0, 500)  # one second at 500 Hz
    tracemalloc.start()
    run(500, 5000)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 500 * 22 * 3 * 4  # old frames were replaced, and none of them was kept
    assert window_of(history).positions.shape == (FRAMES, 22, 3)
