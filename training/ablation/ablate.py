"""Ablations: repeats the training with one part of the method changed, and compares errors."""

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

    All students have the same data, seeds, network, bank size, batch and steps, unless a row of
    the report says otherwise. After an interruption, call this function again with the same
    arguments, and only the missing variants are made. If a variant fails, its row gives the
    reason, and the next call tries the variant again.

    Args:
        config: settings of the ablations: which variants are made and how they are measured.
        stages: configurations of the training stages.
        train: motion archive to learn from.
        validation: motion archive to measure on.
        out: folder for all results, with a subfolder for each variant.
        teacher: checkpoint of a trained teacher. If no teacher is given, a teacher is trained.
        one_step: checkpoint of a one-step model, from which the students learn. If no one-step
            model is given, it is distilled from the teacher.

    Returns:
        The report: the data, the settings, the software versions, and a list `rows` with a row for
        each variant.

    Raises:
        ValueError, OSError: if the teacher or the data cannot be used.
    """
    teacher, about = begin(stages, train, validation, out, teacher)
    variants = plan(config, stages, train, out, teacher, one_step)
    files = 'ablation', write_ablation_markdown
    return measure_rows(variants, config, about, validation, out, *files)


def begin(
    stages: Stages, train: Path, validation: Path, out: Path, teacher: Path | None
) -> tuple[Path, dict[str, Any]]:
    """Load or train the teacher; return its path, and the first entries of the report."""
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
