"""A model's own motion: clips made by predicting, choosing a future and predicting on."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import load_checkpoint
from motion_predictor_training.data.windows import cut_windows
from motion_predictor_training.prediction import predictor_of

STEP_S = 1.0
BLEND_S = 0.15


def generate(
    checkpoint_path: str | Path,
    archive_path: Path,
    clips: int,
    seconds: float,
    seed: int,
    out: Path,
) -> None:
    """Write an archive of motion that nobody recorded.

    Each clip starts from a recorded history, which is then left out; again and again one of the
    predicted futures is drawn and its first second becomes the past. Limbs keep their lengths.
    """
    checkpoint = load_checkpoint(checkpoint_path)
    header = checkpoint.header
    window, layout = header.window, header.layout
    archive = load_archive(archive_path)
    windows = cut_windows(archive, layout, window.rate_hz, window.history_frames, stride=1)
    generator = np.random.default_rng(seed)
    predictor = predictor_of(checkpoint, samples=16)
    step = round(STEP_S * window.rate_hz)
    made = []
    for start in generator.integers(len(windows), size=clips):
        motion = windows.batch(np.array([start]))[0].numpy()  # (H, J, 3)
        lengths = _limb_lengths(motion[-1:], layout.parents)[0]
        while len(motion) < window.history_frames + (seconds + STEP_S) * window.rate_hz:
            samples = predictor.predict(motion[-window.history_frames :]).samples[0]
            future = samples[generator.integers(len(samples)), :step]
            # The truncated DCT leaves a small step at the seam: let it fade.
            fade = np.exp(-np.arange(1, step + 1) / (BLEND_S * window.rate_hz))
            velocity = motion[-1] - motion[-2]
            future = future + fade[:, None, None] * (motion[-1] + velocity - future[0])
            motion = np.concatenate([motion, _with_lengths(future, layout.parents, lengths)])
        made.append(motion[window.history_frames + step :].astype(np.float32))
    names = layout.joint_names
    origin = [clip[0, 0] * [1, 1, 0] for clip in made]
    positions = np.concatenate([clip - at for clip, at in zip(made, origin, strict=True)])
    scale = 0.00025
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        out,
        positions=np.round(positions / scale).astype(np.int16),
        scale=scale,
        fps=window.rate_hz,
        joint_names=np.array(names),
        parents=np.array(layout.parents),
        clip_offsets=np.cumsum([0, *map(len, made)]),
        clip_names=np.array([f'generated_{i}' for i in range(clips)]),
        subject=np.array(['generated'] * clips),
        category=np.array(['generated'] * clips),
        description=np.array([f'made by {checkpoint.model_id}, not recorded'] * clips),
        source=np.array(['motion_predictor'] * clips),
    )


def _limb_lengths(motion: NDArray[np.float32], parents: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the distance (T, J) of each joint of (T, J, 3) to its parent, 0 for the root."""
    return np.linalg.norm(motion - motion[:, np.maximum(parents, 0)], axis=-1)


def _with_lengths(
    motion: NDArray[np.float32], parents: tuple[int, ...], lengths: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Scale every limb of motion (T, J, 3) to its length (J,), keeping directions."""
    result = motion.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            limb = motion[:, joint] - motion[:, parent]
            size = np.linalg.norm(limb, axis=-1, keepdims=True)
            result[:, joint] = result[:, parent] + limb * lengths[joint] / np.maximum(size, 1e-6)
    return result
