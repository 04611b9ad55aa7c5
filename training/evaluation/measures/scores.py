"""Scores that test whether the recorded motion could be one more sample of the model.

A metric such as the error of the best sample needs only one of the S samples near the truth. The
scores in this module judge all S samples together. The energy score and the CRPS are proper scores
(Gneiting and Raftery, Strictly Proper Scoring Rules, Prediction, and Estimation, 2007): only the
true distribution minimises their expectation. The energy score and the CRPS contain an average
over pairs of samples. This module uses the fair form of both scores, in which each pair has two
different samples. For any number S of samples, the true distribution minimises the expected fair
score (Ferro 2014).

Every score is computed for each frame: for the flattened pose relative to the root (as in the
protocol), and for the positions in the world. If the truth has the same distribution as the
samples, the rank of the truth is 0.5 on average, and the root-mean-square error of the samples'
mean equals the spread of the samples. The truth is then farther from the mean than all samples
with probability 1 / (S + 1). A coordinate of the truth is outside the range of all samples with
probability 2 / (S + 1).
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor_training.evaluation.measures import bootstrap
from motion_predictor_training.evaluation.measures.gaps import is_whole, mean, norm
from motion_predictor_training.evaluation.measures.horizons import times_within
from motion_predictor_training.evaluation.measures.per_window import plain

SCORE_TIMES_S = (0.1, 0.2, 0.5, 1.0, 2.0)
RANK_BINS = 10

FloatArray = NDArray[np.floating]


def energy_score(samples: Tensor, truth: Tensor) -> Tensor:
    """Return the energy score E|X - y| - E|X - X'| / 2 for samples X and X' and the truth y.

    Args:
        samples: predicted frames (B, S, F, D), metres.
        truth: recorded frames (B, F, D), metres. NaN stands for a coordinate that was not
            measured, and does not count.

    Returns:
        The energy score of each frame (B, F), metres; NaN where nothing was measured.
    """
    known = ~torch.isnan(truth)
    offset = samples - truth[:, None]
    if not known.all():
        offset = torch.where(known[:, None], offset, 0.0)
    error = offset.norm(dim=-1).mean(1)  # (B, F)
    # The distances of all pairs of samples are computed from products of vectors. This is exact
    # enough because the vectors are centred and have double precision.
    centred = (offset - offset.mean(1, keepdim=True)).transpose(1, 2).double()  # (B, F, S, D)
    product = centred @ centred.transpose(-1, -2)  # (B, F, S, S)
    square = product.diagonal(dim1=-2, dim2=-1)
    pairs = (square[..., None] + square[..., None, :] - 2 * product).clamp(min=0).sqrt()
    count = samples.shape[1]
    apart = pairs.sum((-2, -1)) / (count * (count - 1))
    return torch.where(known.any(-1), error - (apart / 2).to(error.dtype), torch.nan)


def crps(samples: Tensor, truth: Tensor) -> Tensor:
    """Return the fair continuous ranked probability score (CRPS) of each number (B, ...).

    The CRPS is E|X - y| - E|X - X'| / 2 for samples X and X' and the truth y. The term E|X - X'|
    follows from the sorted samples (B, S, ...).
    """
    count = samples.shape[1]
    ordered = samples.sort(1).values
    rank = torch.arange(1, count + 1, dtype=samples.dtype).view(-1, *[1] * (truth.ndim - 1))
    apart = ((2 * rank - count - 1) * ordered).sum(1) / (count * (count - 1))
    return (samples - truth[:, None]).abs().mean(1) - apart


def rank_of_truth(samples: Tensor, truth: Tensor) -> Tensor:
    """Return the share of samples that are nearer to the mean than the truth is.

    The rank treats the truth and the S samples alike: each of these S + 1 frames is compared with
    the mean of the other S frames. So, if the truth has the same distribution as the samples, all
    ranks are equally likely. Instead, the code uses the distance of each frame from the mean of
    all S + 1 frames, which gives the same order of the frames.

    Args:
        samples: predicted frames (B, S, F, D).
        truth: recorded frames (B, F, D); NaN where not measured.

    Returns:
        The share of the samples that are nearer to the mean than the truth is, for each frame (B,
        F). The share is 1 if the truth is farther from the mean than every sample, and NaN if no
        coordinate of the frame was measured.
    """
    count = samples.shape[1]
    average = (samples.sum(1) + truth) / (count + 1)
    error = norm(truth - average)  # (B, F)
    own = samples - average[:, None]
    if not is_whole(truth):
        own = torch.where(torch.isnan(truth)[:, None], 0.0, own)
    nearer = (own.norm(dim=-1) < error[:, None]).to(samples.dtype).mean(1)
    return torch.where(torch.isnan(error), torch.nan, nearer)


def measure_scores(samples: Tensor, future: Tensor, rate_hz: float) -> dict[str, Tensor]:
    """Compute the scores of B windows at SCORE_TIMES_S, and their averages over all frames.

    Args:
        samples: two or more predicted futures (B, S, F, J, 3), metres, world frame.
        future: recorded future (B, F, J, 3), metres, world frame; NaN where not measured.
        rate_hz: frames per second.

    Returns:
        Scores by name (B, T + 1): the values at T times, then the average over all frames. The
        docstring of `summarise_scores` explains the names.
    """
    relative = (samples[..., 1:, :] - samples[..., :1, :]).flatten(-2)
    true_relative = (future[..., 1:, :] - future[..., :1, :]).flatten(-2)
    world, true_world = samples.flatten(-2), future.flatten(-2)
    within = (future >= samples.amin(1)) & (future <= samples.amax(1))  # (B, F, J, 3)
    outside = torch.where(torch.isfinite(future), 1.0 - within.float(), torch.nan)
    squared_error = (samples.mean(1) - future).square().sum(-1)  # (B, F, J)
    variance = torch.where(
        torch.isfinite(squared_error), samples.var(1, unbiased=True).sum(-1), torch.nan
    )
    true_speed = future.diff(dim=1).norm(dim=-1) * rate_hz  # (B, F - 1, J)
    speed = (samples.diff(dim=2).norm(dim=-1) * rate_hz).mean(1)
    speed = torch.where(torch.isfinite(true_speed), speed, torch.nan)
    curves = {
        'energy_pose_m': energy_score(relative, true_relative),
        'energy_world_m': energy_score(world, true_world),
        'crps_mm': mean(crps(samples, future), (-2, -1)) * 1000,
        'rank_pose': rank_of_truth(relative, true_relative),
        'rank_world': rank_of_truth(world, true_world),
        'outside_coordinates': mean(outside, (-2, -1)),
        'squared_error_m2': mean(squared_error, -1),
        'variance_m2': mean(variance, -1),
        'speed_m_s': _from_first(mean(speed, -1)),
        'true_speed_m_s': _from_first(mean(true_speed, -1)),
    }
    for name in ('pose', 'world'):
        curves[f'outside_all_{name}'] = _is_last(curves[f'rank_{name}'])
    times_s = times_within(future.shape[1], rate_hz, SCORE_TIMES_S)
    scores = {
        name: torch.cat([_at(curve, times_s, rate_hz), mean(curve, -1)[:, None]], dim=1)
        for name, curve in curves.items()
    }
    motion = rank_of_truth(relative.flatten(2)[:, :, None], true_relative.flatten(1)[:, None])
    # The rank of a whole motion exists only for all frames together, not at single times.
    unknown = torch.full((len(future), len(times_s)), torch.nan)
    scores['rank_motion'] = torch.cat([unknown, motion], dim=1)
    scores['outside_all_motion'] = torch.cat([unknown, _is_last(motion)], dim=1)
    return scores


def _is_last(rank: Tensor) -> Tensor:
    """Return 1 where the truth is farther from the mean than every sample, and 0 elsewhere."""
    return torch.where(torch.isnan(rank), torch.nan, (rank == 1).to(rank.dtype))


def _from_first(curve: Tensor) -> Tensor:
    """Repeat the first value of a curve (B, F - 1), which gives one value per frame (B, F)."""
    return torch.cat([curve[:, :1], curve], dim=1)


def _at(curve: Tensor, times_s: list[float], rate_hz: float) -> Tensor:
    """Return the values of a curve (B, F) at the frames nearest to T times ahead (B, T)."""
    frames = [min(max(round(time_s * rate_hz), 1), curve.shape[1]) - 1 for time_s in times_s]
    return curve[:, frames]


def summarise_scores(
    collected: dict[str, FloatArray], clips: NDArray[np.void], samples: int
) -> dict[str, Any]:
    """Average scores over windows: at each time ahead, and last over all frames.

    Args:
        collected: scores of all W windows from `measure_scores` (W, T + 1).
        clips: clip and person of each window (W,), see `bootstrap.clusters`.
        samples: number of samples S per window.

    Returns:
        For each of the following scores, `mean` is the average over windows, and `low` and `high`
        are the ends of the confidence interval of this average.

        `energy_pose_m`, `energy_world_m`: energy scores, in metres like the protocol's ADE.
        `crps_mm`: the CRPS of one coordinate in the world. `rank_*`: share of samples that are
        nearer to the mean than the truth is. `rank_pose` compares poses relative to the root.
        `rank_world` compares positions in the world. `rank_motion` compares whole motions: the
        root-relative poses of all frames together. `outside_all_*`: share of windows in which all
        samples are nearer to the mean than the truth is. `outside_coordinates`: share of the
        truth's coordinates that are outside the range of all samples. `error_over_spread`:
        root-mean-square error of the mean, divided by the spread and corrected for the number of
        samples (Fortin et al. 2014). `speed_m_s`: average speed of the joints in the samples.
        `true_speed_m_s`: average speed of the joints in the recording.

        `rank_histogram` holds, for each time ahead, the share of the windows whose `rank_world`
        falls in each of RANK_BINS equal bins.
    """
    summary: dict[str, Any] = {}
    one_clip = len(np.unique(clips)) < 2
    for name, values in collected.items():
        if name in ('squared_error_m2', 'variance_m2'):
            continue
        low, high = bootstrap.interval(values, clips)
        summary[name] = {'mean': bootstrap.mean(values), 'low': low, 'high': high}
    parts = [collected[name] for name in ('squared_error_m2', 'variance_m2')]
    error, variance = (bootstrap.mean(part) for part in parts)
    with np.errstate(invalid='ignore', divide='ignore'):
        correction = (samples + 1) / samples
        ratio = np.sqrt(error / (correction * variance))
        low = high = np.full(ratio.shape, np.nan)
        if not one_clip:
            drawn = [bootstrap.resampled_means(part, clips) for part in parts]
            low, high = bootstrap.between(np.sqrt(drawn[0] / (correction * drawn[1])))
    summary['error_over_spread'] = {'mean': ratio, 'low': low, 'high': high}
    ranks = collected['rank_world'][:, :-1]  # (W, T)
    summary['rank_histogram'] = [_histogram(of_time) for of_time in ranks.T]
    return plain({'windows': len(clips), **summary})


def _histogram(ranks: FloatArray) -> FloatArray:
    known = ranks[np.isfinite(ranks)]
    counts, _ = np.histogram(known, RANK_BINS, (0, 1))
    return counts / max(len(known), 1)


def scores_report(
    collected: dict[str, FloatArray],
    labels: dict[str, NDArray[np.str_]],
    clips: NDArray[np.void],
    samples: int,
    times_s: list[float],
) -> dict[str, Any]:
    """Return `summarise_scores` of all windows and of each group, and ideal samples' scores."""
    return {
        'times_s': times_s,
        'samples': samples,
        'honest': {
            'rank': 0.5,
            'outside_all': 1 / (samples + 1),
            'outside_coordinates': 2 / (samples + 1),
            'error_over_spread': 1.0,
        },
        'all': summarise_scores(collected, clips, samples),
        'groups': {
            kind: {
                str(name): summarise_scores(
                    {key: values[names == name] for key, values in collected.items()},
                    clips[names == name],
                    samples,
                )
                for name in np.unique(names)
            }
            for kind, names in labels.items()
        },
    }
