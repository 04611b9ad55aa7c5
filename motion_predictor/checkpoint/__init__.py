"""Checkpoints: a .safetensors file holds a network's weights and everything needed to use them."""

from motion_predictor.checkpoint.checkpoint import METADATA_KEY, Checkpoint, CheckpointError
from motion_predictor.checkpoint.header import Header, Window, fresh_parametrisation
from motion_predictor.checkpoint.loading import load_checkpoint, shipped_checkpoints
from motion_predictor.checkpoint.networks import (
    NetworkSpec,
    SharedTrunkSpec,
    SwiftDiffSpec,
    TransFusionSpec,
)

__all__ = [
    'METADATA_KEY',
    'Checkpoint',
    'CheckpointError',
    'Header',
    'NetworkSpec',
    'SharedTrunkSpec',
    'SwiftDiffSpec',
    'TransFusionSpec',
    'Window',
    'fresh_parametrisation',
    'load_checkpoint',
    'shipped_checkpoints',
]
