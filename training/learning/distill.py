"""Distillation: a student learns in one step what its teacher returns for the same noise.

Distillation has two stages (arXiv 2409.12456). In stage 1, a TransFusion starts with the weights
of the teacher and learns the results of the teacher's full DDIM sampling. In stage 2, a SwiftDiff
learns the results of the stage-1 student. The SwiftDiff can also learn directly from the teacher.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motion_predictor.archive import MotionArchive, load_archive
from motion_predictor.checkpoint import (
    Checkpoint,
    Header,
    fresh_parametrisation,
    load_checkpoint,
)
from motion_predictor.model.parametrisation import ScaledParametrisation
from motion_predictor_training.config import ConfigError, DistilConfig, layout_of
from motion_predictor_training.data.windows import model_windows
from motion_predictor_training.learning.bank import fill_bank
from motion_predictor_training.learning.examples import Examples, seed_torch
from motion_predictor_training.learning.loop import Watch, optimise, training_device
from motion_predictor_training.learning.losses import (
    best_of,
    gaussian_kl,
    mean_square,
    metre_weights,
)
from motion_predictor_training.learning.parallel import (
    first_process_first,
    is_first,
    share,
    wait_for_all,
)
from motion_predictor_training.learning.provenance import finished, provenance
from motion_predictor_training.learning.targets import (
    joint_weights,
    same_skeleton,
    windows_for,
)


def distil(
    config: DistilConfig,
    teacher_path: Path,
    archive_path: Path,
    out: Path,
    bank_folder: Path | None = None,
    watch: Callable[[Checkpoint], Watch] | None = None,
) -> Checkpoint:
    """Distil a teacher into a one-step student and write the student's checkpoint.

    The loss compares clean coefficients, even if the student predicts the noise epsilon. If the
    student predicts epsilon, the squared error of epsilon has the weight (1 - a) / a, where a is
    alpha_hat of the student's only timestep. So the loss has the same unit, whether a student
    predicts coefficients or epsilon. With the official parametrisation, the coefficients are in
    metres. The coefficients are then compared after the observed frames have been put back (see
    `Parametrisation.complete`). With the official parametrisation, the training runs in float32,
    because bfloat16 would cause errors of centimetres.

    Args:
        config: settings of the student's network, the bank and the optimiser. If the configuration
            names no network, the student gets the network of the teacher.
        teacher_path: checkpoint of the teacher, which is sampled with the settings in its header.
        archive_path: archive of recorded motion, whose histories are the conditions.
        out: checkpoint to write. The training state is written beside the checkpoint.
        bank_folder: folder of the bank, if several students share a bank. If `bank_folder` is
            None, the bank is written beside `out`.
        watch: function that takes the untrained student and returns a `Watch`, which measures the
            student during training.

    Raises:
        ConfigError: if `out` was made with other settings, or the student cannot learn from this
            teacher.
    """
    teacher = load_checkpoint(teacher_path).uncalibrated()
    archive = load_archive(archive_path)
    ancestry = provenance(config, archive, teacher)
    if (existing := finished(out, ancestry)) is not None:
        return existing
    student = _untrained(config, teacher, archive, ancestry)
    header = student.header
    windows = windows_for(archive, teacher.header, header, config.targets, config.bank.truth)
    folder = bank_folder or out.with_suffix('.bank')
    with first_process_first():
        bank = fill_bank(folder, teacher, archive, windows, config.bank, student, config.targets)

    settings = config.optimisation
    if header.parametrisation == 'official':
        settings = settings.model_copy(update={'precision': 'float32'})
    device = training_device()
    model = student.build().to(device)
    parametrisation = model.parametrisation
    truth_weights = weights = metre_weights(parametrisation)
    if config.targets == 'teacher' and not same_skeleton(teacher.header, header):
        joints = joint_weights(teacher.header.layout, header.layout).to(device)
        weights = weights * joints.repeat_interleave(3)
    rows = bank.on(device)

    def loss() -> Tensor:
        drawn = rows.draw(settings.at_once)
        row = dict(zip(drawn, share(*drawn.values()), strict=True))
        output = model.denoise(row['noise'], row['condition']).float()
        output = parametrisation.complete(output, row['condition'])
        if config.loss == 'kl':
            value = gaussian_kl(output, row['result'], weights)
        else:
            value = mean_square(output, row['result'], weights)
        if config.truth_weight:
            nearest = best_of(output, row['truth'], truth_weights)
            value = (1 - config.truth_weight) * value + config.truth_weight * nearest
        return value

    state_path = out.with_suffix('.state')
    watching = watch(student) if watch else None
    identity = ancestry['identity']
    optimise(model.network, loss, settings, state_path, identity, header.name, watching)
    student = Checkpoint.of(header, model.network, parametrisation)
    if is_first():
        student.save(out)
    wait_for_all()
    return student


def _untrained(
    config: DistilConfig, teacher: Checkpoint, archive: MotionArchive, ancestry: dict[str, Any]
) -> Checkpoint:
    """Return the student before training, with initial weights and its final scales."""
    header = _header(config, teacher.header, ancestry)
    torch.manual_seed(config.optimisation.seed)
    network = header.network.build(header.features, header.window.coefficients)
    if config.network is None:
        network.load_state_dict(teacher.build_network().state_dict())
    if same_skeleton(teacher.header, header):
        return Checkpoint.of(header, network, teacher.build_parametrisation())
    windows = model_windows(archive, header, stride=1, partial=True)
    device = training_device()
    examples = Examples(windows, archive, header, config.bank.augmentation, device)
    parametrisation = fresh_parametrisation(header).to(device)
    assert isinstance(parametrisation, ScaledParametrisation)
    # The seed of the bank is used, so that students that share a bank have the same scales.
    seed_torch(config.bank.seed, 0, 1)
    parametrisation.fit(examples.for_scales())
    return Checkpoint.of(header, network, parametrisation)


def _header(config: DistilConfig, teacher: Header, ancestry: dict[str, Any]) -> Header:
    """Return the header of the student's checkpoint.

    Raises:
        ConfigError: if the student cannot learn from this teacher.
    """
    layout = layout_of(config.layout) if config.layout else teacher.layout
    header = teacher.model_copy(
        update={
            'name': config.name,
            'network': config.network or teacher.network.model_copy(update={'dropout': 0.0}),
            'layout': layout,
            'window': config.window or teacher.window,
            'prediction': config.prediction or teacher.prediction,
            'sampling': 'one_step',
            'start_timestep': config.timestep or teacher.start_timestep,
            'provenance': ancestry,
            'spread': None,
        }
    )
    if header.prediction == 'epsilon' and header.ddim_grid == 'trailing':
        raise ConfigError(
            'prediction epsilon does not work with a teacher of ddim_grid trailing, which '
            'starts where no motion is left'
        )
    if config.network is None and header.prediction != teacher.prediction:
        raise ConfigError(
            f'the weights of the teacher predict {teacher.prediction}, not '
            f'{header.prediction}: configure a network, to start from new weights'
        )
    if same_skeleton(teacher, header):
        return header
    if config.network is None:
        raise ConfigError(
            'the network of the teacher works only with its own layout and window: '
            'configure a network'
        )
    if teacher.root == 'damped':
        raise ConfigError('a teacher with root damped cannot teach another skeleton')
    if layout.hips is None:
        raise ConfigError(f'layout: {layout.name} has no hips to take a heading from')
    reach_s, taught_s = (h.window.future_frames / h.window.rate_hz for h in (header, teacher))
    if config.targets == 'teacher' and reach_s > taught_s + 1e-6:
        raise ConfigError(
            f'window: the future of the student, {reach_s:g} s, must not be longer than '
            f'that of the teacher, {taught_s:g} s'
        )
    return header
