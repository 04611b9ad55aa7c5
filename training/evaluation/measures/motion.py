"""Measures that the published protocol lacks: errors per joint, and how human a motion looks.

Positions are in the world frame and include the root, because a robot needs them so. The best of S
samples is the sample with the lowest ADE. A measure is left out if the layout lacks the end joints
that this measure needs, or if the futures are too short. A position that was not measured is NaN
in the future and in the samples, and does not count. A measure without any measured position is
NaN.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import directed_hausdorff, jensenshannon
from torch import Tensor

from motion_predictor.model.frames import to_features
from motion_predictor.skeleton import Layout
from motion_predictor_training.evaluation.measures.gaps import is_whole, mean, norm

FloatArray = NDArray[np.float64]

ENDS = ('l_wrist', 'r_wrist', 'l_ankle', 'r_ankle')
EDIT_TOLERANCE_M = 0.1

Measured = dict[str, dict[str, Tensor]]
"""Measures of B windows, by kind and name. The kinds include `figures` (B,), `horizon` (B, F),
`joints` (B, J) and `speeds`, counts by speed (B, SPEED_BINS)."""

SPEED_STEP_M_S = 0.05
SPEED_BINS = 101
"""Number of bins in the histogram of joint speeds. The last one holds everything above 5 m/s."""
JERK_STEP_S = 0.05
"""Step of the differences for jerk. With differences from frame to frame at 60 Hz, the rounding of
archives to 0.25 mm would look like a jerk of 100 m/s^3."""


class Sums:
    """Sums of measures over windows. The sums take a few kilobytes for any number of windows."""

    def __init__(self) -> None:
        self.windows = 0
        self._sums: dict[str, dict[str, FloatArray]] = defaultdict(dict)
        self._counts: dict[str, dict[str, FloatArray]] = defaultdict(dict)

    def add(self, measured: Measured, chosen: Sequence[int]) -> None:
        """Add the measures of the windows at the positions `chosen` to the sums."""
        self.windows += len(chosen)
        for kind, by_name in measured.items():
            sums, counts = self._sums[kind], self._counts[kind]
            for name, values in by_name.items():
                added = values[chosen].double()
                known = ~torch.isnan(added)
                sums[name] = sums.get(name, 0.0) + added.nansum(0).numpy()
                counts[name] = counts.get(name, 0.0) + known.sum(0).double().numpy()

    def mean(self, kind: str) -> dict[str, FloatArray]:
        """Return all measures of one kind, such as `figures`, averaged over the windows, by name.

        NaN values are left out. If all values of a measure are NaN, the average is NaN.
        """
        counts = self._counts[kind]
        with np.errstate(invalid='ignore'):
            return {name: total / counts[name] for name, total in self._sums[kind].items()}

    def pooled(self, kind: str, name: str, axis: int | None = None) -> FloatArray:
        """Return the average of a measure over the windows and one further axis, or over all axes.

        All values that are not NaN have the same weight. So a window with more measured values has
        more weight.
        """
        total, count = self._sums[kind][name].sum(axis), self._counts[kind][name].sum(axis)
        with np.errstate(invalid='ignore'):
            return np.asarray(total / count)


def measure(
    samples: Tensor, future: Tensor, pose: Tensor, layout: Layout, rate_hz: float
) -> Measured:
    """Measure the predicted futures of B windows.

    Args:
        samples: predicted futures (B, S, F, J, 3), metres, world frame; NaN where `future` is NaN.
        future: recorded future (B, F, J, 3), metres, world frame; NaN where not measured.
        pose: last observed pose (B, J, 3), metres, world frame.
        layout: layout of the J joints.
        rate_hz: frames per second.
    """
    distance = torch.linalg.vector_norm
    average = samples.mean(1)  # (B, F, J, 3)
    features, truth = to_features(samples, False), to_features(future, False)
    pose_error = norm(features - truth[:, None])  # (B, S, F)
    best = samples[torch.arange(len(samples)), mean(pose_error, 2).argmin(1)]  # (B, F, J, 3)
    error_of_best = distance(best - future, dim=-1) * 1000  # (B, F, J)
    error_of_mean = distance(average - future, dim=-1) * 1000
    root_error = distance(samples[..., 0, :] - future[:, None, :, 0], dim=-1)  # (B, S, F)
    root_error_of_mean = error_of_mean[..., 0] / 1000  # (B, F)
    figures = {
        'root_ADE_m': mean(root_error, 2).amin(1),
        'root_ADE_of_mean_m': mean(root_error_of_mean, 1),
        'ADE_of_mean': mean(norm(features.mean(1) - truth), 1),
        'MPJPE_best_mm': mean(error_of_best, (1, 2)),
        'MPJPE_of_mean_mm': mean(error_of_mean, (1, 2)),
        'limb_error_mm': mean(limb_error_mm(samples, pose[:, None], layout), 1),
        'limb_error_of_mean_mm': limb_error_mm(average, pose, layout),
    }
    if (jerk := jerk_m_s3(samples, rate_hz)) is not None:
        figures['jerk_m_s3'] = mean(jerk, 1)
    for name, motion in (('best', best), ('of_mean', average)):
        for kind, values in end_distances(motion, future, layout).items():
            unit = '' if kind == 'EDR' else '_m'
            figures[f'end_{kind}_{name}{unit}'] = values
    return {
        'figures': figures,
        'horizon': {
            'FDE': pose_error.amin(1),
            'root_of_mean_m': root_error_of_mean,
            'MPJPE_best_mm': mean(error_of_best, 2),
            'MPJPE_of_mean_mm': mean(error_of_mean, 2),
        },
        'joints': {
            'best_mm': mean(error_of_best, 1),
            'of_mean_mm': mean(error_of_mean, 1),
        },
        'speeds': {'count': count_speeds(samples, rate_hz)},
    }


def measure_truth(future: Tensor, pose: Tensor, layout: Layout, rate_hz: float) -> Measured:
    """Measure the recorded motion (B, F, J, 3) after a pose (B, J, 3), without any prediction."""
    figures = {'limb_error_mm': limb_error_mm(future, pose, layout)}
    if (jerk := jerk_m_s3(future, rate_hz)) is not None:
        figures['jerk_m_s3'] = jerk
    return {
        'figures': figures,
        'speeds': {'count': count_speeds(future[:, None], rate_hz)},
    }


def limb_error_mm(motion: Tensor, pose: Tensor, layout: Layout) -> Tensor:
    """Return how much the limb lengths in motions differ from the limb lengths in poses.

    Args:
        motion: motions (..., F, J, 3), metres.
        pose: one pose for each motion (..., J, 3), metres.
        layout: layout of the joints. A limb goes from a joint to its parent.

    Returns:
        The absolute difference of the lengths, averaged over limbs and frames (...), millimetres.
    """
    change = _limb_lengths(motion, layout) - _limb_lengths(pose, layout)[..., None, :]
    return mean(change.abs(), (-2, -1)) * 1000


def _limb_lengths(poses: Tensor, layout: Layout) -> Tensor:
    """Return the lengths (..., J - 1) of the limbs of poses (..., J, 3)."""
    parents = list(layout.parents[1:])
    return torch.linalg.vector_norm(poses[..., 1:, :] - poses[..., parents, :], dim=-1)


def jerk_m_s3(motion: Tensor, rate_hz: float) -> Tensor | None:
    """Return the average jerk, the third derivative, of motions (..., F, J, 3) in m/s^3 (...).

    The jerk is computed from the third difference of four positions, each JERK_STEP_S after the
    one before. If the time between two frames is longer than JERK_STEP_S, four successive frames
    are used. The result is None if the motions are too short for a third difference.
    """
    step = max(1, round(JERK_STEP_S * rate_hz))
    frames = motion.shape[-3]
    if frames <= 3 * step:
        return None
    x0, x1, x2, x3 = (motion[..., i * step : frames - (3 - i) * step, :, :] for i in range(4))
    jerk = (x3 - x0 - 3 * (x2 - x1)) * (rate_hz / step) ** 3
    return mean(torch.linalg.vector_norm(jerk, dim=-1), (-2, -1))


def count_speeds(samples: Tensor, rate_hz: float) -> Tensor:
    """Return histograms (B, SPEED_BINS) of the speeds of all joints of motions (B, S, F, J, 3)."""
    speed = torch.linalg.vector_norm(samples.diff(dim=2), dim=-1) * rate_hz  # (B, S, F - 1, J)
    counts = []
    for row in speed.flatten(1):
        known = row if is_whole(row) else row[~row.isnan()]
        bins = (known / SPEED_STEP_M_S).long().clamp(max=SPEED_BINS - 1)
        counts.append(torch.bincount(bins, minlength=SPEED_BINS))
    return torch.stack(counts)


def divergence_bits(one: FloatArray, other: FloatArray) -> float:
    """Return the Jensen-Shannon divergence of two histograms, in bits.

    The divergence is 0 if the histograms are equal, and 1 if they have no bin in common. The
    source is Lin, Divergence measures based on the Shannon entropy, 1991.
    """
    # scipy returns the square root of the divergence. Rounding can make a divergence of zero
    # slightly negative, and its square root is then NaN.
    with np.errstate(invalid='ignore'):
        distance = jensenshannon(one, other, base=2)
    return float(np.nan_to_num(distance)) ** 2


def end_distances(motion: Tensor, future: Tensor, layout: Layout) -> dict[str, Tensor]:
    """Return three distances (B,) between the paths of wrists and ankles, by name.

    The paths are those of ENDS in `motion` and in `future`, both (B, F, J, 3). DTW and Hausdorff's
    distance are in metres, and EDR is a share. Each distance is averaged over the joints of ENDS
    that were measured in every frame. A distance is NaN if none of these joints was measured in
    every frame. If the layout has none of ENDS, the result is empty.
    """
    ends = [joint for joint in map(layout.index, ENDS) if joint is not None]
    if not ends:
        return {}
    paths, true_paths = (
        m[:, :, ends].transpose(1, 2).flatten(0, 1).double().numpy() for m in (motion, future)
    )  # (B * ends, F, 3)
    whole = np.isfinite(true_paths).all((1, 2))
    distances = {}
    for name, distance in (('DTW', dtw_m), ('EDR', edit_share), ('hausdorff', hausdorff_m)):
        values = np.full(len(paths), np.nan)
        if whole.any():
            values[whole] = distance(paths[whole], true_paths[whole])
        distances[name] = mean(torch.from_numpy(values).unflatten(0, (-1, len(ends))), 1)
    return distances


def dtw_m(paths: FloatArray, others: FloatArray) -> FloatArray:
    """Return the distance (P,) of paths (P, n, 3) from others (P, m, 3), regardless of timing.

    The method is dynamic time warping (Sakoe and Chiba 1978): the sum of the distances along the
    cheapest alignment of two paths, divided by n. The DTW distance never exceeds the average
    distance of simultaneous points.

    The code is our own because libraries align only one pair of paths at a time, and libraries
    with wheels are GPL or several megabytes large. Here numpy processes all pairs together, one
    anti-diagonal of the cost matrix after the other.
    """
    cost = np.linalg.norm(paths[:, :, None] - others[:, None], axis=-1)  # (P, n, m)
    pairs, n, m = cost.shape
    # For each diagonal, entry i + 1 is the least sum of distances of an alignment that ends with
    # point i of `paths` and point (diagonal - i) of `others`.
    before, last = np.full((2, pairs, n + 1), np.inf)
    before[:, 0] = 0
    for diagonal in range(n + m - 1):
        i = np.arange(max(0, diagonal - m + 1), min(diagonal, n - 1) + 1)
        cheapest = np.minimum(np.minimum(last[:, i], last[:, i + 1]), before[:, i])
        current = np.full((pairs, n + 1), np.inf)
        current[:, i + 1] = cost[:, i, diagonal - i] + cheapest
        before, last = last, current
    return last[:, n] / n


def edit_share(paths: FloatArray, others: FloatArray) -> FloatArray:
    """Return the edit distance (P,) between paths (P, n, 3) and others (P, m, 3), from 0 to 1.

    The method is EDR, edit distance on real sequences (Chen, Ozsu and Oria 2005). EDR counts the
    points that must be replaced, removed or inserted until every point is within EDIT_TOLERANCE_M
    of the other path. The count is divided by the number of frames of the longer path. 0 means
    that the paths match everywhere, 1 means that they match nowhere. A point far outside the
    tolerance counts as much as a point just outside the tolerance.
    """
    edits = np.linalg.norm(paths[:, :, None] - others[:, None], axis=-1) > EDIT_TOLERANCE_M
    pairs, n, m = edits.shape
    # For each diagonal, entry i is the least number of edits that make the first i points of
    # `paths` match the first (diagonal - i) points of `others`.
    before = np.full((pairs, n + 1), np.inf)
    last = np.where(np.arange(n + 1) == 0, 0.0, np.inf)[None].repeat(pairs, 0)
    for diagonal in range(1, n + m + 1):
        current = np.full((pairs, n + 1), np.inf)
        if diagonal <= m:
            current[:, 0] = diagonal
        i = np.arange(max(1, diagonal - m), min(diagonal, n) + 1)
        inner = i[i < diagonal]
        replaced = before[:, inner - 1] + edits[:, inner - 1, diagonal - inner - 1]
        moved = np.minimum(last[:, inner - 1], last[:, inner]) + 1
        current[:, inner] = np.minimum(replaced, moved)
        if diagonal <= n:
            current[:, diagonal] = diagonal
        before, last = last, current
    return last[:, n] / max(n, m)


def hausdorff_m(paths: FloatArray, others: FloatArray) -> FloatArray:
    """Return Hausdorff's distance (P,) between paths (P, n, 3) and others (P, m, 3), metres.

    Hausdorff's distance is the greatest distance of a point on either path from the other path.
    """
    return np.array(
        [
            max(directed_hausdorff(a, b)[0], directed_hausdorff(b, a)[0])
            for a, b in zip(paths, others, strict=True)
        ]
    )
