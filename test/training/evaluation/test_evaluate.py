"""Evaluation: figures that can be told in advance, of motions that were made for them."""

import json
import pickle
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, Window, load_checkpoint
from motion_predictor.model.frames import to_features
from motion_predictor.skeleton import Layout, known_layouts
from motion_predictor.uncertainty.sets import Sets
from motion_predictor_training.calibration.calibrate import calibrate
from motion_predictor_training.cli import main
from motion_predictor_training.config import CalibrationConfig
from motion_predictor_training.data.hidden import complete
from motion_predictor_training.data.known_people import Known
from motion_predictor_training.data.windows import cut_windows
from motion_predictor_training.evaluation import evaluate as evaluation
from motion_predictor_training.evaluation.evaluate import evaluate_checkpoint
from motion_predictor_training.evaluation.measures import protocol, published
from motion_predictor_training.evaluation.measures.motion import (
    SPEED_BINS,
    Sums,
    count_speeds,
    divergence_bits,
    dtw_m,
    hausdorff_m,
    jerk_m_s3,
    limb_error_mm,
    measure,
    measure_truth,
    wrist_distances,
)
from motion_predictor_training.evaluation.report.writing import table
from motion_predictor_training.predicting import every_window as predictions

SMPL = known_layouts()['smpl22']
BONE = Layout(name='bone', joints={'hip': None, 'knee': 'hip', 'ankle': 'knee'})
HISTORY, FUTURE, RATE_HZ = 5, 7, 20

Archive = Callable[..., Path]


@pytest.fixture
def still(stride: NDArray[np.float32]) -> torch.Tensor:
    """Two people who stand still in mid-stride (2, 9, 22, 3)."""
    return torch.from_numpy(stride).expand(2, 9, 22, 3).clone()


@pytest.fixture
def saved(make_checkpoint: Callable[..., Checkpoint], tmp_path: Path) -> Callable[..., Path]:
    """Builder of a file with a tiny checkpoint; `scale` is that of its radius."""

    def save(scale: float | None = None, **fields: Any) -> Path:
        checkpoint = make_checkpoint(calibrated=scale is not None, **fields)
        if scale is not None:
            checkpoint.tensors['calibration.scale'].fill_(scale)
        path = tmp_path / 'tiny.safetensors'
        checkpoint.save(path)
        return path

    return save


def walk(stride: NDArray[np.float32], frames: int, step_m: float) -> NDArray[np.float32]:
    """Return somebody (frames, 22, 3) who slides along x."""
    return stride + np.arange(frames)[:, None, None] * np.array([step_m, 0, 0], np.float32)


def dance(frames: int, seed: int = 0) -> NDArray[np.float32]:
    """Return joints (frames, 22, 3) that wander."""
    steps = np.random.default_rng(seed).normal(scale=0.02, size=(frames, 22, 3))
    return (np.arange(22)[:, None] * [0.05, 0.1, 0.07] + steps.cumsum(0)).astype(np.float32)


# Measures


def test_a_limb_that_is_10_mm_longer_is_an_error_of_10_mm() -> None:
    pose = torch.tensor([[0.0, 0, 1.0], [0, 0, 0.6], [0, 0, 0.2]])
    stretched = pose.clone()
    stretched[2, 2] -= 0.01
    stretched[1:, 2] -= 0.01
    motion = torch.stack([stretched, stretched])[None]  # (1, 2, 3, 3): both limbs by 10 mm
    assert limb_error_mm(motion, pose[None], BONE).item() == pytest.approx(10, abs=1e-3)
    shrunk = pose.clone()
    shrunk[2, 2] += 0.01  # one limb of two, and shorter
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
    # 1 - 0 + 3 - 0 mm along each axis, over steps of 0.05 s
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
    """Return what the textbook's double loop does of paths (n, 3) and (m, 3)."""
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


