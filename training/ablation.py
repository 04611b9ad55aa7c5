"""What each part of the method is worth: the same training, one part changed at a time."""

import hashlib
import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tabulate import tabulate

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, Header, load_checkpoint
from motion_predictor.common.problems import one_line
from motion_predictor_training.config import AblateConfig, DistilConfig, TeacherConfig
from motion_predictor_training.data.windows import model_windows
from motion_predictor_training.evaluation.evaluate import evaluate_checkpoint
from motion_predictor_training.evaluation.report.writing import write_json
from motion_predictor_training.files import replaced
from motion_predictor_training.learning.distill import distil
from motion_predictor_training.learning.teacher import train_teacher
from motion_predictor_training.predicting.every_window import predict_windows, predictor_of
from motion_predictor_training.predicting.multi_step import Precision
from motion_predictor_training.tuning.latency import time_predictions

METRICS = ('ADE', 'FDE', 'APD')
COMPARED = 32
"""Windows on which bfloat16 is compared with single precision, sample by sample."""
WARM_UP = 2


@dataclass(frozen=True)
class Stages:
    """What the stages are configured as, before anything is changed."""

    teacher: TeacherConfig
    one_step: DistilConfig
    student: DistilConfig


@dataclass(frozen=True)
class Variant:
    """One row of the report."""

    name: str
    about: str
    against: str | None
    """The row that it differs from in one part."""
    make: Callable[[], Path]
    """Trains what is not trained yet, and returns the checkpoint."""
    precision: Precision = 'float32'

    @property
    def folder(self) -> str:
        """What its folder is called."""
        return self.name.replace(',', '').replace(' ', '-')


def ablate(
    config: AblateConfig,
    stages: Stages,
    train: Path,
    validation: Path,
    out: Path,
    teacher: Path | None = None,
) -> dict[str, Any]:
    """Train and measure every variant; write the report as `ablation.json` and `ablation.md`.

    Data, seeds, network, bank size and batch are the same for all students; so are steps, but
    where a row says otherwise. Killed at any moment, the same call goes on with what is missing.
    A variant that fails is a row that says why, and is tried again by the next call.

    Args:
        config: what is measured.
        stages: what is trained.
        train: motion archive to learn from.
        validation: motion archive to measure on.
        out: folder for all that is made, one folder a variant.
        teacher: a trained one; None trains it.

    Returns:
        The report: what it is of, and `rows`.

    Raises:
        ValueError, OSError: if there is no teacher or no data to begin with.
    """
    facts = {'train': load_archive(train).fingerprint}
    facts['validation'] = load_archive(validation).fingerprint
    if teacher is None:
        teacher = out / 'teacher' / 'teacher.safetensors'
        train_teacher(stages.teacher, train, teacher)
    report: dict[str, Any] = {
        'teacher': load_checkpoint(teacher).model_id,
        'data': facts,
        'configuration': config.model_dump(mode='json'),
        'student': stages.student.model_dump(mode='json'),
        'threads': torch.get_num_threads(),
        'machine': platform.machine(),
        'tolerance': config.tolerance,
        'rows': [],
    }
    rows: list[dict[str, Any]] = report['rows']
    for variant in _plan(config, stages, train, out, teacher):
        row: dict[str, Any] = {'name': variant.name, 'about': variant.about}
        rows.append(row)
        try:
            path = variant.make()
            folder = out / variant.folder
            measured = _measure(path, variant.precision, validation, facts, config, folder)
        except Exception as error:  # of whatever kind, it is not to cost the other rows
            row['failed'] = one_line(error)
        else:
            report['windows'] = measured['windows']
            report['zero_velocity'] = _metrics(measured, 'zero_velocity')
            row |= _metrics(measured, 'model')
            extras = ('checkpoint', 'steps', 'latency_ms', 'bfloat16_error_cm')
            row |= {name: measured[name] for name in extras if name in measured}
            reference = next((r for r in rows if r['name'] == variant.against), None)
            if reference is not None:
                row |= _compare(row, reference, config.tolerance)
        with replaced(out / 'ablation.json') as draft:
            write_json(report, draft)
        with replaced(out / 'ablation.md') as draft:
            _write_markdown(report, draft)
    return report


