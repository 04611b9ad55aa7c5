"""Trains a teacher: a TransFusion that denoises recorded motion (arXiv 2307.16106)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import (
    Checkpoint,
    Header,
    fresh_parametrisation,
    load_checkpoint,
)
from motion_predictor.model.diffusion import NOISE_STEPS, SCHEDULES, add_noise
from motion_predictor.model.parametrisation import ScaledParametrisation
from motion_predictor_training.config import ConfigError, TeacherConfig, layout_of
from motion_predictor_training.data.windows import model_windows
from motion_predictor_training.learning.examples import Examples, seed_torch
from motion_predictor_training.learning.loop import optimise, training_device
from motion_predictor_training.learning.losses import mean_square, metre_weights
from motion_predictor_training.learning.parallel import is_first, share, wait_for_all
from motion_predictor_training.learning.provenance import finished, provenance
from motion_predictor_training.learning.validation import Validation

METHODS: dict[str, dict[str, Any]] = {
    'anchored': {
        'parametrisation': 'anchored',
        'prediction': 'sample',
        'frame': 'heading',
        'root': 'predicted',
    },
    'official': {
        'parametrisation': 'official',
        'prediction': 'epsilon',
        'frame': 'world',
        'root': 'damped',
    },
}
"""Header fields of a teacher for each parametrisation. `official` is the published method."""


def train_teacher(
    config: TeacherConfig,
    archive_path: Path,
    out: Path,
    start: Path | None = None,
    validation_path: Path | None = None,
) -> Checkpoint:
    """Train a teacher on a motion archive and write its checkpoint.

    Args:
        config: settings of the network, the window and the optimiser.
        archive_path: archive of motion to learn from.
        out: checkpoint to write. The training state and the log are written beside the checkpoint.
        start: teacher with the same network to continue from, for example for fine-tuning on your
            own people. The new teacher keeps the scales of `start`.
        validation_path: archive on which the teacher is measured during training. The measured
            figures are only logged, and do not influence the training.

    Raises:
        ArchiveError, LayoutError: if an archive cannot be used.
        ConfigError: if the layout is unknown, `out` was made with other settings, or `start` has
            another network, window or layout.
    """
    archive = load_archive(archive_path)
    parent = load_checkpoint(start) if start else None
    layout, window = layout_of(config.layout), config.window
    method = METHODS[config.parametrisation]
    if layout.hips is None:
        method = method | {'frame': 'world'}  # a layout without hips has no heading
    header = Header(
        name=config.name,
        network=config.network,
        layout=layout,
        window=window,
        ddim_steps=config.ddim_steps,
        ddim_grid=config.ddim_grid,
        **method,
        noise_schedule=config.noise_schedule,
        sampling='ddim',
        provenance=provenance(config, archive, parent),
    )
    if (existing := finished(out, header.provenance)) is not None:
        return existing
    settings = config.optimisation
    device = training_device()
    # The official parametrisation cannot use windows with joints that were not measured.
    whole_only = config.parametrisation == 'official'
    windows = model_windows(archive, header, config.stride, partial=not whole_only)
    examples = Examples(windows, archive, header, config.augmentation, device)

    torch.manual_seed(settings.seed)
    network = header.network.build(header.features, window.coefficients)
    parametrisation = fresh_parametrisation(header)
    if parent is not None:
        _require_same(header, parent.header, start)
        parametrisation.load_state_dict(parent.build_parametrisation().state_dict())
        network.load_state_dict(parent.build_network().state_dict())
    parametrisation.to(device)
    network.to(device)
    if parent is None and isinstance(parametrisation, ScaledParametrisation):
        seed_torch(settings.seed, 0)
        parametrisation.fit(examples.for_scales())
    validation = None
    if validation_path is not None:
        untrained = Checkpoint.of(header, network, parametrisation)
        validation = Validation(config.validation, untrained, load_archive(validation_path))
    alpha_hats = SCHEDULES[config.noise_schedule]().float().to(device)

    def loss() -> Tensor:
        features, measured = examples(settings.at_once)
        timesteps = torch.randint(1, NOISE_STEPS, (settings.at_once,), device=device)
        shape = (settings.at_once, window.coefficients, header.features)
        noise = torch.randn(shape, device=device)
        unconditional = config.condition_drop > 0 and bool(torch.rand(()) < config.condition_drop)
        features, measured, timesteps, noise = share(features, measured, timesteps, noise)

        x0 = parametrisation.encode(features)  # (B, K, D)
        alpha_hat = alpha_hats[timesteps][:, None, None]
        x = add_noise(x0, noise, alpha_hat)
        condition = parametrisation.condition(features[:, : window.history_frames])
        output = network(x, timesteps, None if unconditional else condition).float()
        if not isinstance(parametrisation, ScaledParametrisation):
            return (output - noise).square().mean()
        snr = (alpha_hat / (1 - alpha_hat)).clamp(*config.snr_clamp)  # (B, 1, 1)
        known = measured.all(1)[:, None].repeat_interleave(3, -1)  # (B, 1, D)
        return mean_square(output, x0, snr * known * metre_weights(parametrisation))

    identity = header.provenance['identity']
    state_path = out.with_suffix('.state')
    optimise(
        network,
        loss,
        settings,
        state_path,
        identity,
        header.name,
        validation,
        alike=not config.condition_drop,
    )
    checkpoint = Checkpoint.of(header, network, parametrisation)
    if is_first():
        checkpoint.save(out)
    wait_for_all()
    return checkpoint


def _require_same(header: Header, parent: Header, start: Path | None) -> None:
    """Refuse to continue from a checkpoint whose header differs in an important field."""
    names = ('network', 'layout', 'window', 'parametrisation', 'noise_schedule')
    for name in (*names, 'prediction', 'frame', 'root'):
        wanted, got = getattr(header, name), getattr(parent, name)
        if wanted != got:
            raise ConfigError(f'cannot continue from {start}: its {name} is {got}, not {wanted}')
