"""What each part of the method is worth: the same training, one part changed at a time."""

from pathlib import Path
from typing import Any

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import load_checkpoint
from motion_predictor_training.ablation.plan import plan
from motion_predictor_training.ablation.report import write_ablation_markdown
from motion_predictor_training.ablation.rows import measure_rows
from motion_predictor_training.ablation.variant import Stages
from motion_predictor_training.config import AblateConfig
from motion_predictor_training.learning.provenance import versions
from motion_predictor_training.learning.teacher import train_teacher


def ablate(
    config: AblateConfig,
    stages: Stages,
    train: Path,
    validation: Path,
    out: Path,
    teacher: Path | None = None,
    one_step: Path | None = None,
) -> dict[str, Any]:
    """Train and measure every variant; write the report as `ablation.json` and `ablation.md`.

    Data, seeds, network, bank size, batch and steps are the same for all students, unless a row
    says otherwise. After an interruption, the same call continues with what is missing. A variant
    that fails is a row with the reason, and is tried again by the next call.

    Args:
        config: what is measured.
        stages: what is trained.
        train: motion archive to learn from.
        validation: motion archive to measure on.
        out: folder for all that is made, one folder for each variant.
        teacher: a trained one; None trains it.
        one_step: its one-step form, which students learn from; None trains it.

    Returns:
        The report: what it is of, and `rows`.

    Raises:
        ValueError, OSError: if there is no teacher or no data to begin with.
    """
    teacher, about = begin(stages, train, validation, out, teacher)
    variants = plan(config, stages, train, out, teacher, one_step)
    files = 'ablation', write_ablation_markdown
    return measure_rows(variants, config, about, validation, out, *files)


def begin(
    stages: Stages, train: Path, validation: Path, out: Path, teacher: Path | None
) -> tuple[Path, dict[str, Any]]:
    """Return a trained teacher, and the common part of a report about its students."""
    data = {'train': load_archive(train).fingerprint}
    data['validation'] = load_archive(validation).fingerprint
    if teacher is None:
        teacher = out / 'teacher' / 'teacher.safetensors'
        train_teacher(stages.teacher, train, teacher)
    return teacher, {
        'teacher': load_checkpoint(teacher).model_id,
        'data': data,
        'made': versions(),
        'student': stages.student.model_dump(mode='json'),
    }