def test_hausdorff_is_the_farther_of_both_directions() -> None:
    short = np.zeros((1, 4, 3))
    long = np.zeros((1, 4, 3))
    long[0, 3] = [3, 4, 0]  # the short path lies on the long one, which strays
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
            assert figures[f'wrist_{kind}_{motion}_m'] == pytest.approx([0.05, 0.05], abs=1e-5)
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
    assert figures['wrist_hausdorff_best_m'].tolist() == pytest.approx([1, 1], abs=1e-5)
    assert figures['root_ADE_m'].tolist() == [0, 0], 'the root has a best sample of its own'
    # half of the samples hold a head that is farther from the neck
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


def test_wrists_are_found_by_their_common_names() -> None:
    layout = known_layouts()['h36m17']
    future = torch.zeros(2, 9, 17, 3)
    motion = future.clone()
    motion[1, :, layout.joint_names.index('LWrist'), 0] = 0.1
    motion[:, :, layout.joint_names.index('LElbow'), 0] = 7.0
    for values in wrist_distances(motion, future, layout).values():
        assert values.tolist() == pytest.approx([0, 0.05]), 'the average of two wrists'


def test_what_a_layout_lacks_is_left_out() -> None:
    motion = torch.zeros(2, 9, 3, 3)
    measured = measure(motion[:, None], motion, motion[:, 0], BONE, 20)
    assert not [name for name in measured['figures'] if 'wrist' in name]
    one = Layout(name='arm', joints={'elbow': None, 'hand': 'elbow', 'l_wrist': 'elbow'})
    measured = measure(motion[:, None] + 1, motion, motion[:, 0], one, 20)
    assert measured['figures']['wrist_DTW_best_m'].tolist() == pytest.approx([3**0.5] * 2)


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


# Evaluation


def test_constant_velocity_is_right_about_constant_velocity(
    saved: Callable[..., Path], write_archive: Archive, stride: NDArray[np.float32]
) -> None:
    step_m = 0.022
    archive = write_archive(positions=walk(stride, 50, step_m), fps=RATE_HZ)
    result = evaluate_checkpoint(saved(), archive, samples=4, stride=4)
    right = result['rows']['constant_velocity']
    for name, value in right.items():
        assert value == pytest.approx(0, abs=2e-2 if name.endswith(('mm', 's3')) else 2e-5), name
    behind_m = step_m * (FUTURE + 1) / 2  # the average over 1, 2, ... FUTURE steps
    wrong = result['rows']['zero_velocity']
    assert wrong['ADE'] == pytest.approx(0, abs=1e-5), 'the pose does not change'
    assert wrong['root_ADE_m'] == wrong['root_ADE_of_mean_m'] == pytest.approx(behind_m, rel=1e-4)
    assert wrong['MPJPE_of_mean_mm'] == pytest.approx(behind_m * 1000, rel=1e-4)
    assert wrong['wrist_hausdorff_best_m'] == pytest.approx(FUTURE * step_m, rel=1e-4)
    assert wrong['wrist_DTW_of_mean_m'] == pytest.approx(behind_m, rel=1e-4)
    assert wrong['speed_JSD_bits'] == pytest.approx(1)
    at_s = dict(
        zip(
            result['horizon']['times_s'],
            result['horizon']['rows']['zero_velocity']['MPJPE_of_mean_mm'],
            strict=True,
        )
    )
    assert list(at_s) == [0.1, 0.2, 0.3], 'the future ends at 0.35 s'
    assert list(at_s.values()) == pytest.approx([44, 88, 132], rel=1e-3), '0.44 m/s'
    assert result['rows']['model']['MPJPE_of_mean_mm'] > 1
    assert result['truth']['limb_error_mm'] == pytest.approx(0, abs=1e-3)


