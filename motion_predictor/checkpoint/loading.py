"""Reads checkpoints, by name if they ship with the package, otherwise by path."""

import hashlib
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from motion_predictor.checkpoint.checkpoint import METADATA_KEY, Checkpoint, CheckpointError
from motion_predictor.checkpoint.header import Header
from motion_predictor.common.installed import installed
from motion_predictor.common.problems import first_problem


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        if not path.is_file():
            raise CheckpointError(f'there is no checkpoint {path}')
        with safe_open(path, framework='pt') as file:
            # Without a copy, the tensors would change if the file changed later.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
            return file.metadata() or {}, tensors
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f'{path} is not a safetensors file or is damaged: {error}'
        ) from error


def shipped_checkpoints() -> dict[str, Path]:
    """Return the paths of the checkpoints that ship with the package, by name."""
    files = sorted(installed('assets').glob('*.safetensors'))
    return {path.stem: path for path in files}


def load_checkpoint(name_or_path: str | Path) -> Checkpoint:
    """Load a checkpoint by name, such as "default", or by the path of its file.

    This function never opens a pickle, which could run foreign code.

    Raises:
        CheckpointError: if the file is missing, truncated or no checkpoint, or if header and
            tensors do not fit together. The error message is one sentence.
    """
    path = shipped_checkpoints().get(str(name_or_path), Path(name_or_path))
    metadata, tensors = _read(path)
    if METADATA_KEY not in metadata:
        raise CheckpointError(
            f'{path} is a safetensors file, but not a checkpoint of motion_predictor: turn '
            'official weights into one with `train import`'
        )
    try:
        header = Header.model_validate_json(metadata[METADATA_KEY])
    except ValidationError as error:
        problem = first_problem(error)
        # In the header, only the field of the network is a tagged union. So an invalid tag means
        # an unknown kind of network.
        if error.errors()[0]['type'] == 'union_tag_invalid':
            problem += '; install the package that brings this network'
        raise CheckpointError(f'{path} has an invalid header: {problem}') from error
    for key, tensor in tensors.items():
        if not torch.isfinite(tensor.float()).all():
            raise CheckpointError(f'{path} holds values in {key} that are not finite numbers')
        if key.endswith('scale') and not (tensor > 0).all():
            raise CheckpointError(f'{path} holds values in {key} that are not positive')
        if key.endswith(('terms', 'floor')) and not (tensor >= 0).all():
            raise CheckpointError(f'{path} holds values in {key} that are negative')
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    checkpoint = Checkpoint(header, tensors, digest)
    try:
        checkpoint.require_fit()
    except CheckpointError as error:
        raise CheckpointError(f'{path}: {error}') from error
    return checkpoint
