"""Measures of motion on cases with known values: errors, jerk, speeds, distances."""

import pickle

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from motion_predictor.skeleton import Layout, known_layouts
from motion_predictor_training.evaluation.measures.motion import (
    EDIT_TOLERANCE_M,
    SPEED_BINS,
    Sums,
    count_speeds,
    divergence_bits,
    dtw_m,
    edit_share,
    end_distances,
    hausdorff_m,
    jerk_m_s3,
    limb_error_mm,
    measure,
    measure_truth,
)

SMPL = known_layouts()['smpl22']
BONE = Layout(name='bone', joints={'hip': None, 'knee': 'hip', 'ankle': 'knee'})


@pytest.fixture
def still(stride: NDArray[np.float32]) -> torch.Tensor:
    """Two people who stand still in mid-stride (2, 9, 22, 3)."""
    return torch.from_numpy(stride).expand(2, 9, 22, 3).clone()


def test_a_limb_that_is_10_mm_longer_is_an_error_of_10_mm() -> None:
    pose = torch.tensor([[0.0, 0, 1.0], [0, 0, 0.6], [0, 0, 0.2]])
    stretched = pose.clone()
    stretched[2, 2] -= 0.01
    stretched[1:, 2] -= 0.01
    motion = torch.stack([stretched, stretched])[None]  # (1, 2, 3, 3): both limbs are 10 mm longer
    assert limb_error_mm(motion, pose[None], BONE).item() == pytest.approx(10, abs=1e-3)
    shrunk = pose.clone()
    shrunk[2, 2] += 0.01  # one of the two limbs is shorter
    assert limb_error_mm(shrunk[None], pose, BONE).item() == pytest.approx(5, abs=1e-3)
    turned = pose[:, [2, 0, 1]] + 3.0
    assert limb_error_mm(turned[None], pose, BONE).item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize('rate_hz', [10.0, 20.0, 50.0, 60.0])
def test_the_jerk_of_a_cube_of_time_is_six(rate_hz: float) -> None:
    time = torch.arange(60, dtype=torch.float64) / rate_hz
    zero = torch.zeros_like(time)
    cubic = torch.stack([time**3, zero, zero], dim=-1)[:, None]  # (60, 1, 3)
    squared = torch.stack([time**2, 5 * time, zero + 7], dim=-1)[:, None]
    both = torch.stack([cubic, squared])
    jerk = jerk_m_s3(both, rate_hz)
    assert jerk is not None
    torch.testing.assert_close(jerk, torch.tensor([6.0, 0.0], dtype=torch.float64))


def test_jerk_needs_four_points() -> None:
    assert jerk_m_s3(torch.zeros(3, 1, 3), 20) is None
    assert jerk_m_s3(torch.zeros(4, 1, 3), 20) is not None
    assert jerk_m_s3(torch.zeros(9, 1, 3), 60) is None, 'a step is three frames there'


def test_jerk_sees_a_tremble_from_frame_to_frame() -> None:
    trembling = torch.zeros(60, 1, 3)
    trembling[::2] = 0.001
    jerk = jerk_m_s3(trembling, 60)
    assert jerk is not None
    # The third difference of 1, 0, 1, 0 mm is 4 mm along each axis. Steps take 0.05 s.
    assert jerk.item() == pytest.approx(0.004 * 3**0.5 / 0.05**3, rel=1e-4)


def test_speeds_are_counted_in_steps_of_5_cm_per_second() -> None:
    time = torch.arange(5)[:, None, None] / 20
    slow = torch.tensor([1.22, 0, 0]) * time.expand(5, 3, 1)  # (5, 3, 3)
    fast = torch.tensor([0, 30.0, 0]) * time.expand(5, 3, 1)
    counts = count_speeds(torch.stack([slow, fast])[None], 20)
    assert counts.shape == (1, SPEED_BINS)
    assert counts[0].nonzero().flatten().tolist() == [24, SPEED_BINS - 1]
    assert counts[0, 24] == counts[0, -1] == 4 * 3


def test_divergence_of_distributions() -> None:
    some = np.random.default_rng(0).integers(0, 99, SPEED_BINS).astype(float)
    assert divergence_bits(some, some) == 0
    assert divergence_bits(some, some * 50 / 7) == pytest.approx(0, abs=1e-12)
    assert divergence_bits(np.array([3.0, 0]), np.array([0, 8.0])) == pytest.approx(1)
    # by hand: (log2(4/3) + log2(2/3)/2 + log2(2)/2) / 2
    by_hand = (np.log2(4 / 3) + np.log2(2 / 3) / 2 + 0.5) / 2
    assert divergence_bits(np.array([8.0, 0]), np.array([1.0, 1])) == pytest.approx(by_hand)