def test_the_truth_is_measured_too(
    saved: Callable[..., Path], write_archive: Archive, stride: NDArray[np.float32]
) -> None:
    motion = np.repeat(stride[None], HISTORY + FUTURE, axis=0)
    head, neck = SMPL.index('head'), SMPL.index('neck')
    limb = stride[head] - stride[neck]
    motion[HISTORY:, head] += limb / np.linalg.norm(limb) * 0.01  # a limb of 21 grows by 10 mm
    archive = write_archive(
        positions=motion,
        fps=RATE_HZ,
        clip_offsets=[0, len(motion)],
        **{name: np.array(['one']) for name in ('clip_names', 'subject', 'category')},
    )
    result = evaluate_checkpoint(saved(), archive, samples=2)
    assert result['windows'] == 1
    assert result['truth']['limb_error_mm'] == pytest.approx(10 / 21, rel=1e-3)
    assert result['rows']['zero_velocity']['limb_error_mm'] == pytest.approx(0, abs=1e-4)
    joints = result['joints']['zero_velocity']['of_mean_mm']
    assert joints.pop('head') == pytest.approx(10, rel=1e-3)
    assert set(joints.values()) == {0}
    assert [shown['label'] for shown in result['shown']] == ['hard'], 'one window, shown once'


def test_coverage_of_all_of_nothing_and_of_a_part(
    saved: Callable[..., Path], write_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_archive(positions=dance(50), fps=RATE_HZ)

    def coverage(scale: float) -> dict[str, Any]:
        result = evaluate_checkpoint(saved(scale), archive, samples=4, stride=6)
        groups = result['groups']['subject'].values()
        windows = [g['windows'] for g in groups]
        reached = np.average([g['coverage']['reached'] for g in groups], weights=windows)
        assert reached == pytest.approx(result['coverage']['reached'])
        return result['coverage']

    assert coverage(1e9)['reached'] == 1
    assert coverage(1e-30)['reached'] == 0
    assert coverage(1e-30)['nominal'] == 0.9
    early = np.full((FUTURE, 22), 1e-30)
    early[:3, 4] = 1e9  # one joint, up to 0.15 s
    monkeypatch.setattr(
        Sets,
        '__call__',
        lambda self, state, spread, samples: (early + 0 * spread, spread[..., 0]),
    )
    part = coverage(1.0)
    assert part['reached'] == pytest.approx(3 / FUTURE / 22)
    assert part['reached_at_s'] == pytest.approx({'0.1': 1 / 22, '0.2': 0, '0.3': 0})
    assert part['reached_by_joint'].pop(SMPL.joint_names[4]) == pytest.approx(3 / FUTURE)
    assert set(part['reached_by_joint'].values()) == {0}


def test_a_calibrated_radius_holds_what_it_was_calibrated_on(
    saved: Callable[..., Path], write_archive: Archive, tmp_path: Path
) -> None:
    archive = write_archive(positions=dance(200), clip_offsets=np.array([0, 90, 200]), fps=RATE_HZ)
    config = CalibrationConfig(coverages=[0.8], stride=4, samples=[4])
    calibrate(config, saved(), [archive], [], tmp_path / 'calibrated.safetensors')
    result = evaluate_checkpoint(tmp_path / 'calibrated.safetensors', archive, 4, stride=4)
    assert result['coverage']['nominal'] == 0.8
    assert 0.78 <= result['coverage']['reached'] <= 0.9


def test_without_calibration_there_is_no_coverage(
    saved: Callable[..., Path], write_archive: Archive
) -> None:
    result = evaluate_checkpoint(saved(), write_archive(fps=RATE_HZ), samples=2)
    assert 'coverage' not in json.dumps(result)


def test_the_protocol_is_that_of_the_whole_at_once(
    saved: Callable[..., Path], write_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows a few at a time and their similar ones in parts change nothing."""
    archive = write_archive(positions=dance(50), fps=RATE_HZ)
    monkeypatch.setattr(protocol, 'SIMILAR_AT_ONCE', 2)
    original = evaluation.predict_windows
    kept = []

    def keep(*arguments: Any) -> Iterator[predictions.Predicted]:
        for predicted in original(*arguments):
            kept.append(predicted)
            yield predicted

    monkeypatch.setattr(evaluation, 'predict_windows', keep)
    result = evaluate_checkpoint(saved(), archive, samples=4, stride=1, multimodal_threshold=0.4)
    assert len(kept) > 1
    motion = torch.cat([torch.cat([p.history, p.future], dim=1) for p in kept])
    samples = torch.cat([p.samples for p in kept]).transpose(0, 1)  # (S, W, F, J, 3)
    similar = published.similar_windows(to_features(motion[:, HISTORY - 1], False), 0.4)
    assert similar.sum(1).max() > 2, 'there are parts'
    expected = published.evaluate(
        to_features(motion, False), to_features(samples, False), HISTORY, 0.4
    )
    actual = {name: result['rows']['model'][name] for name in published.METRIC_NAMES}
    assert actual == pytest.approx(expected, rel=1e-5)
    assert list(result['rows']['model'])[:13] == list(published.METRIC_NAMES)


def test_the_error_at_the_end_of_the_horizon_is_the_final_one(
    saved: Callable[..., Path], write_archive: Archive
) -> None:
    window = Window(rate_hz=10, history_frames=5, future_frames=7, coefficients=6)
    archive = write_archive(positions=dance(50), fps=10)
    result = evaluate_checkpoint(saved(window=window), archive, samples=4, stride=3)
    assert result['horizon']['times_s'] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    for row, curves in result['horizon']['rows'].items():
        figures = result['rows'][row]
        assert curves['FDE'][-1] == pytest.approx(figures['FDE'], rel=1e-5)
        assert np.mean(curves['MPJPE_best_mm']) == pytest.approx(figures['MPJPE_best_mm'])
        assert np.mean(curves['root_of_mean_m']) == pytest.approx(figures['root_ADE_of_mean_m'])
        assert all(len(curve) == 7 for curve in curves.values())


def test_groups_partition_the_windows(saved: Callable[..., Path], write_archive: Archive) -> None:
    archive = write_archive(
        positions=dance(90),
        clip_offsets=np.array([0, 30, 50, 90]),
        fps=RATE_HZ,
        clip_names=np.array(['a', 'b', 'c']),
        subject=np.array(['7', '8', '7']),
        category=np.array(['lifting', '', 'walking']),
    )
    result = evaluate_checkpoint(saved(), archive, samples=4, stride=4, seen=['8', '99'])
    groups = result['groups']
    counts = {kind: {k: g['windows'] for k, g in of.items()} for kind, of in groups.items()}
    assert sum(counts.pop('pace').values()) == sum(counts.pop('body').values()) == 16
    assert counts == {
        'category': {'lifting': 5, 'not named': 3, 'walking': 8},
        'subject': {'7': 13, '8': 3},
        'training': {'seen': 3, 'unseen': 13},
    }
    assert {name: g['seen'] for name, g in groups['subject'].items()} == {'7': False, '8': True}
    assert groups['training']['seen']['rows'] == groups['subject']['8']['rows']
    additive = [n for n in result['rows']['model'] if n != 'speed_JSD_bits']
    for of_kind in groups.values():
        for row, figures in result['rows'].items():
            for name in additive:
                average = np.average(
                    [g['rows'][row][name] for g in of_kind.values()],
                    weights=[g['windows'] for g in of_kind.values()],
                )
                assert average == pytest.approx(figures[name], rel=1e-9, abs=1e-12)
    lone = evaluate_checkpoint(saved(), archive, samples=4, stride=4)
    assert list(lone['groups']['training']) == ['not recorded'], 'it does not say whom it knows'


def test_who_was_trained_or_calibrated_on_is_seen(
    saved: Callable[..., Path], write_archive: Archive
) -> None:
    """Checkpoints of old record archives, newer ones people as well, and so do their parents."""
    archive = write_archive(
        positions=dance(90), clip_offsets=np.array([0, 45, 90]), fps=RATE_HZ, category=None
    )
    fingerprint = load_archive(archive).fingerprint
    teacher = {'data': {'train': 'other'}, 'people': ['1', '3']}
    calibration = {'data': ['another'], 'trained_on': [], 'people': ['4']}
    student = {'data': {'train': 'other'}, 'people': ['1', '3'], 'parent': {'provenance': teacher}}
    unnamed = {'data': {'train': 'other'}, 'people': ['']}
    of_old = {'data': ['another'], 'trained_on': [fingerprint]}
    for provenance, expected in (
        (teacher, {'1': 'seen', '2': 'unseen'}),
        (student | {'calibration': calibration}, {'1': 'seen', '2': 'unseen'}),
        (unnamed | {'parent': {'provenance': teacher}}, {'1': 'seen', '2': 'not recorded'}),
        (unnamed, {'1': 'not recorded', '2': 'not recorded'}),
        ({'data': {'train': 'other'}, 'calibration': of_old}, {'1': 'seen', '2': 'seen'}),
        ({'imported': 'weights.pt'}, {'1': 'not recorded', '2': 'not recorded'}),
    ):
        known = Known.to(load_checkpoint(saved(provenance=provenance)).header)
        assert known.of(load_archive(archive)) == expected
    result = evaluate_checkpoint(saved(provenance=student), archive, samples=2, stride=9)
    assert result['seen'] == ['1']
    counts = {name: group['windows'] for name, group in result['groups']['training'].items()}
    assert counts == {'seen': 4, 'unseen': 4}
    assert result['groups']['subject']['1']['seen'] is True


def test_windows_need_not_overlap(
    saved: Callable[..., Path], write_archive: Archive, tmp_path: Path
) -> None:
    archive = write_archive(positions=dance(90), clip_offsets=np.array([0, 45, 90]), fps=RATE_HZ)
    out = tmp_path / 'apart.json'
    command = ['evaluate', '--checkpoint', f'{saved()}', '--archive', f'{archive}']
    assert main([*command, '--samples', '2', '--no-overlap', '--json', f'{out}']) == 0
    result = json.loads(out.read_text())
    assert (result['stride'], result['windows']) == (12, 6)  # 5 + 7 frames; three in each clip


def test_an_archive_without_subjects_has_no_groups_of_them(
    saved: Callable[..., Path], write_archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = write_archive(fps=RATE_HZ, subject=None, category=None)
    checkpoint = saved()
    groups = evaluate_checkpoint(checkpoint, archive, samples=2)['groups']
    assert set(groups) == {'pace', 'body', 'training'}
    assert set(groups['training']) == {'not recorded'}
    arguments = ['evaluate', '--checkpoint', str(checkpoint), '--archive', str(archive)]
    assert main([*arguments, '--seen', '7']) == 2
    assert 'names no subjects that could have been seen\n' in capsys.readouterr().err


@pytest.mark.parametrize('threshold', [0.0, -1.0, float('nan')])
def test_a_threshold_that_no_window_passes_is_refused(
    saved: Callable[..., Path], write_archive: Archive, threshold: float
) -> None:
    with pytest.raises(ValueError, match='the multimodal threshold must be positive'):
        evaluate_checkpoint(saved(), write_archive(), multimodal_threshold=threshold)


def test_predictions_are_not_kept(
    saved: Callable[..., Path], write_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, 'CHUNK', 1)
    original = evaluation.predict_windows
    alive: list[int] = []

    def watch(*arguments: Any) -> Iterator[predictions.Predicted]:
        references = []
        for predicted in original(*arguments):
            references.append(weakref.ref(predicted.samples))
            alive.append(sum(reference() is not None for reference in references))
            yield predicted

    monkeypatch.setattr(evaluation, 'predict_windows', watch)
    archive = write_archive(positions=dance(50), fps=RATE_HZ)
    evaluate_checkpoint(saved(), archive, samples=2, stride=3)
    assert len(alive) >= 8
    assert max(alive) <= 2, 'the one at hand, and the one before it until it is replaced'


def test_the_command_writes_table_json_markdown_and_plots(
    saved: Callable[..., Path],
    write_archive: Archive,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    category = np.array(['100 $', 'a $x^{ y$'])  # no formulas to plots
    archive = write_archive(positions=dance(50), fps=RATE_HZ, category=category)
    out = tmp_path / 'out'
    arguments = ['evaluate', '--checkpoint', str(saved(2.0)), '--archive', str(archive)]
    arguments += ['--samples', '4', '--stride', '5', '--seen', '1']
    arguments += ['--json', str(out / 'report.json'), '--markdown', str(out / 'report.md')]
    assert main([*arguments, '--plots', str(out / 'plots')]) == 0
    result = json.loads((out / 'report.json').read_text())
    assert list(result['rows']) == ['model', 'zero_velocity', 'constant_velocity']
    for row in result['rows'].values():
        assert set(published.METRIC_NAMES) < set(row)
        assert np.isfinite(list(row.values())).all()
    shown = capsys.readouterr().out
    page = (out / 'report.md').read_text()
    for text in (shown, page):
        assert f'{result["rows"]["model"]["ADE"]:.3f}' in text
        for word in ('| MMFDE-w', '| speed_JSD_bits', '| 0.2 s', '| 1 (seen)', '| 2 ', 'unseen'):
            assert word in text
    assert '| l_wrist' in page
    labels = ('easy', 'typical', 'hard')
    assert [entry['label'] for entry in result['shown']] == list(labels)
    errors = [entry['ADE'] for entry in result['shown']]
    assert errors == sorted(errors)
    names = {'error_over_horizon.png', 'world_over_horizon.png', 'samples.png', 'sets.png'}
    names |= {f'fan_{label}.png' for label in labels}
    assert {file.name for file in (out / 'plots').iterdir()} == names
    for name in names:
        assert (out / 'plots' / name).read_bytes().startswith(b'\x89PNG')


def test_the_windows_shown_are_predicted_as_they_were(
    saved: Callable[..., Path], write_archive: Archive
) -> None:
    archive = write_archive(positions=dance(50), fps=RATE_HZ)
    checkpoint = saved()
    result = evaluate_checkpoint(checkpoint, archive, samples=4, stride=2)
    predicted = evaluation.predict_shown(checkpoint, archive, result)
    features, truth = to_features(predicted.samples, False), to_features(predicted.future, False)
    errors = (features - truth[:, None]).norm(dim=-1).mean(2).amin(1)
    assert errors.tolist() == pytest.approx([entry['ADE'] for entry in result['shown']])


@pytest.mark.parametrize('layout', ['h36m17', 'azure32'])
def test_other_layouts_are_evaluated(
    saved: Callable[..., Path], write_archive: Archive, tmp_path: Path, layout: str
) -> None:
    """A model of another layout, on an archive of it, down to the plots."""
    skeleton = known_layouts()[layout]
    joints = len(skeleton.joints)
    positions = np.random.default_rng(0).normal(scale=0.02, size=(50, joints, 3)).cumsum(0)
    archive = write_archive(
        positions=positions.astype(np.float32),
        fps=RATE_HZ,
        joint_names=np.array(skeleton.joint_names),
        parents=np.array(skeleton.parents),
    )
    checkpoint = saved(layout=skeleton)
    out = tmp_path / 'report.json'
    arguments = ['evaluate', '--checkpoint', str(checkpoint), '--archive', str(archive)]
    arguments += ['--samples', '2', '--json', str(out), '--plots', str(tmp_path / 'plots')]
    assert main(arguments) == 0
    result = json.loads(out.read_text())
    assert result['rows']['model']['wrist_DTW_best_m'] > 0
    assert list(result['joints']['model']['best_mm']) == list(skeleton.joint_names)


# People of whom not all was measured


@pytest.fixture
def upper_body(write_archive: Archive) -> Callable[..., Path]:
    """Builder of an archive of people whose legs, and now and then more, were not measured."""

    def write(root: bool = True) -> Path:
        legs = [
            SMPL.joint_names.index(f'{s}_{p}') for s in 'lr' for p in ('knee', 'ankle', 'foot')
        ]
        valid = np.ones((90, 22), bool)
        valid[:, legs] = False
        valid[np.random.default_rng(0).random((90, 22)) < 0.05] = False
        valid[:, SMPL.index('head')] = True
        if not root:
            valid[:, 0] = False
        return write_archive(
            positions=np.where(valid[..., None], dance(90), 0),
            valid=valid,
            clip_offsets=np.array([0, 30, 50, 90]),
            fps=RATE_HZ,
            clip_names=np.array(['a', 'b', 'c']),
            subject=np.array(['7', '8', '7']),
            category=np.array(['lifting', '', 'walking']),
        )

    return write


def test_upper_bodies_are_evaluated_on_what_was_measured(
    saved: Callable[..., Path], upper_body: Callable[..., Path]
) -> None:
    archive = upper_body()
    result = evaluate_checkpoint(saved(2.0), archive, samples=4, stride=4)
    assert result['windows'] == 16
    assert 0.65 < result['measured'] < 0.75
    windows = cut_windows(load_archive(archive), SMPL, RATE_HZ, HISTORY + FUTURE, 4, partial=True)
    nothing = np.zeros((len(windows), HISTORY, 22), bool)
    errors, relative = [], []
    for motion in windows.all():
        history = complete(motion[None, :HISTORY], nothing[:1], SMPL, RATE_HZ).frames[0, -1]
        way = motion[HISTORY:] - history  # what standing still is wrong by, NaN where unknown
        errors.append(way.norm(dim=-1).nanmean().item() * 1000)
        pose = (way[:, 1:] - way[:, :1]).flatten(1)
        lengths = pose.nan_to_num(0).norm(dim=-1)
        relative.append(lengths[~pose.isnan().all(1)].mean().item())
    still = result['rows']['zero_velocity']
    assert still['MPJPE_of_mean_mm'] == pytest.approx(np.mean(errors), rel=1e-4)
    assert still['ADE'] == pytest.approx(np.mean(relative), rel=1e-4)
    assert np.isfinite([*still.values(), *result['rows']['model'].values()]).all()
    assert result['joints']['model']['of_mean_mm']['l_knee'] is None
    assert result['sets']['joints']['coverage']['l_knee'] == [None]
    assert result['coverage']['reached_by_joint']['l_knee'] is None
    joints = result['sets']['ours']['joints']
    assert joints[0] < 16 * 16
    groups = result['groups']['subject'].values()
    held = [group['coverage']['reached'] for group in groups]
    assert min(held) <= result['coverage']['reached'] <= max(held)
    assert result['coverage']['reached_at_s']['0.1'] == pytest.approx(
        result['sets']['ours']['coverage'][1]
    )
    assert 'NaN' not in json.dumps(result)


def test_legs_that_are_not_measured_change_no_figure_of_the_rest(
    saved: Callable[..., Path], write_archive: Archive
) -> None:
    """Whatever stands in the place of what was not measured is not looked at."""
    valid = np.ones((50, 22), bool)
    valid[:, [10, 11]] = False
    results = []
    for seed in (1, 2):
        positions = dance(50)
        positions[:, [10, 11]] = np.random.default_rng(seed).normal(size=(50, 2, 3))
        archive = write_archive(positions=positions, valid=valid, fps=RATE_HZ)
        result = evaluate_checkpoint(saved(2.0), archive, samples=4, stride=4)
        result.pop('archive')
        results.append(result)
    assert results[0] == results[1]


def test_people_without_a_root_are_evaluated_in_the_world(
    saved: Callable[..., Path],
    upper_body: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / 'report.json'
    arguments = ['evaluate', '--checkpoint', str(saved(2.0)), '--archive', str(upper_body(False))]
    arguments += ['--samples', '4', '--stride', '4', '--json', str(out)]
    assert main([*arguments, '--plots', str(tmp_path), '--markdown', str(tmp_path / 'a.md')]) == 0
    result = json.loads(out.read_text())
    assert result['rows']['model']['ADE'] is None
    assert result['shown'] == []
    model = result['world']['all']['joints']['rows']['model']
    assert min(model['low']) > 0
    assert result['world']['all']['root']['rows']['model']['mean'] == [None] * 5
    assert 'mean error of the joints in the world' in capsys.readouterr().out


def test_recorded_upper_bodies_are_evaluated(saved: Callable[..., Path], recorded: Path) -> None:
    result = evaluate_checkpoint(saved(2.0), recorded / 'hrc_upper.npz', samples=4, stride=1000)
    assert result['measured'] == pytest.approx(9 / 22, abs=0.03)
    assert set(result['groups']['subject']) == {'kth_giver', 'kth_taker', 'tum'}
    for row in result['rows'].values():
        assert np.isfinite(list(row.values())).all()


# Intervals, people, and the new sections


def test_figures_have_intervals_and_averages_over_people(
    saved: Callable[..., Path], write_archive: Archive
) -> None:
    archive = write_archive(
        positions=dance(120),
        clip_offsets=np.array([0, 30, 50, 90, 120]),
        fps=RATE_HZ,
        clip_names=np.array(['a', 'b', 'c', 'd']),
        subject=np.array(['7', '8', '7', '8']),
        category=np.array(['lifting', 'walking', 'lifting', 'lifting']),
    )
    result = evaluate_checkpoint(saved(2.0), archive, samples=4, stride=3)
    assert result['clips'] == 4
    groups = result['groups']['subject']
    for row, figures in result['rows'].items():
        for name in published.METRIC_NAMES:
            low, high = result['intervals'][row][name]
            assert low <= figures[name] * (1 + 1e-6) and figures[name] <= high * (1 + 1e-6)
            people = [groups[person]['rows'][row][name] for person in '78']
            assert result['people'][row][name] == pytest.approx(np.mean(people), rel=1e-5)
    world = result['world']
    assert world['times_s'] == pytest.approx([1 / 60, 0.05, 0.1, 0.2, 0.33])
    model = world['all']['joints']['rows']['model']
    curve = result['horizon']['rows']['model']['MPJPE_of_mean_mm']  # at 0.1, 0.2, 0.3 s
    assert model['mean'][2:4] == pytest.approx(curve[:2], rel=1e-5)
    assert model['over_people'] == pytest.approx(
        np.mean(
            [world['groups']['subject'][p]['joints']['rows']['model']['mean'] for p in '78'], 0
        )
    )
    assert world['groups']['category']['walking']['joints']['rows']['model']['low'][0] is None
    assert result['scores']['times_s'] == [0.1, 0.2]
    assert result['sets']['times_s'] == [0.05, 0.1, 0.2, 0.33]
    reached = result['coverage']['reached_at_s']
    assert result['sets']['ours']['coverage'][1:3] == pytest.approx(
        [reached['0.1'], reached['0.2']]
    )


def test_where_a_baseline_is_better_is_said_and_so_is_nowhere(
    saved: Callable[..., Path], write_archive: Archive, stride: NDArray[np.float32]
) -> None:
    archive = write_archive(positions=walk(stride, 50, 0.022), fps=RATE_HZ)
    result = evaluate_checkpoint(saved(), archive, samples=4, stride=4)
    wins = result['world']['where_a_baseline_is_better']
    assert {'all', 'pace', 'subject'} <= {win['kind'] for win in wins}
    assert 'Where a baseline is better, beyond the interval' in table(result)
    result['world']['where_a_baseline_is_better'] = []
    assert table(result).endswith('Nowhere is a baseline better beyond the interval.')
