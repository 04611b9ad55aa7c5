"""Converts official weights of TransFusion and SwiftDiff to checkpoints of this project."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError

from motion_predictor.checkpoint import (
    Checkpoint,
    CheckpointError,
    Header,
    Window,
)
from motion_predictor.common.problems import first_problem
from motion_predictor.skeleton import known_layouts

Kind = Literal['transfusion', 'swiftdiff']


@dataclass(frozen=True)
class Preset:
    """Published sizes of TransFusion and SwiftDiff for one data set."""

    layout: str
    window: Window
    transfusion_layers: int
    swiftdiff_layers: int
    swiftdiff_width: int
    ddim_steps: int

    def sizes(self, kind: Kind) -> dict[str, int]:
        """Return the published sizes of a kind of network, by name."""
        if kind == 'swiftdiff':
            return {'layers': self.swiftdiff_layers, 'width': self.swiftdiff_width}
        return {'layers': self.transfusion_layers, 'width': 512, 'heads': 8, 'ff_width': 1024}


H36M = Window(rate_hz=50, history_frames=25, future_frames=100, coefficients=20)
AMASS = Window(rate_hz=60, history_frames=30, future_frames=120, coefficients=20)
PRESETS = {
    'h36m': Preset('h36m17', H36M, 9, 12, 768, ddim_steps=20),
    'h36m-balance': Preset('h36m17', H36M, 9, 10, 768, ddim_steps=20),
    'amass': Preset('smpl22', AMASS, 13, 16, 896, ddim_steps=50),
    'amass-balance': Preset('smpl22', AMASS, 13, 10, 896, ddim_steps=50),
}


def official_header(kind: Kind, preset_name: str, **fields: Any) -> Header:
    """Return a checkpoint header for a published network.

    Each keyword argument in `fields` replaces the header field of the same name.

    Raises:
        ValidationError: if a field of the header is invalid, or fields do not fit each other.
    """
    preset = PRESETS[preset_name]
    return Header.model_validate(
        {
            'name': f'{kind}-{preset_name}',
            'network': {'kind': kind, **preset.sizes(kind)},
            'layout': known_layouts()[preset.layout],
            'window': preset.window,
            'ddim_steps': preset.ddim_steps,
            'prediction': 'epsilon',
            'parametrisation': 'official',
            'frame': 'world',
            'root': 'damped',
            **fields,
        }
    )


def import_official(
    kind: Kind,
    weights: Path,
    preset_name: str,
    *,
    layers: int | None = None,
    width: int | None = None,
    heads: int | None = None,
    ff_width: int | None = None,
    ddim_steps: int | None = None,
    sampling: Literal['one_step', 'ddim'] = 'one_step',
) -> Checkpoint:
    """Read an official state dict and return it as a checkpoint that the node can run.

    Args:
        kind: kind of network that the weights belong to.
        weights: .pt file of a state dict. No code in the file is executed.
        preset_name: name of one of PRESETS, which defines layout, window and published sizes.
        layers: number of layers, instead of the number in the preset.
        width: number of channels per token, instead of the number in the preset.
        heads: number of attention heads, instead of the number in the preset (TransFusion only).
        ff_width: hidden width of the feed-forward layers, instead of the width in the preset
            (TransFusion only).
        ddim_steps: number of timesteps in the DDIM sequence, instead of the number in the preset.
            A one-step network starts from the last timestep of the DDIM sequence.
        sampling: `one_step` for a network that predicts in one step, or `ddim` for a TransFusion
            that needs all DDIM steps.

    Raises:
        CheckpointError: if the file is not a state dict or its weights do not have the sizes that
            the preset and the arguments define.
    """
    preset = PRESETS[preset_name]
    given = {'layers': layers, 'width': width, 'heads': heads, 'ff_width': ff_width}
    sizes = preset.sizes(kind) | {key: size for key, size in given.items() if size is not None}
    try:
        header = official_header(
            kind,
            preset_name,
            network={'kind': kind, **sizes},
            ddim_steps=preset.ddim_steps if ddim_steps is None else ddim_steps,
            sampling=sampling,
            provenance={'imported': weights.name, 'preset': preset_name},
        )
    except ValidationError as error:
        problem = first_problem(error)
        raise CheckpointError(f'there is no such {kind}: {problem}') from error
    state = _read_state_dict(weights)
    checkpoint = Checkpoint(header, {f'network.{name}': value for name, value in state.items()})
    try:
        checkpoint.require_fit()
    except CheckpointError as error:
        raise CheckpointError(
            f'{weights} does not hold a {kind} of these sizes: {error}'
        ) from error
    return checkpoint


def _read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise CheckpointError(f'there is no weight file {path}')
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # damaged files raise exceptions of many types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f'{path} is not a plain state dict: {reason}') from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise CheckpointError(f'{path} is not a plain state dict of tensors')
    for name, value in state.items():
        if not torch.isfinite(value.float()).all():
            raise CheckpointError(f'{path} holds values in {name} that are not finite numbers')
    return {name: value.float() for name, value in state.items()}