def slow_dtw(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the DTW distance of paths (n, 3) and (m, 3) by the double loop of a textbook."""
    total = np.full((len(a) + 1, len(b) + 1), np.inf)
    total[0, 0] = 0
    for i in range(len(a)):
        for j in range(len(b)):
            cheapest = min(total[i, j], total[i, j + 1], total[i + 1, j])
            total[i + 1, j + 1] = np.linalg.norm(a[i] - b[j]) + cheapest
    return float(total[-1, -1])


@pytest.mark.parametrize(('n', 'm'), [(1, 1), (1, 6), (6, 1), (9, 9), (7, 12), (12, 7)])
def test_dtw_is_the_textbooks(n: int, m: int) -> None:
    rng = np.random.default_rng(n * m)
    paths, others = rng.normal(size=(4, n, 3)), rng.normal(size=(4, m, 3))
    expected = [slow_dtw(a, b) / n for a, b in zip(paths, others, strict=True)]
    np.testing.assert_allclose(dtw_m(paths, others), expected)


def test_dtw_forgives_a_delay_and_not_a_place() -> None:
    path = np.zeros((1, 20, 3))
    path[0, 5:15, 0] = np.linspace(0, 1, 10)
    path[0, 15:, 0] = 1
    late = np.roll(path, 3, axis=1)
    late[0, :3] = 0
    assert np.linalg.norm(path - late, axis=-1).mean() > 0.1
    np.testing.assert_allclose(dtw_m(path, late), 0, atol=1e-12)
    np.testing.assert_allclose(dtw_m(path, path + [0, 0.3, 0.4]), 0.5)


def slow_edits(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the edit distance of paths (n, 3) and (m, 3) by the double loop of a textbook."""
    total = np.add.outer(np.arange(len(a) + 1.0), np.arange(len(b) + 1.0))
    for i in range(len(a)):
        for j in range(len(b)):
            replaced = total[i, j] + (np.linalg.norm(a[i] - b[j]) > EDIT_TOLERANCE_M)
            total[i + 1, j + 1] = min(replaced, total[i, j + 1] + 1, total[i + 1, j] + 1)
    return float(total[-1, -1])


@pytest.mark.parametrize(('n', 'm'), [(1, 1), (1, 6), (6, 1), (9, 9), (7, 12), (12, 7)])
def test_edit_distance_is_the_textbooks(n: int, m: int) -> None:
    rng = np.random.default_rng(n * m)
    paths, others = (rng.normal(scale=0.06, size=(4, frames, 3)) for frames in (n, m))
    expected = [slow_edits(a, b) / max(n, m) for a, b in zip(paths, others, strict=True)]
    np.testing.assert_allclose(edit_share(paths, others), expected)


def test_hausdorff_is_the_farther_of_both_directions() -> None:
    short = np.zeros((1, 4, 3))
    long = np.zeros((1, 4, 3))
    long[0, 3] = [3, 4, 0]  # the short path is on the long one, which goes 5 m farther
    assert hausdorff_m(short, long) == hausdorff_m(long, short) == [5]


def test_errors_of_a_prediction_that_is_beside_the_truth(still: torch.Tensor) -> None:
    samples = (still + torch.tensor([0.03, 0.04, 0]))[:, None]
    measured = measure(samples, still, still[:, 0], SMPL, 20)
    figures = {name: values.tolist() for name, values in measured['figures'].items()}
    for name in ('root_ADE_m', 'root_ADE_of_mean_m'):
        assert figures[name] == pytest.approx([0.05, 0.05], abs=1e-5)
    for name in ('MPJPE_best_mm', 'MPJPE_of_mean_mm'):
        assert figures[name] == pytest.approx([50, 50], abs=1e-2)
    for kind in ('DTW', 'hausdorff'):
        for motion in ('best', 'of_mean'):
            assert figures[f'end_{kind}_{motion}_m'] == pytest.approx([0.05, 0.05], abs=1e-5)
    for name in ('ADE_of_mean', 'limb_error_mm', 'limb_error_of_mean_mm', 'jerk_m_s3'):
        assert figures[name] == pytest.approx([0, 0], abs=1e-2)
    assert measured['joints']['of_mean_mm'].shape == (2, 22)
    torch.testing.assert_close(
        measured['horizon']['MPJPE_of_mean_mm'], torch.full((2, 9), 50.0), atol=1e-2, rtol=0
    )


def test_the_best_sample_is_that_of_the_best_pose(still: torch.Tensor) -> None:
    elsewhere = still + torch.tensor([1.0, 0, 0])
    bent = still.clone()
    bent[:, :, SMPL.index('head')] += torch.tensor([0, 0, 0.5])
    samples = torch.stack([bent, elsewhere], dim=1)
    figures = measure(samples, still, still[:, 0], SMPL, 20)['figures']
    assert figures['MPJPE_best_mm'].tolist() == pytest.approx([1000, 1000], abs=1e-2)
    assert figures['end_hausdorff_best_m'].tolist() == pytest.approx([1, 1], abs=1e-5)
    assert figures['root_ADE_m'].tolist() == [0, 0], 'the root has a best sample of its own'
    # in half of the samples the head is farther from the neck
    neck_to_head = still[0, 0, SMPL.index('head')] - still[0, 0, SMPL.index('neck')]
    longer = (neck_to_head + torch.tensor([0, 0, 0.5])).norm() - neck_to_head.norm()
    expected = longer.item() * 1000 / 21 / 2
    assert figures['limb_error_mm'].tolist() == pytest.approx([expected] * 2, rel=1e-4)


def test_trembling_samples_have_a_jerk_that_their_mean_and_the_truth_lack(
    still: torch.Tensor,
) -> None:
    tremble = torch.zeros_like(still)
    tremble[:, ::2] = 0.001
    samples = torch.stack([still + tremble, still - tremble], dim=1)
    jerk = measure(samples, still, still[:, 0], SMPL, 20)['figures']['jerk_m_s3']
    assert jerk.tolist() == pytest.approx([0.004 * 3**0.5 * 20**3] * 2, rel=1e-3)
    truth = measure_truth(still, still[:, 0], SMPL, 20)['figures']
    assert truth['jerk_m_s3'].tolist() == [0, 0]


def test_ends_are_found_by_their_common_names() -> None:
    layout = known_layouts()['h36m17']
    future = torch.zeros(2, 9, 17, 3)
    motion = future.clone()
    motion[1, :, layout.joint_names.index('LWrist'), 0] = 0.2
    motion[:, :, layout.joint_names.index('LElbow'), 0] = 7.0
    distances = end_distances(motion, future, layout)
    for kind in ('DTW', 'hausdorff'):
        assert distances[kind].tolist() == pytest.approx([0, 0.05]), 'the average of four ends'
    assert distances['EDR'].tolist() == [0, 0.25], 'one of four is nowhere near'


def test_what_a_layout_lacks_is_left_out() -> None:
    motion = torch.zeros(2, 9, 3, 3)
    measured = measure(motion[:, None], motion, motion[:, 0], BONE, 20)
    assert not [name for name in measured['figures'] if 'end_' in name]
    one = Layout(name='arm', joints={'elbow': None, 'hand': 'elbow', 'l_wrist': 'elbow'})
    measured = measure(motion[:, None] + 1, motion, motion[:, 0], one, 20)
    assert measured['figures']['end_DTW_best_m'].tolist() == pytest.approx([3**0.5] * 2)


def test_short_futures_leave_jerk_out() -> None:
    motion = torch.zeros(2, 3, 3, 3)
    measured = measure(motion[:, None], motion, motion[:, 0], BONE, 20)
    assert 'jerk_m_s3' not in measured['figures']
    assert 'jerk_m_s3' not in measure_truth(motion, motion[:, 0], BONE, 20)['figures']


def test_sums_do_not_grow() -> None:
    sums = Sums()
    measured = {'figures': {'a': torch.tensor([1.0, 2.0, 6.0])}, 'speeds': {'b': torch.eye(3)}}
    sums.add(measured, range(3))
    size = len(pickle.dumps(sums))
    for _ in range(100):
        sums.add(measured, range(3))
    sums.add(measured, [2])
    assert len(pickle.dumps(sums)) <= size + 4, 'but for the number of windows'
    assert sums.windows == 304
    assert sums.mean('figures')['a'] == pytest.approx((101 * 9 + 6) / 304)
    np.testing.assert_allclose(sums.mean('speeds')['b'], np.array([101, 101, 102]) / 304)


def test_values_count_alike_where_some_were_measured_in_fewer_windows() -> None:
    sums = Sums()
    nan = float('nan')
    held = torch.tensor([[[1.0, 0.0], [1.0, nan]], [[1.0, nan], [0.0, nan]]])  # (2, F, J)
    sums.add({'coverage': {'covered': held}, 'figures': {'a': torch.tensor([nan, nan])}}, [0, 1])
    assert sums.pooled('coverage', 'covered') == pytest.approx(3 / 5)
    assert sums.pooled('coverage', 'covered', 1).tolist() == pytest.approx([2 / 3, 1 / 2])
    assert sums.pooled('coverage', 'covered', 0).tolist() == pytest.approx([3 / 4, 0])
    np.testing.assert_array_equal(sums.mean('coverage')['covered'], [[1, 0], [0.5, nan]])
    assert np.isnan(sums.mean('figures')['a'])
