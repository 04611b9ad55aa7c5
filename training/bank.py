"""A bank of (noise, condition, result), computed once and read from disk."""

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
from motion_predictor_training.supervision import Targets, supervisor_of


@dataclass(frozen=True)
class Bank:
    """Rows in memory-mapped arrays: `noise` and `result` (size, K, D).

    `condition`, and `truth` where it is kept, are (size / noises, K, D): of each noises rows in
    turn.
    """

    arrays: dict[str, NDArray[np.float32]]
    noises: int

    def draw(self, count: int, seed: tuple[int, int]) -> dict[str, Tensor]:
        """Return random rows, by field: all the noises of count / noises conditions."""
        total = len(self.arrays['condition'])
        size = count // self.noises
        conditions = np.sort(np.random.default_rng(seed).integers(total, size=size))
        rows = (conditions[:, None] * self.noises + np.arange(self.noises)).ravel()
        return {
            field: torch.from_numpy(array[rows if field in ('noise', 'result') else conditions])
            for field, array in self.arrays.items()
        }


@torch.inference_mode()
def fill_bank(
    folder: Path,
    teacher: Checkpoint,
    archive: MotionArchive,
    windows: Windows,
    config: BankConfig,
    student: Checkpoint | None = None,
    targets: Targets = 'teacher',
) -> Bank:
    """Compute a bank, or the part of it that a killed run did not reach.

    Args:
        folder: holds one .npy a field and the progress; a bank of other settings, another
            teacher or another kind of student in it is replaced.
        teacher: sampled as its header says.
        archive: what the windows were cut from.
        windows: whose histories are the conditions; see `supervision.windows_for`.
        config: size, noises, chunk, augmentation and seed.
        student: whose layout, window and scales the rows are for, trained or not; None: of the
            teacher's own.
        targets: whether the results are the teacher's or what was recorded.
    """
    student = student or teacher
    header = student.header
    identity = hashlib.sha256(
        f'{teacher.sha256} {config.model_dump_json()} {archive.fingerprint} {targets} '
        f'{header.layout} {header.window}'.encode()
    ).hexdigest()
    progress_path = folder / 'progress.json'
    folder.mkdir(parents=True, exist_ok=True)
    done = 0
    if progress_path.is_file():
        progress = json.loads(progress_path.read_text())
        done = progress['rows'] if progress['identity'] == identity else 0
        if not done:
            progress_path.unlink()  # it vouches for rows that are about to be overwritten
    conditions = config.size // config.noises
    rows_of = {'noise': config.size, 'condition': conditions, 'result': config.size}
    if config.truth:
        rows_of['truth'] = conditions
    arrays = {
        field: open_memmap(
            folder / f'{field}.npy',
            mode='r+' if done else 'w+',
            dtype=np.float32,
            shape=(rows, header.window.coefficients, header.features),
        )
        for field, rows in rows_of.items()
    }
    bank = Bank(arrays, config.noises)
    if done == config.size:
        return bank
    supervisor = supervisor_of(teacher, student, windows, config.augmentation, targets)
    with tqdm(total=config.size, initial=done, desc='bank', unit='row', mininterval=5.0) as bar:
        for first in range(done, config.size, config.chunk):
            count = min(config.chunk, config.size - first)
            rows = supervisor(count // config.noises, config.noises, (config.seed, first))
            for field, array in arrays.items():
                start = first * len(array) // config.size
                array[start : start + len(rows[field])] = rows[field].cpu().numpy()
                array.flush()
            draft = progress_path.with_suffix('.draft')
            draft.write_text(json.dumps({'identity': identity, 'rows': first + count}))
            os.replace(draft, progress_path)
            bar.update(count)
    return bank
