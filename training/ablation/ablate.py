"""Measures what each part of the method is worth: the same training with one part changed."""

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
    says otherwise. After an interruption, the same call continues with what is missing. If a
    variant fails, its row gives the reason, and the next call tries it again.

    Args:
        config: what is measured.
        stages: what is trained.
        train: motion archive to learn from.
        validation: motion archive to measure on.
        out: folder for all that is made, one folder for each variant.
        teacher: checkpoint of a trained teacher. With None, one is trained.
        one_step: checkpoint of the one-step teacher, which students learn from. With None, one is
            trained.

    Returns:
        The report: the data, the settings, the versions of the software, and a list `rows`.

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
    """Return the path of a trained teacher, and the first part of a report about its students."""
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