def ablation_table(report: dict[str, Any]) -> str:
    """Return the rows as a table for a terminal; it is valid Markdown."""
    batches = report['configuration']['batches']
    lines = []
    for row in report['rows']:
        if 'failed' in row:
            lines.append([row['name'], f'failed: {row["failed"]}'])
            continue
        change = row.get('ADE_change')
        error_cm = row.get('bfloat16_error_cm')
        lines.append(
            [
                row['name'],
                row['about'],
                *(f'{row[metric]:.3f}' for metric in METRICS),
                '' if change is None else f'{change:+.1%} of {row["against"]}',
                row.get('verdict', ''),
                *(_milliseconds(row['latency_ms'].get(str(people))) for people in batches),
                '' if error_cm is None else f'{error_cm["p99"]:.2f}',
            ]
        )
    zero = [f'{value:.3f}' for value in report.get('zero_velocity', {}).values()]
    lines.append(['zero velocity', 'standing still', *zero])
    timed = [f'ms x{people}' for people in batches]
    head = ['', 'what', *METRICS, 'ADE against', 'verdict', *timed, 'bf16 error, cm']
    return tabulate(lines, head, tablefmt='github', disable_numparse=True)


def _milliseconds(value: float | None) -> str:
    return '' if value is None else f'{value:.1f}'


def _plan(
    config: AblateConfig, stages: Stages, train: Path, out: Path, teacher: Path
) -> Iterator[Variant]:
    """Yield the variants; the ones compared with come first."""
    header = load_checkpoint(teacher).header
    own_steps = header.ddim_steps
    yield Variant('teacher', f'{own_steps} denoising steps', None, lambda: teacher)
    for steps in config.ddim_steps:
        if steps != own_steps:
            make = partial(_with_steps, teacher, steps, out / f'teacher-{steps}-steps')
            name, about = f'teacher, {steps} steps', f'{steps} denoising steps'
            yield Variant(name, about, 'teacher', make)
    for schedule in config.noise_schedules:
        path = out / f'teacher-{schedule}' / 'teacher.safetensors'
        make = partial(_with_schedule, header, schedule, train, path)
        about = f'trained anew with {schedule} noise'
        yield Variant(f'teacher, {schedule} schedule', about, 'teacher', make)

    def first_stage() -> Path:
        one_step = out / 'one-step' / 'one-step.safetensors'
        distil(stages.one_step, teacher, train, one_step)
        return one_step

    def student(name: str, about: str, direct: bool = False, **changes: Any) -> Variant:
        def make() -> Path:
            folder = out / variant.folder
            changed = _change(stages.student, config, changes | {'name': variant.folder})
            parent = teacher if direct else first_stage()
            source = changes.get('targets', 'teacher' if direct else 'one-step')
            bank = out / 'banks' / source
            distil(changed, parent, train, folder / 'student.safetensors', bank)
            return folder / 'student.safetensors'

        variant = Variant(name, about, 'student', make)
        return variant

    yield Variant('one-step', 'stage 1: the teacher in one step', 'teacher', first_stage)
    reference = student('student', 'two stages, MSE, predicts x0')
    yield replace(reference, against='one-step')
    yield _reduced(reference)
    yield student('direct', 'stage 2 from the multi-step teacher', direct=True)
    steps = stages.one_step.optimisation.steps + stages.student.optimisation.steps
    about = f'the same, {steps} steps: those of both stages'
    yield student('direct, longer', about, direct=True, optimisation={'steps': steps})
    yield student('KL', 'Gaussian KL instead of MSE', loss='kl')
    epsilon = student('epsilon', 'predicts epsilon instead of x0', prediction='epsilon')
    yield epsilon
    yield _reduced(epsilon)
    about = f'{config.truth_weight:.0%} of the loss: recorded future, best of noises'
    yield student('truth term', about, truth_weight=config.truth_weight)
    about = 'no teacher: recorded future, every noise'
    yield student('vanilla', about, direct=True, targets='recorded')
    about = 'no teacher: recorded future, best of noises'
    name = 'vanilla, best of noises'
    yield student(name, about, direct=True, targets='recorded', truth_weight=1.0)


def _reduced(of: Variant) -> Variant:
    name = f'{of.name}, bfloat16'
    return Variant(name, 'the same weights in bfloat16', of.name, of.make, 'bfloat16')


def _change(base: DistilConfig, config: AblateConfig, changes: dict[str, Any]) -> DistilConfig:
    """Return a student's configuration with some keys changed, sections key by key."""
    content = base.model_dump()
    common: dict[str, Any] = {
        'prediction': base.prediction or 'sample',
        'bank': {'noises': config.noises, 'truth': True},  # one bank serves all that can share it
        'optimisation': {'precision': config.precision},
    }
    for key, value in (*common.items(), *changes.items()):
        content[key] = content[key] | value if isinstance(value, dict) else value
    return DistilConfig.model_validate(content)


def _with_steps(teacher: Path, steps: int, folder: Path) -> Path:
    """Write a copy of a teacher that is sampled in other steps."""
    checkpoint = load_checkpoint(teacher)
    checkpoint.header = checkpoint.header.model_copy(update={'ddim_steps': steps})
    path = folder / 'teacher.safetensors'
    checkpoint.save(path)
    return path


