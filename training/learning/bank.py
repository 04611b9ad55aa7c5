"""A bank: training rows (noise, condition, result), computed once and kept on disk."""

import hashlib
import json
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
from motion_predictor_training.files import replaced
from motion_predictor_training.learning.targets import Targets, supervisor_of


@dataclass(frozen=True)
class Bank:
    """The rows of a bank on disk, as memory-mapped arrays, shaped as in `targets.Supervisor`."""

    arrays: dict[str, NDArray[np.float32]]

    def on(self, device: torch.device) -> 'DrawnBank':
        """Load the bank onto a device; return an object that draws rows there.

        On a GPU, the whole bank must fit into the memory of the GPU.
        """
        return DrawnBank(
            {field: torch.from_numpy(array).to(device) for field, array in self.arrays.items()}
        )


@dataclass(frozen=True)
class DrawnBank:
    """A bank on the device that trains."""

    tensors: dict[str, Tensor]

    def draw(self, count: int) -> dict[str, Tensor]:
        """Draw random conditions, each with all its noises and results; return a tensor per field.

        Args:
            count: number of rows to draw, a multiple of the number of noises per condition.
        """
        noise = self.tensors['noise']
        total, noises = noise.shape[:2]
        chosen = torch.randint(total, (count // noises,), device=noise.device).sort().values
        return {field: tensor[chosen] for field, tensor in self.tensors.items()}


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
    """Compute a bank. After an interrupted run, compute only the rows that are still missing.

    Args:
        folder: folder of the bank. The folder has one .npy file for each field, and a file with
            the progress. If the folder has a bank made with other settings, another teacher or for
            another kind of student, that bank is replaced.
        teacher: teacher whose results are stored in the rows. The teacher is sampled with the
            settings in its header.
        archive: archive from which the windows were cut.
        windows: windows whose histories are the conditions, see `targets.windows_for`.
        config: number of rows, noises per condition, chunk size, augmentation and seed.
        student: student (trained or untrained) that will learn from the rows. The rows have the
            layout, the window and the scales of the student. If no student is given, the rows have
            the layout, the window and the scales of the teacher.
        targets: whether the results in the rows are the teacher's or the recorded futures.
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
            # `progress.json` counts the rows of an old bank, which are overwritten below.
            progress_path.unlink()
    conditions = config.size // config.noises
    one = (header.window.coefficients, header.features)
    several = (config.noises, *one)
    shapes = {'noise': several, 'condition': one, 'result': several}
    if config.truth:
        shapes['truth'] = one
    arrays = {
        field: open_memmap(
            folder / f'{field}.npy',
            mode='r+' if done else 'w+',
            dtype=np.float32,
            shape=(conditions, *shape),
        )
        for field, shape in shapes.items()
    }
    bank = Bank(arrays)
    if done == config.size:
        return bank
    supervisor = supervisor_of(teacher, student, windows, archive, config.augmentation, targets)
    with tqdm(
        total=config.size, initial=done, desc='bank', unit='row', leave=False, disable=None
    ) as bar:
        for first in range(done, config.size, config.chunk):
            count = min(config.chunk, config.size - first)
            rows = supervisor(count // config.noises, config.noises, (config.seed, first))
            part = slice(first // config.noises, (first + count) // config.noises)
            for field, array in arrays.items():
                array[part] = rows[field].cpu().numpy()
                array.flush()
            with replaced(progress_path) as draft:
                draft.write_text(json.dumps({'identity': identity, 'rows': first + count}))
            bar.update(count)
    return bank
