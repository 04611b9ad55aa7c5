"""Measures memorisation: whether a model repeats futures from its training motion.

The measure is the distance of a predicted future from the nearest training future. A memorised
future is nearer to a training future than the true future is. But any smooth future is near to
some training future. So the distance is compared with three others: the distance of the true
future, the distance of a damped velocity (a baseline that has learnt nothing), and the distance of
predictions for people in the training data. A prediction for a person in the training data is not
compared with futures from the clip of its own window.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tabulate import tabulate
from torch import Tensor

from motion_predictor.archive import ArchiveError, MotionArchive, load_archive
from motion_predictor.checkpoint import Header, load_checkpoint
from motion_predictor.model.frames import person_frame, to_model
from motion_predictor.model.mirror import Mirror
from motion_predictor.predictor import MotionPredictor
from motion_predictor_training.data.known_people import SEEN, Known
from motion_predictor_training.data.windows import Windows, model_windows
from motion_predictor_training.evaluation.measures import bootstrap
from motion_predictor_training.evaluation.measures.per_window import plain
from motion_predictor_training.predicting.baselines import baselines
from motion_predictor_training.predicting.every_window import predict_windows, predictor_of

MOMENTS = 12
"""Number of evenly spread frames at which two futures are compared."""
REFERENCE_STRIDE = 15
"""Number of frames between the starts of the training windows that predictions are compared
with."""
COPY = 1 / 3
"""A sample is a copy if its distance to the nearest training clip is less than this share of its
distance to the second-nearest clip (Yoon et al. 2023, Diffusion probabilistic models generalize
when they fail to memorize)."""
ROWS = {
    'error_mm': 'mean of the samples from what happened, mm',
    'nearest_sample_mm': 'nearest sample from what happened, mm',
    'truth_mm': 'what happened from the nearest training future, mm',
    'samples_mm': 'samples from the nearest training future, mm',
    'going_on_mm': 'damped velocity from the nearest training future, mm',
    'nearer_than_truth': 'samples nearer to a training future than what happened',
    'copied': 'samples that are copies',
    'truth_copied': 'recorded futures that count as copies',
}


@dataclass(frozen=True)
class Reference:
    """The training futures and their mirror images (R in all), each as MOMENTS poses."""

    poses: Tensor  # (MOMENTS, R, D) scaled poses, see `_poses`
    clips: Tensor  # (R,) number of the clip, unique over all archives


def measure_memorisation(
    checkpoint_path: str | Path,
    trained: Sequence[Path],
    archive_path: Path,
    samples: int = 10,
    stride: int = 30,
) -> dict[str, Any]:
    """Measure how near predicted futures are to training futures, for seen and unseen people.

    The distance of two futures is the root mean square distance of all joints, including the root,
    averaged over MOMENTS frames. Each future is first converted to the frame of its own person at
    the last observation, so that it does not matter where in the world the person was. Windows
    with joints that were not measured are left out.

    Args:
        checkpoint_path: file of the checkpoint, or "default" for the one that ships.
        trained: the archives that the checkpoint was trained on.
        archive_path: archive of people whom the checkpoint does not know (unseen).
        samples: number of samples S per window.
        stride: number of frames between the starts of the windows of unseen people. The same
            number of windows of seen people is used, spread evenly over the training archives.

    Returns:
        `seen`: the results for people whom the model was trained on. `unseen`: the results for
        other people. `seen` and `unseen` have the number of `windows` and the names of the
        `people`. In `seen` and `unseen`, each figure that ROWS names has a `mean`, and the ends
        `low` and `high` of its confidence interval (see `bootstrap`). Further entries describe the
        checkpoint and the archives.

    Raises:
        ArchiveError: if an archive has no windows for this model, or a person of `archive_path`
            was trained on.
    """
    checkpoint = load_checkpoint(checkpoint_path)
    header = checkpoint.header
    archives = [load_archive(path) for path in trained]
    names = {name for archive in archives for name in archive.subjects if name}
    unseen = load_archive(archive_path)
    known = [name for name, how in Known.to(header).of(unseen).items() if how == SEEN]
    if both := sorted({*known, *names.intersection(unseen.subjects)}):
        raise ArchiveError(
            f'{archive_path} must hold only people who were not trained on, but holds {both}'
        )
    trained_on = [model_windows(archive, header, REFERENCE_STRIDE) for archive in archives]
    reference = _reference(trained_on, header)
    windows = model_windows(unseen, header, stride)
    seen = _evenly(trained_on, len(windows))
    predictor = predictor_of(checkpoint, samples)
    found: dict[str, list[dict[str, Any]]] = {'unseen': [], 'seen': []}
    found['unseen'] += _measured(predictor, windows, unseen, reference, None)
    first = 0
    for part, archive in zip(seen, archives, strict=True):
        found['seen'] += _measured(predictor, part, archive, reference, first)
        first += len(archive)
    return {
        'checkpoint': checkpoint.model_id,
        'trained': [archive.fingerprint for archive in archives],
        'archive': unseen.fingerprint,
        'training_futures': len(reference.clips),
        'samples': samples,
        'stride': stride,
        **{name: _summary(parts) for name, parts in found.items()},
    }


def compare(
    samples: Tensor,
    truth: Tensor,
    going_on: Tensor,
    reference: Reference,
    own_clips: Tensor | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Return the figures that ROWS names, each with one value per window (B,).

    Args:
        samples: predicted futures as scaled poses (B, S, MOMENTS, D), see `_poses`.
        truth: true futures as scaled poses (B, 1, MOMENTS, D).
        going_on: futures of the damped-velocity baseline as scaled poses (B, 1, MOMENTS, D).
        reference: training futures to compare with.
        own_clips: for each window, the number of its clip in `reference.clips` (B,). Training
            futures from a window's own clip are left out of the comparison. If `own_clips` is
            None, the reference does not contain the clips of the windows.
    """
    near, copied = _nearest(samples, reference, own_clips)
    true_near, true_copied = _nearest(truth, reference, own_clips)
    error = (samples - truth).norm(dim=-1).mean(-1)  # (B, S)
    rows = {
        'error_mm': (samples.mean(1) - truth[:, 0]).norm(dim=-1).mean(-1),
        'nearest_sample_mm': error.amin(1),
        'truth_mm': true_near[:, 0],
        'samples_mm': near.mean(1),
        'going_on_mm': _nearest(going_on, reference, own_clips)[0][:, 0],
        'nearer_than_truth': (near < true_near).float().mean(1),
        'copied': copied.float().mean(1),
        'truth_copied': true_copied[:, 0].float(),
    }
    return {name: row.numpy() for name, row in rows.items()}


