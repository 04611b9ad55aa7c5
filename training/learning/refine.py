"""Refinement: trains a distilled one-step student further, on recorded futures.

With the `energy` objective, the loss is the energy score of the student's samples as a forecast of
the recorded future. The energy score is proper: it is best if the samples differ as much as the
futures of real people do. With the `energy` objective, the student's samples get a realistic
spread and a better mean. Ensembles of weather forecasts are trained in the same way. With the
`nearest` objective, only the sample nearest to the recorded future counts, as in the published
metrics. The samples of a student that was trained with `nearest` do not represent probabilities. A
student can also learn from a committee of other students (see `committee`).
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, SharedTrunkSpec, load_checkpoint
from motion_predictor.model.mirror import Mirror
from motion_predictor.model.parametrisation import Parametrisation, ScaledParametrisation
from motion_predictor_training.config import ConfigError, RefineConfig
from motion_predictor_training.data.known_people import people_in
from motion_predictor_training.data.windows import model_windows
from motion_predictor_training.learning.committee import Committee, agreement
from motion_predictor_training.learning.examples import Examples
from motion_predictor_training.learning.loop import optimise, training_device
from motion_predictor_training.learning.losses import (
    COMPARED_FRAMES,
    Futures,
    energy,
    error_of_mean,
    nearest,
)
from motion_predictor_training.learning.parallel import is_first, share, wait_for_all
from motion_predictor_training.learning.provenance import finished, provenance
from motion_predictor_training.learning.spread import fit_spread


def refine(
    config: RefineConfig,
    student_path: Path,
    archive_path: Path,
    out: Path,
    validation_path: Path | None = None,
    committee_paths: Sequence[Path] = (),
) -> Checkpoint:
    """Refine a one-step student on recorded futures and write its checkpoint.

    Args:
        config: settings of the objective, the augmentation and the optimiser.
        student_path: one-step checkpoint to continue from.
        archive_path: archive of motion to learn from. Positions that were not measured do not
            count in the loss.
        out: checkpoint to write. The training state is written beside the checkpoint.
        validation_path: archive of other people, to which the spread of the samples is fitted
            (only with the objective `energy`). If `validation_path` is None, the spread is not
            fitted.
        committee_paths: checkpoints of the committee: other students that the student learns from,
            besides the recordings.

    Raises:
        ConfigError: if a checkpoint cannot be refined, a member of the committee does not fit the
            student, or `out` was made with other settings.
    """
    parent = _student(student_path)
    members = [_student(path) for path in committee_paths]
    if bool(members) != bool(config.committee_weight):
        raise ConfigError(
            f'committee_weight is {config.committee_weight:g}, but the committee has '
            f'{len(members)} members: give both or neither'
        )
    archive = load_archive(archive_path)
    ancestry = provenance(config, archive, parent, members)
    if config.branch_layers is not None:
        parent = _shortened(parent, config.branch_layers)
    validation = load_archive(validation_path) if validation_path else None
    if validation is not None:
        ancestry['data']['spread'] = validation.fingerprint
        ancestry['people'] = people_in(archive, validation)
    if (existing := finished(out, ancestry)) is not None:
        return existing
    header = parent.header.model_copy(
        update={
            'name': config.name,
            'network': parent.header.network.model_copy(update={'dropout': config.dropout}),
            'provenance': ancestry,
            'spread': None,
            'quiet_m_per_s': 0.0,
            'symmetric': False,  # training with mirror images takes twice as long
        }
    )
    settings, device = config.optimisation, training_device()
    # The official coefficients are in metres, which bfloat16 would round to centimetres.
    if header.parametrisation == 'official':
        settings = settings.model_copy(update={'precision': 'float32'})
    windows = model_windows(archive, header, config.stride, partial=True)
    examples = Examples(windows, archive, header, config.augmentation, device)
    model = Checkpoint(header, parent.tensors).build().to(device)
    committee = Committee(members, parent, COMPARED_FRAMES, device) if members else None
    parametrisation = model.parametrisation
    _require_alike(parametrisation, examples.mirror, student_path)
    scale = parametrisation, header.window.rate_hz, header.root == 'predicted'
    futures = Futures(*scale, frames=COMPARED_FRAMES)
    evenly = Futures(*scale, frames=COMPARED_FRAMES, early=False)

    def loss() -> Tensor:
        features, measured = examples(settings.at_once)
        shape = (len(features), config.samples, header.window.coefficients, header.features)
        noise = torch.randn(shape, device=device)
        features, measured, noise = share(features, measured, noise)
        condition = parametrisation.condition(features[:, : header.window.history_frames])
        x0 = model.denoise(noise, condition).float()  # (P, S, K, D)
        truth, seen = futures.recorded(features), measured[:, futures.frames]
        samples = futures.positions(x0)
        value = config.mean_weight * error_of_mean(samples, truth, seen, futures.weights)
        if config.objective == 'energy':
            value = value + energy(samples, truth, seen, futures.weights, config.body_weight)
        else:
            value = value + nearest(
                evenly.positions(x0),
                evenly.recorded(features),
                measured[:, evenly.frames],
                config.final_weight,
            )
        if committee is not None:
            expected = committee(features[:, : header.window.history_frames])
            weights = config.mean_weight, config.body_weight
            heard = agreement(samples, expected, futures.weights, *weights)
            value = torch.lerp(value, heard, config.committee_weight)
        return value

    state_path = out.with_suffix('.state')
    optimise(model.network, loss, settings, state_path, ancestry['identity'], header.name)
    # A symmetric model also predicts the mirror image of each history. So training on one side of
    # the body also improves predictions for the other side.
    has_base_line = header.parametrisation != 'official'
    header = header.model_copy(
        update={
            'symmetric': config.symmetric,
            'quiet_m_per_s': config.quiet_m_per_s if has_base_line else 0.0,
        }
    )
    refined = Checkpoint.of(header, model.network.cpu(), parametrisation.cpu())
    if validation is not None and config.objective == 'energy':
        refined = fit_spread(refined, validation)
    if is_first():
        refined.save(out)
    wait_for_all()
    return refined


def _student(path: Path) -> Checkpoint:
    """Load a one-step student without its calibration.

    Raises:
        ConfigError: if the checkpoint is not a one-step student.
    """
    student = load_checkpoint(path).uncalibrated()
    if student.header.sampling != 'one_step':
        raise ConfigError(
            f'only students of one step can be refined, but {path} takes '
            f'{student.header.ddim_steps} steps'
        )
    return student


def _shortened(student: Checkpoint, branch_layers: int) -> Checkpoint:
    """Return a student whose branch keeps only its first `branch_layers` blocks.

    In the refinement, the kept blocks learn to replace the removed ones.

    Raises:
        ConfigError: if the student has no branch, or its branch has fewer blocks.
    """
    network = student.header.network
    if not isinstance(network, SharedTrunkSpec) or network.branch_layers < branch_layers:
        raise ConfigError(
            f'branch_layers is {branch_layers}, but the student is no shared trunk whose branch '
            f'has so many: it is {network}'
        )
    header = student.header.model_copy(
        update={'network': network.model_copy(update={'branch_layers': branch_layers})}
    )
    left_out = tuple(
        f'network.branch.{block}.' for block in range(branch_layers, network.branch_layers)
    )
    tensors = {
        name: tensor for name, tensor in student.tensors.items() if not name.startswith(left_out)
    }
    return Checkpoint(header, tensors)


def _require_alike(parametrisation: Parametrisation, mirror: Mirror, path: Path) -> None:
    """Refuse a student whose scales differ between left and right joints.

    Raises:
        ConfigError: if the scales of left and right differ. The error message names the student.
    """
    if not isinstance(parametrisation, ScaledParametrisation):
        return  # other parametrisations have no scales
    scales = parametrisation.scale, parametrisation.condition_scale
    alike = all(torch.allclose(scale, mirror(scale).abs(), rtol=1e-4) for scale in scales)
    mean = parametrisation.condition_mean
    if not (alike and torch.allclose(mean, mirror(mean), atol=1e-4)):
        raise ConfigError(f'{path} scales left and right differently: train its teacher anew')