def _with_schedule(teacher: Header, schedule: str, train: Path, out: Path) -> Path:
    """Train a teacher as a given one was, but for the noise schedule."""
    recipe = teacher.provenance['configuration'] | {'noise_schedule': schedule}
    train_teacher(TeacherConfig.model_validate(recipe), train, out)
    return out


def _measure(
    path: Path,
    precision: Precision,
    validation: Path,
    facts: dict[str, str],
    config: AblateConfig,
    folder: Path,
) -> dict[str, Any]:
    """Evaluate a checkpoint and time it, or return what an earlier call found."""
    checkpoint = load_checkpoint(path)
    asked = config.model_dump(include={'samples', 'stride', 'batches', 'repeats'})
    causes = json.dumps([checkpoint.sha256, precision, facts['validation'], asked])
    identity = hashlib.sha256(causes.encode()).hexdigest()
    file = folder / 'evaluation.json'
    if file.is_file():
        known: dict[str, Any] = json.loads(file.read_text())
        if known['identity'] == identity:
            return known
    result = evaluate_checkpoint(
        path, validation, config.samples, config.stride, precision=precision
    )
    # A teacher's many steps are not for many people.
    batches = config.batches[: None if checkpoint.header.sampling == 'one_step' else 1]
    result['latency_ms'] = {
        str(people): _latency_ms(checkpoint, people, precision, config) for people in batches
    }
    configuration = checkpoint.header.provenance.get('configuration', {})
    result['steps'] = configuration.get('optimisation', {}).get('steps')
    if precision == 'bfloat16':
        result['bfloat16_error_cm'] = _bfloat16_error_cm(checkpoint, validation, config)
    result['identity'] = identity
    with replaced(file) as draft:
        write_json(result, draft)
    return result


def _latency_ms(
    checkpoint: Checkpoint, people: int, precision: Precision, config: AblateConfig
) -> float:
    """Return the median time of a prediction, from positions to positions."""
    predictor = predictor_of(checkpoint, config.samples, precision=precision)
    return float(np.median(time_predictions(predictor, people, WARM_UP, config.repeats)))


def _bfloat16_error_cm(
    checkpoint: Checkpoint, validation: Path, config: AblateConfig
) -> dict[str, float]:
    """Return how far joints are from where single precision puts them, for the same noise."""
    windows = model_windows(load_archive(validation), checkpoint.header, config.stride)
    chosen = np.linspace(0, len(windows) - 1, min(COMPARED, len(windows))).astype(np.int64)
    exact, rounded = (
        torch.cat([p.samples for p in predict_windows(predictor, windows.choose(chosen))])
        for predictor in (
            predictor_of(checkpoint, config.samples),
            predictor_of(checkpoint, config.samples, precision='bfloat16'),
        )
    )
    error_cm = 100 * torch.linalg.vector_norm(exact - rounded, dim=-1).numpy()
    return {
        'mean': float(error_cm.mean()),
        'p99': float(np.percentile(error_cm, 99)),
        'max': float(error_cm.max()),
    }


def _metrics(measured: dict[str, Any], row: str) -> dict[str, float]:
    return {metric: measured['rows'][row][metric] for metric in METRICS}


def _compare(row: dict[str, Any], reference: dict[str, Any], tolerance: float) -> dict[str, Any]:
    """Return how a row differs from the one that it is compared with."""
    if 'failed' in reference:
        return {'against': reference['name'], 'verdict': 'not comparable'}
    change = row['ADE'] / reference['ADE'] - 1
    verdict = 'better' if change < 0 else 'worse'
    return {
        'against': reference['name'],
        'ADE_change': change,
        'verdict': 'parity' if abs(change) <= tolerance else verdict,
    }


def _write_markdown(report: dict[str, Any], path: Path) -> None:
    """Write the report for people to read."""
    asked = report['configuration']
    student = report['student']
    about = (
        f'Teacher `{report["teacher"]}`; {report.get("windows", 0)} windows of the archive '
        f'{report["data"]["validation"]}, one every {asked["stride"]} frames, best of '
        f'{asked["samples"]} samples, metres. Students: the same network, a bank of '
        f'{student["bank"]["size"]} rows with {asked["noises"]} noises for each condition, '
        f'{student["optimisation"]["steps"]} steps of {student["optimisation"]["batch"]} in '
        f'{asked["precision"]} and one seed, {student["optimisation"]["seed"]}, unless a row says '
        f'otherwise. Parity is an ADE within {report["tolerance"]:.1%}; other seeds may differ '
        f'by more. Latencies are medians of {asked["repeats"]} predictions of so many people, '
        f'with {report["threads"]} threads where they run on a CPU.'
    )
    parts = ['# Ablations', about, ablation_table(report)]
    path.write_text('\n\n'.join(parts) + '\n')