def _nearest(
    futures: Tensor, reference: Reference, own_clips: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return how far each future is from the nearest training future, and which are copies.

    The distances and the marks of copies have the shape (B, S).
    """
    people, count = futures.shape[:2]
    flat = futures.flatten(0, 1).transpose(0, 1)  # (MOMENTS, B * S, D)
    distance = torch.stack(list(map(torch.cdist, flat, reference.poses))).mean(0)  # (B * S, R)
    if own_clips is not None:
        own = own_clips.repeat_interleave(count)[:, None] == reference.clips
        distance = distance.masked_fill(own, torch.inf)
    clips = int(reference.clips.max()) + 1
    of_clips = distance.new_full((len(distance), max(clips, 2)), torch.inf)
    of_clips.scatter_reduce_(1, reference.clips.expand_as(distance), distance, 'amin')
    nearest, next_one = of_clips.topk(2, largest=False).values.unbind(1)
    copied = nearest < COPY * next_one
    return nearest.unflatten(0, (people, count)), copied.unflatten(0, (people, count))


def _evenly(parts: Sequence[Windows], count: int) -> list[Windows]:
    """Choose `count` windows, spread evenly over all archives; return them by archive."""
    first = np.cumsum([0, *map(len, parts)])
    chosen = np.linspace(0, first[-1] - 1, min(count, first[-1])).astype(np.int64)
    return [
        part.choose(chosen[(chosen >= start) & (chosen < start + len(part))] - start)
        for part, start in zip(parts, first, strict=False)
    ]


def _measured(
    predictor: MotionPredictor,
    windows: Windows,
    archive: MotionArchive,
    reference: Reference,
    first_clip: int | None,
) -> Iterator[dict[str, Any]]:
    """Measure a few windows at a time; yield their figures, with `clip` and `person`.

    Args:
        predictor: predictor whose futures are compared with the training futures.
        windows: windows to predict.
        archive: archive that `windows` are from.
        reference: training futures to compare with.
        first_clip: number that the first clip of `archive` has in `reference.clips`. If
            `first_clip` is None, `reference` has no clips of `archive`.
    """
    header = predictor.checkpoint.header
    frames, rate_hz = header.window.future_frames, header.window.rate_hz
    for predicted in predict_windows(predictor, windows):
        history = predicted.history
        going_on = baselines(history, frames, rate_hz)['damped_velocity']
        samples, truth, baseline = (
            _poses(history, futures, header)
            for futures in (predicted.samples, predicted.future[:, None], going_on[:, None])
        )
        clips = windows.clips[predicted.windows]
        own = None if first_clip is None else torch.from_numpy(clips + first_clip)
        yield {
            **compare(samples, truth, baseline, reference, own),
            'clip': clips + (first_clip or 0),
            'person': np.array(archive.subjects)[clips],
        }


def memorisation_table(result: dict[str, Any]) -> str:
    """Return the result of `measure_memorisation` as a Markdown table."""
    groups = ('seen', 'unseen')
    lines = [['windows', *(result[name]['windows'] for name in groups)]]
    for row, about in ROWS.items():
        cells = []
        for name in groups:
            of_row = result[name][row]
            form = '{:.0f}' if row.endswith('_mm') else '{:.1%}'
            cell = form.format(of_row['mean'])
            if of_row['low'] is not None:
                cell += ' ({} to {})'.format(
                    *(form.format(of_row[end]) for end in ('low', 'high'))
                )
            cells.append(cell)
        lines.append([about, *cells])
    head = ['', 'people trained on', 'other people']
    return tabulate(lines, head, tablefmt='github', disable_numparse=True)


def _summary(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Average the figures of all windows, with confidence intervals."""
    columns = {row: np.concatenate([part[row] for part in parts]) for row in parts[0]}
    clips = bootstrap.clusters(columns['clip'], columns['person'])
    summary: dict[str, Any] = {
        'windows': len(clips),
        'people': sorted(set(columns['person'].tolist())),
    }
    for row in ROWS:
        low, high = bootstrap.interval(columns[row], clips)
        summary[row] = {'mean': bootstrap.mean(columns[row]), 'low': low, 'high': high}
    result: dict[str, Any] = plain(summary)
    return result


def _reference(parts: Sequence[Windows], header: Header) -> Reference:
    """Return the recorded futures of training windows, and their mirror images."""
    mirror = Mirror(header.layout.mirrored, True)
    poses, clips, first = [], [], 0
    for part in parts:
        motion = part.all()
        history, future = motion.split(
            [header.window.history_frames, header.window.future_frames], 1
        )
        own = _poses(history, future[:, None], header)[:, 0]  # (W, MOMENTS, D)
        poses += [own, mirror(own)]
        clips += 2 * [torch.from_numpy(part.clips + first)]
        first += len(part.bounds) - 1
    return Reference(torch.cat(poses).transpose(0, 1).contiguous(), torch.cat(clips))


def _poses(history: Tensor, futures: Tensor, header: Header) -> Tensor:
    """Return futures (B, S, F, J, 3) as poses in the person's frame (B, S, MOMENTS, D).

    The poses are scaled: the L2 distance of two poses is then the root mean square distance of
    their joints, mm.
    """
    facing = header.layout.facing if header.layout.hips is not None else None
    frame = person_frame(history[:, -1], facing)
    moments = torch.linspace(0, futures.shape[2] - 1, MOMENTS).round().long()
    flat = futures[:, :, moments].flatten(1, 2)
    local = to_model(flat, frame).flatten(-2)
    scale = 1000 / len(header.layout.joints) ** 0.5
    return (local * scale).unflatten(1, (futures.shape[1], MOMENTS))
