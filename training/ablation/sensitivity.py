"""Measures how a student depends on the teacher's sampling settings and on its bank."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

from motion_predictor.checkpoint import load_checkpoint
from motion_predictor_training.ablation.ablate import begin
from motion_predictor_training.ablation.rows import measure_rows
from motion_predictor_training.ablation.sensitivity_report import (
    plot_sensitivity,
    write_sensitivity_markdown,
)
from motion_predictor_training.ablation.variant import (
    Stages,
    Variant,
    changed,
    of_seed,
    reseeded,
    with_schedule,
    with_steps,
)
from motion_predictor_training.config import DistilConfig, SensitivityConfig
from motion_predictor_training.learning.distill import distil


def measure_sensitivity(
    config: SensitivityConfig,
    stages: Stages,
    train: Path,
    validation: Path,
    out: Path,
    teacher: Path | None = None,
) -> dict[str, Any]:
    """Measure how the errors of a student change if one setting of its training is varied.

    Every student learns directly from the multi-step teacher, without a one-step model in between.
    So a setting acts on the errors through only one training stage. After an interruption, call
    this function again with the same arguments to continue. The report is written to
    `sensitivity.json`, `sensitivity.md` and `sensitivity.png`.

    Args:
        config: values of each setting, and settings of the measurements.
        stages: configurations of the training stages.
        train: motion archive to learn from.
        validation: motion archive to measure on.
        out: folder for all results, with a subfolder for each variant.
        teacher: checkpoint of a trained teacher. If no teacher is given, a teacher is trained.

    Returns:
        The report. Its entry `reference` has the settings that are normally used. Each row has the
        settings in which its variant differs from `reference`.

    Raises:
        ValueError, OSError: if the teacher or the data cannot be used.
    """
    teacher, about = begin(stages, train, validation, out, teacher)
    header, bank = load_checkpoint(teacher).header, stages.student.bank
    about['reference'] = {
        'ddim_steps': header.ddim_steps,
        'grid': header.ddim_grid,
        'timestep': header.timestep,
        'bank_size': bank.size,
        'noises': bank.noises,
    }
    variants = _plan(config, stages, train, out, teacher)
    files = 'sensitivity', write_sensitivity_markdown
    report = measure_rows(variants, config, about, validation, out, *files)
    plot_sensitivity(report, out / 'sensitivity.png')
    return report


def _plan(
    config: SensitivityConfig, stages: Stages, train: Path, out: Path, teacher: Path
) -> Iterator[Variant]:
    """Yield all variants, each of them after the variant that it is compared with."""
    header, base = load_checkpoint(teacher).header, stages.student
    student = partial(_student, train, out)
    facts: dict[str, str | int]
    yield Variant('teacher', '', None, lambda _: teacher)
    yield student('student', None, teacher, base)
    for grid, steps in product(config.grids, config.ddim_steps):
        if (steps, grid) != (header.ddim_steps, header.ddim_grid):
            name, facts = f'{steps} steps, {grid}', {'ddim_steps': steps, 'grid': grid}
            path = with_steps(teacher, steps, grid, out / f'teacher-{steps}-{grid}')
            make = partial(_given, path)
            yield Variant(f'teacher, {name}', '', 'teacher', make, facts=facts)
            yield student(f'student, {name}', 'student', path, base, facts)
    for schedule in config.noise_schedules:
        name, facts = f'{schedule} schedule', {'noise_schedule': schedule}
        path = out / f'teacher-{schedule}' / 'teacher.safetensors'
        make = partial(with_schedule, header, schedule, train, path)
        yield Variant(f'teacher, {name}', '', 'teacher', make, facts=facts)
        yield student(f'student, {name}', 'student', path, base, facts)
    for size in config.bank_sizes:
        if size != base.bank.size:
            settings, facts = changed(base, {'bank': {'size': size}}), {'bank_size': size}
            yield student(f'student, {size} rows', 'student', teacher, settings, facts)
    for noises in config.noises:
        if noises != base.bank.noises:
            settings, facts = changed(base, {'bank': {'noises': noises}}), {'noises': noises}
            name = f'student, {noises} noises per condition'
            yield student(name, 'student', teacher, settings, facts)
    if config.timesteps:
        yield student('one-step', None, teacher, stages.one_step)
    for timestep in config.timesteps:
        if timestep != header.timestep:
            settings = changed(stages.one_step, {'timestep': timestep})
            name, facts = f'one-step, from {timestep}', {'timestep': timestep}
            yield student(name, 'one-step', teacher, settings, facts)


def _given(path: Path, _: int) -> Path:
    return path


def _student(
    train: Path,
    out: Path,
    name: str,
    against: str | None,
    teacher: Path,
    config: DistilConfig,
    facts: Mapping[str, str | int] = MappingProxyType({}),
) -> Variant:
    """Return a variant whose model is a student that learns from a given teacher."""

    def make(seed: int) -> Path:
        settings = reseeded(config.model_copy(update={'name': variant.folder}), seed)
        path = out / variant.folder / of_seed(seed, 'student')
        # A bank contains results of the teacher, which do not depend on the start timestep of a
        # student. So students that differ only in the start timestep share one bank.
        bank = 'one-step' if 'timestep' in facts else variant.folder
        distil(settings, teacher, train, path, out / 'banks' / bank)
        return path

    variant = Variant(name, '', against, make, facts=facts)
    return variant
