"""A bank of (noise, condition, teacher's result), computed once and read from disk."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Checkpoint
from motion_predictor_training.config import BankConfig
from motion_predictor_training.data.windows import Windows
from motion_predictor_training.loop import training_device
from motion_predictor_training.sampling import build_sampler
from motion_predictor_training.teacher import draw_features

FIELDS = ('noise', 'condition', 'result')


@dataclass(frozen=True)
class Bank:
    """Rows of noise, condition and result, each (size, K, D), memory-mapped."""

    arrays: dict[str, NDArray[np.float32]]

    def draw(self, count: int, seed: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return random rows: noise, condition and result, each (count, K, D)."""
        size = len(self.arrays['noise'])
        rows = np.sort(np.random.default_rng(seed).integers(size, size=count))
        noise, condition, result = (torch.from_numpy(self.arrays[f][rows]) for f in FIELDS)
        return noise, condition, result


@torch.inference_mode()
def fill_bank(
    folder: Path, teacher: Checkpoint, archive: MotionArchive, windows: Windows, config: BankConfig
) -> Bank:
    """Compute a bank, or the part of it that a killed run did not reach.

    The teacher runs in bfloat16, which the residual parametrisation makes safe.

    Args:
        folder: holds one .npy a field and the progress; a bank of other settings or another
            teacher in it is replaced.
        teacher: sampled as its header says.
        archive: what the windows were cut from.
        windows: whose histories are the conditions.
        config: size, chunk, augmentation and seed.
    """
    header = teacher.header
    shape = (config.size, header.window.coefficients, header.features)
    identity = hashlib.sha256(
        f'{teacher.sha256} {config.model_dump_json()} {archive.fingerprint}'.encode()
    ).hexdigest()
    progress_path = folder / 'progress.json'
    folder.mkdir(parents=True, exist_ok=True)
    done = 0
    if progress_path.is_file():
        progress = json.loads(progress_path.read_text())
        done = progress['rows'] if progress['identity'] == identity else 0
        if not done:
            progress_path.unlink()  # it vouches for rows that are about to be overwritten
    arrays = {
        field: open_memmap(
            folder / f'{field}.npy', mode='r+' if done else 'w+', dtype=np.float32, shape=shape
        )
        for field in FIELDS
    }
    device = training_device()
    model = build_sampler(teacher).to(device)
    frames = header.window.history_frames
    with tqdm(total=config.size, initial=done, desc='bank', unit='row', mininterval=5.0) as bar:
        for first in range(done, config.size, config.chunk):
            count = min(config.chunk, config.size - first)
            seed = (config.seed, first)
            features = draw_features(windows, header, config.augmentation, count, seed).to(device)
            condition = model.parametrisation.condition(features[:, :frames])
            generator = np.random.default_rng((*seed, 1))
            noise = torch.from_numpy(generator.standard_normal((count, *shape[1:]), np.float32))
            noise = noise.to(device)
            with torch.autocast(device.type, torch.bfloat16):
                result = model.denoise(noise[:, None], condition)[:, 0].float()
            for field, rows in zip(FIELDS, (noise, condition, result), strict=True):
                arrays[field][first : first + count] = rows.cpu().numpy()
                arrays[field].flush()
            draft = progress_path.with_suffix('.draft')
            draft.write_text(json.dumps({'identity': identity, 'rows': first + count}))
            os.replace(draft, progress_path)
            bar.update(count)
    return Bank(arrays)
