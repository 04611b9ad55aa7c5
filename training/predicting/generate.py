"""Generates long motion: predicts, chooses one future, continues from this future, and so on."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from motion_predictor.archive import open_archive, save_archive
from motion_predictor.checkpoint import load_checkpoint
from motion_predictor_training.data.windows import cut_windows
from motion_predictor_training.predicting.every_window import predictor_of

STEP_S = 1.0
DRAWN = 16
"""Number of futures drawn at each step, of which one is chosen."""
CUTOFF_HZ = 5.0
"""Cut-off frequency of the smoothing, which removes jumps where two futures were joined."""


def generate(
    checkpoint_path: str | Path,
    archive_path: str,
    clips: int,
    seconds: float,
    seed: int,
    out: Path,
) -> None:
    """Write an archive of generated motion.

    Each clip starts from a recorded history, which is not part of the result. In each step, one of
    the predicted futures is chosen, and its first second becomes part of the history. If futures
    were chosen at random, the person would soon stand still and float above the floor. So half of
    the futures are dropped: those whose feet are farther from the floor. Of the other futures, the
    one with the most motion is chosen. All limbs have the lengths of the recorded person.

    Args:
        checkpoint_path: checkpoint of the model. A teacher gives the best motion.
        archive_path: archive of the motion to start from: "bundled" or a file.
        clips: number of clips to generate.
        seconds: length of each generated clip.
        seed: seed of the random numbers. In the result, each seed is a person of its own.
        out: path of the motion archive to write.

    Raises:
        ArchiveError, CheckpointError, LayoutError: if one of the files cannot be used.
    """
    checkpoint = load_checkpoint(checkpoint_path)
    header = checkpoint.header
    window, layout = header.window, header.layout
    archive = open_archive(archive_path)
    windows = cut_windows(archive, layout, window.rate_hz, window.history_frames, stride=1)
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    predictor = predictor_of(checkpoint, samples=DRAWN, resample_noise=True)
    smooth = butter(4, CUTOFF_HZ, fs=window.rate_hz, output='sos')
    step = round(STEP_S * window.rate_hz)
    made = []
    for start in generator.integers(len(windows), size=clips):
        motion = windows.batch(np.array([start]))[0].numpy()  # (H, J, 3)
        lengths = _limb_lengths(motion[-1:], layout.parents)[0]
        floor = motion[..., 2].min()
        while len(motion) < window.history_frames + (seconds + STEP_S) * window.rate_hz:
            samples = predictor.predict(motion[-window.history_frames :]).samples[0]
            futures = samples[:, :step]
            sinking = np.abs(futures[..., 2].min(axis=(1, 2)) - floor)
            grounded = futures[np.argsort(sinking)[: DRAWN // 2]]
            travel = np.linalg.norm(np.diff(grounded, axis=1), axis=-1).sum(axis=(1, 2))
            motion = np.concatenate([motion, grounded[travel.argmax()]])
        clip = _with_lengths(sosfiltfilt(smooth, motion, axis=0), layout.parents, lengths)
        made.append(clip[window.history_frames + step :].astype(np.float32))
    save_archive(
        out,
        [clip - clip[0, 0] * [1, 1, 0] for clip in made],
        layout,
        window.rate_hz,
        {
            'clip_names': [f'generated_{i}' for i in range(clips)],
            'subject': [f'generated_{seed}'] * clips,
            'category': ['generated'] * clips,
            'description': [f'made by {checkpoint.model_id}, not recorded'] * clips,
            'source': ['motion_predictor'] * clips,
        },
    )


def _limb_lengths(motion: NDArray[np.float32], parents: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the length of the limb from each joint to its parent, 0 for the root (T, J)."""
    return np.linalg.norm(motion - motion[:, np.maximum(parents, 0)], axis=-1)


def _with_lengths(
    motion: NDArray[np.float32], parents: tuple[int, ...], lengths: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Scale the limbs of motion (T, J, 3) to given lengths (J,), and keep their directions."""
    result = motion.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            limb = motion[:, joint] - motion[:, parent]
            size = np.linalg.norm(limb, axis=-1, keepdims=True)
            result[:, joint] = result[:, parent] + limb * lengths[joint] / np.maximum(size, 1e-6)
    return result
