"""Distillation: a student learns in one step what its teacher returns for the same noise.

Stage 1 regresses a TransFusion, started from the teacher's weights, on the teacher's full DDIM;
stage 2 regresses SwiftDiff on the student of stage 1 (arXiv 2409.12456).
"""

from pathlib import Path

import torch
from torch import Tensor

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, load_checkpoint
from motion_predictor.model.parametrisation import ResidualParametrisation
from motion_predictor_training.bank import fill_bank
from motion_predictor_training.config import ConfigError, DistilConfig
from motion_predictor_training.data.windows import cut_windows
from motion_predictor_training.loop import optimise, training_device
from motion_predictor_training.parallel import (
    first_process_first,
    is_first,
    share,
    wait_for_all,
)
from motion_predictor_training.provenance import finished, provenance
from motion_predictor_training.teacher import metre_weights


def distil(config: DistilConfig, teacher_path: Path, archive_path: Path, out: Path) -> Checkpoint:
    """Distil a teacher into a one-step student and write the student's checkpoint.

    Args:
        config: the student's network (the teacher's own if it names none), bank and optimiser.
        teacher_path: a checkpoint with the residual parametrisation, sampled as its header says.
        archive_path: motion whose histories are the conditions.
        out: where the student goes; the bank and the training state lie beside it.

    Raises:
        ConfigError: if the teacher's parametrisation is not the residual one, or `out` holds the
            result of other settings.
    """
    teacher = load_checkpoint(teacher_path)
    parametrisation = teacher.build_parametrisation()
    if not isinstance(parametrisation, ResidualParametrisation):
        raise ConfigError(
            f'{teacher_path} has the {teacher.header.parametrisation} parametrisation; only '
            'residual teachers can be distilled'
        )
    archive = load_archive(archive_path)
    window = teacher.header.window
    frames = window.history_frames + window.future_frames
    windows = cut_windows(archive, teacher.header.layout, window.rate_hz, frames, stride=1)
    ancestry = provenance(config, archive, teacher)
    if (existing := finished(out, ancestry)) is not None:
        return existing
    with first_process_first():
        bank = fill_bank(out.with_suffix('.bank'), teacher, archive, windows, config.bank)

    settings = config.optimisation
    device = training_device()
    torch.manual_seed(settings.seed)
    header = teacher.header.model_copy(
        update={
            'name': config.name,
            'network': config.network
            or teacher.header.network.model_copy(update={'dropout': 0.0}),
            'sampling': 'one_step',
            'provenance': ancestry,
            'metrics': {},
            'calibration': None,
        }
    )
    network = header.network.build(header.features, window.coefficients)
    if config.network is None:
        network.load_state_dict(teacher.build_network().state_dict())
    network.to(device)
    weights = metre_weights(parametrisation).to(device)

    def loss(step: int) -> Tensor:
        rows = share(*bank.draw(settings.batch, (settings.seed, step)))
        noise, condition, result = (row.to(device) for row in rows)
        if header.network.kind == 'transfusion':
            timesteps = torch.full((len(noise),), header.timestep, device=device)
            output = network(noise, timesteps, condition)
        else:
            output = network(noise, condition)
        return (weights * (output.float() - result).square()).mean()

    state_path = out.with_suffix('.state')
    optimise(network, loss, settings, state_path, ancestry['identity'], header.name)
    student = Checkpoint.of(header, network, parametrisation)
    if is_first():
        student.save(out)
    wait_for_all()
    return student
