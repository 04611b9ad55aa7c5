"""Fixtures for tests of evaluations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motion_predictor.checkpoint import Checkpoint


@pytest.fixture
def saved(make_checkpoint: Callable[..., Checkpoint], tmp_path: Path) -> Callable[..., Path]:
    """Saves a tiny checkpoint with radii scaled by `scale`, or without calibration for None."""

    def save(scale: float | None = None, **fields: Any) -> Path:
        checkpoint = make_checkpoint(calibrated=scale is not None, **fields)
        if scale is not None:
            checkpoint.tensors['calibration.scale'].fill_(scale)
        path = tmp_path / 'tiny.safetensors'
        checkpoint.save(path)
        return path

    return save
