"""Repeats the published training on the published data, and compares the figures.

All figures are computed by the published protocol.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import load_checkpoint
from motion_predictor.common.terminal import say
from motion_predictor_training.config import (
    Augmentation,
    ConfigError,
    DistilConfig,
    TeacherConfig,
    load_config,
)
from motion_predictor_training.data.importers.amass import import_amass
from motion_predictor_training.data.importers.human36m import import_human36m
from motion_predictor_training.evaluation.evaluate import evaluate_checkpoint
from motion_predictor_training.evaluation.report.writing import write_json, write_text
from motion_predictor_training.learning.distill import distil
from motion_predictor_training.learning.official import PRESETS, import_official
from motion_predictor_training.learning.provenance import versions
from motion_predictor_training.learning.teacher import train_teacher
from motion_predictor_training.shipped import shipped_configuration

STAGES = ('teacher', 'one-step', 'student')
METRICS = ('APD', 'ADE', 'FDE', 'MMADE', 'MMFDE')
Figures = tuple[float, float, float, float, float]


@dataclass(frozen=True)
class Benchmark:
    """A data set, and the protocol of its published results (arXiv 2307.16106, section 4)."""

    stride: int
    """Number of frames between the starts of test windows."""
    threshold_m: float
    """Distance of the last observed poses of two windows below which MMADE and MMFDE count each
    future as a true future of the other window, too."""
    train: tuple[str, ...] | None = None
    """Subjects to train on. None stands for all subjects in the training file."""
    test: tuple[str, ...] | None = None
    """Subjects to measure on. None stands for all subjects in the test file."""
    published: tuple[tuple[str, Figures], ...] = ()
    """Published figures, one row per method, in the order of METRICS. The row of zero velocity is
    computed again here: if it agrees, data and protocol are the published ones."""


BENCHMARKS = {
    'h36m': Benchmark(
        stride=25,
        threshold_m=0.5,
        train=('S1', 'S5', 'S6', 'S7', 'S8'),
        test=('S9', 'S11'),
        published=(
            ('TransFusion', (5.975, 0.358, 0.468, 0.506, 0.539)),
            ('zero velocity', (0.0, 0.597, 0.884, 0.683, 0.909)),
        ),
    ),
    'amass': Benchmark(
        stride=150,
        threshold_m=0.4,
        published=(('zero velocity', (0.0, 0.755, 0.992, 0.814, 1.015)),),
    ),
}


def reproduce(
    name: str,
    sources: Sequence[Path],
    out: Path,
    weights: Path | None,
    overrides: dict[str, list[str]],
    samples: int = 50,
) -> str:
    """Prepare the data, train or import a teacher, distil the teacher twice, measure all models.

    After an interruption, call this function again with the same arguments to continue. The
    results are written to `reproduction.json` and `reproduction.md`.

    Args:
        name: name of the benchmark, `h36m` or `amass`. The preset with this name in
            `official.PRESETS` has the published network sizes.
        sources: paths of the downloaded files data_3d_h36m.npz, or data_3d_amass.npz and
            data_3d_amass_test.npz.
        out: folder for the results.
        weights: file of the authors' TransFusion weights (.pt), used as the teacher. If `weights`
            is None, a TransFusion is trained, which takes days on one GPU.
        overrides: changes to the configurations, `KEY=VALUE`, by stage.
        samples: number of samples per window, S of "best of S".

    Returns:
        A table with our figures and the published figures.

    Raises:
        ConfigError: if the number of sources does not fit the benchmark.
        ArchiveError: if a source file cannot be used.
    """
    benchmark, preset = BENCHMARKS[name], PRESETS[name]
    train, test = _prepared(name, benchmark, sources, out)
    teacher = out / 'teacher.safetensors'
    if weights is not None:
        given = {
            key: int(value) for key, _, value in (o.partition('=') for o in overrides['teacher'])
        }
        import_official('transfusion', weights, name, sampling='ddim', **given).save(teacher)
    else:
        path = shipped_configuration(f'transfusion-{name}')
        train_teacher(load_config(TeacherConfig, path, overrides['teacher']), train, teacher)
    taught = _in_steps(teacher, preset.ddim_steps, out / 'teacher-distilled.safetensors')
    one_step, student = (out / f'{stage}.safetensors' for stage in ('one-step', 'student'))
    distil(_student('one-step', None, overrides['one-step']), taught, train, one_step)
    network = {
        'kind': 'swiftdiff',
        'layers': preset.swiftdiff_layers,
        'width': preset.swiftdiff_width,
    }
    distil(_student('swiftdiff', network, overrides['student']), one_step, train, student)
    rows: dict[str, dict[str, Any]] = {}
    for row, path in (
        (f'TransFusion, {load_checkpoint(teacher).header.ddim_steps} steps', teacher),
        (f'TransFusion, {preset.ddim_steps} steps', taught),
        ('TransFusion, one step', one_step),
        ('SwiftDiff', student),
    ):
        found = evaluate_checkpoint(path, test, samples, benchmark.stride, benchmark.threshold_m)
        rows[row] = {
            'checkpoint': found['checkpoint'],
            'windows': found['windows'],
            'figures': {m: found['rows']['model'][m] for m in METRICS},
            'intervals': {m: found['intervals']['model'][m] for m in METRICS},
        }
    zero = {m: found['rows']['zero_velocity'][m] for m in METRICS}
    rows['zero velocity'] = {'windows': found['windows'], 'figures': zero}
    result = {
        'benchmark': name,
        'protocol': {'stride': benchmark.stride, 'multimodal_threshold_m': benchmark.threshold_m},
        'samples': samples,
        'data': {path.stem: load_archive(path).fingerprint for path in (train, test)},
        'rows': rows,
        'published': {row: dict(zip(METRICS, v, strict=True)) for row, v in benchmark.published},
        'versions': versions(),
    }
    write_json(result, out / 'reproduction.json')
    text = table(result)
    write_text(f'# {name}\n\n{text}\n', out / 'reproduction.md')
    return text


def table(result: dict[str, Any]) -> str:
    """Return a table of our and published figures, and whether data and protocol agree."""
    lines = [
        [row, *(f'{found["figures"][metric]:.3f}' for metric in METRICS)]
        for row, found in result['rows'].items()
    ]
    lines += [
        [f'{row}, published', *(f'{figures[metric]:.3f}' for metric in METRICS)]
        for row, figures in result['published'].items()
    ]
    ours, theirs = result['rows']['zero velocity']['figures'], result['published']['zero velocity']
    off = max(abs(ours[metric] - theirs[metric]) for metric in METRICS)
    windows = result['rows']['zero velocity']['windows']
    verdict = (
        f'Zero velocity agrees with the publication to {off:.3f} m, so data and protocol '
        'are the same.'
        if off < 0.005
        else (
            f'Zero velocity differs from the publication by up to {off:.3f} m, so the data are '
            'not the same.'
        )
    )
    head = ['', *METRICS]
    text = tabulate(lines, head, tablefmt='github', disable_numparse=True)
    return f'{text}\n\n{windows} windows, best of {result["samples"]}, metres. {verdict}'


def _prepared(
    name: str, benchmark: Benchmark, sources: Sequence[Path], out: Path
) -> tuple[Path, Path]:
    """Make the archives for training and testing from the downloaded files; return their paths."""
    train, test = out / 'train.npz', out / 'test.npz'
    wanted = 1 if name == 'h36m' else 2
    if len(sources) != wanted:
        raise ConfigError(f'{name} needs {wanted} files as --source, got {len(sources)}')
    for path, source, subjects in (
        (train, sources[0], benchmark.train),
        (test, sources[-1], benchmark.test),
    ):
        if path.is_file():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        say((import_human36m if name == 'h36m' else import_amass)(source, subjects, path))
    return train, test


def _in_steps(teacher: Path, steps: int, path: Path) -> Path:
    """Write a copy of a teacher that samples with another number of denoising steps."""
    checkpoint = load_checkpoint(teacher)
    checkpoint.header = checkpoint.header.model_copy(update={'ddim_steps': steps})
    checkpoint.save(path)
    return path


def _student(stage: str, network: dict[str, Any] | None, overrides: list[str]) -> DistilConfig:
    """Return the configuration of a distillation stage without augmentation, as published."""
    nothing = dict.fromkeys(Augmentation.model_fields, 0.0)
    wanted = [f'bank.augmentation.{field}={value}' for field, value in nothing.items()]
    wanted += [f'network.{key}={value}' for key, value in (network or {}).items()]
    return load_config(DistilConfig, shipped_configuration(stage), [*wanted, *overrides])
