"""The teacher: TransFusion, trained to denoise recorded motion (arXiv 2307.16106)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, Header, load_checkpoint
from motion_predictor.model.diffusion import NOISE_STEPS, SCHEDULES, add_noise
from motion_predictor.model.parametrisation import (
    OfficialParametrisation,
    Parametrisation,
    ResidualParametrisation,
)
from motion_predictor.skeleton import known_layouts
from motion_predictor_training.config import Augmentation, ConfigError, TeacherConfig
from motion_predictor_training.data.augment import draw_windows
from motion_predictor_training.data.windows import Windows, model_features, model_windows
from motion_predictor_training.loop import optimise, training_device
from motion_predictor_training.parallel import is_first, share, wait_for_all
from motion_predictor_training.provenance import finished, provenance
from motion_predictor_training.validation import Validation

METHODS: dict[str, dict[str, Any]] = {
    'residual': {
        'parametrisation': 'residual',
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
"""What goes with each parametrisation: `official` is the method as published."""


def draw_features(
    windows: Windows, header: Header, augmentation: Augmentation, count: int, seed: Sequence[int]
) -> Tensor:
    """Draw random windows as features (count, H + F, D) in the model frame.

    Args:
        windows: to draw from, with replacement.
        header: says which frame and which features.
        augmentation: random changes to the windows.
        count: B.
        seed: of this draw.
    """
    generator = np.random.default_rng(seed)
    frames = header.window.history_frames
    motion = draw_windows(windows, frames, augmentation, count, generator)
    hips = header.layout.hips if header.frame == 'heading' else None
    return model_features(motion, frames, hips, header.root == 'predicted')


def metre_weights(parametrisation: ResidualParametrisation) -> Tensor:
    """Return loss weights (K, D) that give coefficients with a larger spread in metres more say.

    The square root of what would count metres exactly, which would leave only the root.
    """
    return parametrisation.scale / parametrisation.scale.mean()


def train_teacher(
    config: TeacherConfig,
    archive_path: Path,
    out: Path,
    start: Path | None = None,
    validation_path: Path | None = None,
) -> Checkpoint:
    """Train a teacher on a motion archive and write its checkpoint.

    Args:
        config: the network, the window and the optimiser.
        archive_path: motion to learn from.
        out: where the teacher goes; the training state and the log lie beside it.
        start: a teacher of the same network to go on from, as for fine-tuning on one's own
            people; its scales are kept.
        validation_path: motion to measure the teacher on while it learns; it changes nothing.

    Raises:
        ArchiveError, LayoutError: if an archive cannot be used.
        ConfigError: if the layout is unknown, `out` holds the result of other settings, or
            `start` is of another network, window or layout.
    """
    archive = load_archive(archive_path)
    parent = load_checkpoint(start) if start else None
    if config.layout not in known_layouts():
        known = ', '.join(known_layouts())
        raise ConfigError(f"layout: there is no '{config.layout}', only {known}")
    window = config.window
    header = Header(
        name=config.name,
        network=config.network,
        layout=known_layouts()[config.layout],
        window=window,
        ddim_steps=config.ddim_steps,
        **METHODS[config.parametrisation],
        noise_schedule=config.noise_schedule,
        sampling='ddim',
        provenance=provenance(config, archive, parent),
    )
    if (existing := finished(out, header.provenance)) is not None:
        return existing
    windows = model_windows(archive, header, config.stride)
    settings = config.optimisation

    augmentation = config.augmentation
    torch.manual_seed(settings.seed)
    network = header.network.build(header.features, window.coefficients)
    parametrisation = _parametrisation(header)
    if parent is not None:
        _require_same(header, parent.header, start)
        parametrisation.load_state_dict(parent.build_parametrisation().state_dict())
        network.load_state_dict(parent.build_network().state_dict())
    elif isinstance(parametrisation, ResidualParametrisation):
        parametrisation.fit(draw_features(windows, header, augmentation, 8192, (settings.seed, 0)))
    validation = None
    if validation_path is not None:
        untrained = Checkpoint.of(header, network, parametrisation)
        validation = Validation(config.validation, untrained, load_archive(validation_path))
    device = training_device()
    parametrisation.to(device)
    network.to(device)
    alpha_hats = SCHEDULES[config.noise_schedule]().float().to(device)

    def loss(step: int) -> Tensor:
        seed = (settings.seed, 1 + step)
        features = draw_features(windows, header, augmentation, settings.batch, seed).to(device)
        timesteps = torch.randint(1, NOISE_STEPS, (settings.batch,), device=device)
        shape = (settings.batch, window.coefficients, header.features)
        noise = torch.randn(shape, device=device)
        unconditional = torch.rand(()) < config.condition_drop
        features, timesteps, noise = share(features, timesteps, noise)

        x0 = parametrisation.encode(features)  # (B, K, D)
        alpha_hat = alpha_hats[timesteps][:, None, None]
        x = add_noise(x0, noise, alpha_hat)
        condition = parametrisation.condition(features[:, : window.history_frames])
        output = network(x, timesteps, None if unconditional else condition).float()
        if not isinstance(parametrisation, ResidualParametrisation):
            return (output - noise).square().mean()
        snr = (alpha_hat / (1 - alpha_hat)).clamp(*config.snr_clamp)  # (B, 1, 1)
        return (snr * metre_weights(parametrisation) * (output - x0).square()).mean()

    identity = header.provenance['identity']
    state_path = out.with_suffix('.state')
    optimise(network, loss, settings, state_path, identity, header.name, validation)
    checkpoint = Checkpoint.of(header, network, parametrisation)
    if is_first():
        checkpoint.save(out)
    wait_for_all()
    return checkpoint


def _parametrisation(header: Header) -> Parametrisation:
    """Return the header's parametrisation, not yet fitted."""
    window = header.window
    sizes = (window.history_frames, window.future_frames, window.coefficients)
    if header.parametrisation == 'official':
        return OfficialParametrisation(*sizes)
    return ResidualParametrisation(*sizes, header.features)


def _require_same(header: Header, parent: Header, start: Path | None) -> None:
    """Refuse to go on from a checkpoint whose weights mean something else."""
    names = ('network', 'layout', 'window', 'parametrisation', 'noise_schedule')
    for name in (*names, 'prediction', 'frame', 'root'):
        wanted, got = getattr(header, name), getattr(parent, name)
        if wanted != got:
            raise ConfigError(f'cannot go on from {start}: its {name} is {got}, not {wanted}')
