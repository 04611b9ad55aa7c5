"""Scores of samples, compared with closed forms, with double loops, and on exact samples."""

import math

import numpy as np
import pytest
import torch

from motion_predictor_training.evaluation.measures.bootstrap import clusters
from motion_predictor_training.evaluation.measures.scores import (
    SCORE_TIMES_S,
    crps,
    energy_score,
    measure_scores,
    rank_of_truth,
    scores_report,
    summarise_scores,
)

RATE_HZ, FRAMES = 10.0, 20


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return numbers of the standard normal distribution."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_energy_score_is_the_double_loop() -> None:
    samples, truth = normal(2, 5, 3, 6), normal(2, 3, 6, seed=1)
    truth[0, 1, :3] = torch.nan
    truth[1, 2] = torch.nan
    score = energy_score(samples, truth)
    for b, f in np.ndindex(2, 3):
        known = truth[b, f].isfinite()
        x, y = samples[b, :, f, known], truth[b, f, known]
        if not known.any():
            assert score[b, f].isnan()
            continue
        apart = sum((x[i] - x[j]).norm() for i in range(5) for j in range(5)) / 20
        expected = (x - y).norm(dim=-1).mean() - apart / 2
        assert score[b, f].item() == pytest.approx(expected.item(), abs=1e-5)


def test_the_energy_score_of_near_samples_far_away_is_exact() -> None:
    samples = 1000 + 0.001 * normal(1, 4, 1, 30).double()
    truth = samples[:, 0] + 0.01
    x, y = samples[0, :, 0], truth[0, 0]
    expected = (x - y).norm(dim=-1).mean() - torch.pdist(x).mean() / 2
    assert energy_score(samples, truth).item() == pytest.approx(expected.item(), rel=1e-6)


def test_crps_is_the_energy_score_of_one_number() -> None:
    samples, truth = normal(3, 7, 4, 1), normal(3, 4, 1, seed=1)
    torch.testing.assert_close(crps(samples, truth)[..., 0], energy_score(samples, truth))
    # The CRPS of the standard normal distribution at 0 is (sqrt(2) - 1) / sqrt(pi).
    zero = crps(normal(1, 50_000, 1), torch.zeros(1, 1)).item()
    assert zero == pytest.approx((math.sqrt(2) - 1) / math.sqrt(math.pi), abs=0.01)


def test_the_scores_are_least_for_the_true_distribution() -> None:
    truth = normal(4000, 1, 3, seed=1)
    scores = {
        scale: energy_score(scale * normal(4000, 8, 1, 3), truth).mean().item()
        for scale in (0.25, 0.5, 1.0, 1.6, 2.5)
    }
    assert min(scores, key=lambda scale: scores[scale]) == 1.0


def test_the_rank_is_0_5_and_uniform_if_the_truth_is_one_of_the_samples() -> None:
    draws = normal(20_000, 11, 1, 4)
    rank = rank_of_truth(draws[:, 1:], draws[:, 0])[:, 0]
    assert rank.mean() == pytest.approx(0.5, abs=0.01)
    counts = torch.bincount((rank * 10).round().long(), minlength=11) / len(rank)
    torch.testing.assert_close(counts, torch.full((11,), 1 / 11), atol=0.01, rtol=0)
    alike = rank_of_truth(0.2 * draws[:, 1:], draws[:, 0])[:, 0]
    assert (alike == 1).float().mean() > 0.9
    assert rank_of_truth(draws[:1, 1:], torch.full((1, 1, 4), torch.nan)).isnan().all()


CLIPS = clusters(np.arange(2000) // 50, np.full(2000, 'somebody'))


def honest_scores(scale: float, windows: int = 2000, samples: int = 9) -> dict[str, np.ndarray]:
    """Return the scores of samples from the true distribution, widened by `scale`."""
    draws = normal(windows, samples + 1, FRAMES, 2 * 3).unflatten(-1, (2, 3)) * 0.1
    centre = normal(windows, 1, 1, 2 * 3, seed=2).unflatten(-1, (2, 3))
    measured = measure_scores(scale * draws[:, 1:] + centre, draws[:, 0] + centre[:, 0], RATE_HZ)
    return {name: values.numpy() for name, values in measured.items()}


def test_honest_samples_have_honest_scores() -> None:
    summary = summarise_scores(honest_scores(1.0), CLIPS, samples=9)
    last = len(SCORE_TIMES_S)
    assert len(summary['rank_pose']['mean']) == last + 1
    for name, honest, within in (
        ('rank_pose', 0.5, 0.02),
        ('rank_world', 0.5, 0.02),
        ('outside_all_pose', 0.1, 0.02),
        ('outside_all_world', 0.1, 0.02),
        ('outside_coordinates', 0.2, 0.01),
        ('error_over_spread', 1.0, 0.02),
    ):
        assert summary[name]['mean'] == pytest.approx([honest] * (last + 1), abs=within), name
        assert summary[name]['low'][0] < summary[name]['mean'][0] < summary[name]['high'][0]
    assert summary['rank_motion']['mean'][:last] == [None] * last, 'it is of no moment'
    assert summary['rank_motion']['mean'][last] == pytest.approx(0.5, abs=0.02)
    assert summary['outside_all_motion']['mean'][last] == pytest.approx(0.1, abs=0.02)
    assert summary['speed_m_s']['mean'] == pytest.approx(
        summary['true_speed_m_s']['mean'], rel=0.02
    )
    for shares in summary['rank_histogram']:
        assert sum(shares) == pytest.approx(1)
    report = scores_report(honest_scores(1.0, 20), {}, CLIPS[:20], 9, list(SCORE_TIMES_S))
    assert report['honest']['outside_all'] == pytest.approx(0.1)
    assert report['honest']['outside_coordinates'] == pytest.approx(0.2)


def test_samples_that_are_too_alike_are_found_out() -> None:
    summary = summarise_scores(honest_scores(0.5), CLIPS, samples=9)
    honest = summarise_scores(honest_scores(1.0), CLIPS, samples=9)
    # The error of the mean has two sources: the truth (spread 1), and nine samples (spread 0.5).
    expected = math.sqrt(1 + 0.25 / 9) / (0.5 * math.sqrt(10 / 9))
    assert summary['error_over_spread']['mean'][0] == pytest.approx(expected, rel=0.02)
    assert summary['rank_pose']['mean'][0] > 0.75
    assert summary['outside_coordinates']['mean'][0] > 0.4
    assert summary['speed_m_s']['mean'][2] == pytest.approx(
        summary['true_speed_m_s']['mean'][2] / 2, rel=0.02
    )
    for name in ('energy_pose_m', 'energy_world_m', 'crps_mm'):
        assert summary[name]['mean'][-1] > honest[name]['mean'][-1]


def test_what_was_not_measured_does_not_count() -> None:
    samples, future = normal(4, 6, FRAMES, 5, 3), normal(4, FRAMES, 5, 3, seed=1)
    some = [0, 2, 3]
    expected = measure_scores(samples[..., some, :], future[..., some, :], RATE_HZ)
    hidden = future.clone()
    hidden[:, :, [1, 4]] = torch.nan
    for name, values in measure_scores(samples, hidden, RATE_HZ).items():
        torch.testing.assert_close(values, expected[name], equal_nan=True, msg=name)
    hidden[:, 4] = torch.nan  # the frame at 0.5 s
    scores = measure_scores(samples, hidden, RATE_HZ)
    assert scores['energy_world_m'][:, 2].isnan().all()
    assert scores['energy_world_m'][:, [0, 1, 3, 4, 5]].isfinite().all()
