"""Recipes: the stages from motion to a calibrated and measured checkpoint, in one file."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, Field, field_validator

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, load_checkpoint
from motion_predictor.common.terminal import say
from motion_predictor_training.calibration.calibrate import calibrate
from motion_predictor_training.config import (
    CalibrationConfig,
    ConfigError,
    DistilConfig,
    Measurement,
    RefineConfig,
    Strict,
    TeacherConfig,
    load_config,
)
from motion_predictor_training.data.split import require_apart
from motion_predictor_training.evaluation.evaluate import evaluate_checkpoint
from motion_predictor_training.evaluation.report.writing import write_json
from motion_predictor_training.files import replaced
from motion_predictor_training.learning.distill import distil
from motion_predictor_training.learning.parallel import is_first
from motion_predictor_training.learning.provenance import versions
from motion_predictor_training.learning.refine import refine
from motion_predictor_training.learning.teacher import train_teacher
from motion_predictor_training.records import Records
from motion_predictor_training.shipped import configuration_file

Kind = Literal['teacher', 'one-step', 'student', 'refine', 'calibrate']
SCHEMAS: dict[Kind, type[BaseModel]] = {
    'teacher': TeacherConfig,
    'one-step': DistilConfig,
    'student': DistilConfig,
    'refine': RefineConfig,
    'calibrate': CalibrationConfig,
}
PRODUCT = 'predictor.safetensors'


class Step(Strict):
    """One stage of a recipe."""

    kind: Kind
    config: str | None = None
    """Configuration: a file beside the recipe, or the name of one that ships. None: the one that
    ships for the kind."""
    after: str | None = None
    """Name of the stage that it continues from. None: the previous stage."""
    committee: list[str] = []
    """Names of further stages, whose students it learns from as well."""
    set: dict[str, Any] = {}
    """Changes to the configuration, by key, such as `optimisation.steps`."""


class Recipe(Strict):
    """The stages that make a checkpoint, in their order."""

    stages: list[Step] = Field(min_length=2)
    evaluate: Measurement = Measurement()
    """How the finished checkpoint is measured."""

    @field_validator('stages')
    @classmethod
    def _begins_and_ends(cls, stages: list[Step]) -> list[Step]:
        kinds = [stage.kind for stage in stages]
        if kinds[0] != 'teacher' or kinds[-1] != 'calibrate':
            raise ValueError('stages must begin with teacher and end with calibrate')
        if kinds.count('teacher') > 1 or kinds.count('calibrate') > 1:
            raise ValueError('teacher and calibrate must each appear once')
        return stages


@dataclass(frozen=True)
class Stage:
    """A stage that is ready to run."""

    name: str
    """The kind. The second stage of a kind also has its number, and so on: refine, refine-2."""
    kind: Kind
    config: Any
    after: str | None
    """Name of the stage that it continues from. None for the teacher."""
    committee: Sequence[str] = ()
    """Names of further stages, whose students it learns from as well."""


@dataclass(frozen=True)
class Archives:
    """Motion archives by their use."""

    train: Path
    validation: Path
    """The teacher is measured on it during training. The spread of the samples is fitted to it."""
    calibration: Sequence[Path] = field(default=())
    """Archives to calibrate on, besides the one trained on. Empty: the validation archive."""
    test: Path | None = None
    """Archive on which the finished checkpoint is measured."""

    def facts(self) -> dict[str, Any]:
        """Return the fingerprint and the people of each archive, by use.

        Raises:
            ConfigError: if somebody has two uses, see `data.split`.
        """
        given = {'train': [self.train], 'validation': [self.validation]}
        given |= {'calibration': list(self.calibration), 'test': [self.test] if self.test else []}
        facts = {}
        for use, paths in given.items():
            archives = [load_archive(path) for path in paths]
            facts[use] = [
                {'fingerprint': archive.fingerprint, 'people': sorted(set(archive.subjects))}
                for archive in archives
            ]
        require_apart(
            {
                use: [name for archive in archives for name in archive['people']]
                for use, archives in facts.items()
            }
        )
        return facts


def read_recipe(path: Path, overrides: Sequence[str] = (), direct: bool = False) -> list[Stage]:
    """Read the stages of a recipe with their configurations.

    `load_recipe` reads the rest of it.

    Args:
        path: file of the recipe.
        overrides: `STAGE.KEY=VALUE`. A kind as STAGE stands for every stage of that kind.
        direct: whether to leave out the stage `one-step`.

    Raises:
        ConfigError: if the recipe, a configuration or an override is invalid. The message says
            what is wrong.
    """
    stages: list[Stage] = []
    steps = [s for s in load_recipe(path).stages if not (direct and s.kind == 'one-step')]
    kinds: list[Kind] = []
    for step in steps:
        kinds.append(step.kind)
        number = kinds.count(step.kind)
        name = step.kind if number == 1 else f'{step.kind}-{number}'
        wanted = [f'{key}={json.dumps(value)}' for key, value in step.set.items()]
        for override in overrides:
            stage, _, rest = override.partition('.')
            if stage in (name, step.kind):
                wanted.append(rest)
        file = configuration_file(step.config or step.kind, path.parent)
        before = [stage.name for stage in stages]
        after = step.after or (before[-1] if before else None)
        if direct and after == 'one-step':
            after = 'teacher'
        for other in (*([after] if after else []), *step.committee):
            if other not in before:
                raise ConfigError(
                    f'the stage {name} needs the stage {other} before it, but before it are '
                    f'only {before}'
                )
        config = load_config(SCHEMAS[step.kind], file, wanted)
        stages.append(Stage(name, step.kind, config, after, step.committee))
    known = sorted({*kinds, *(stage.name for stage in stages)})
    for override in overrides:
        if override.partition('.')[0] not in known:
            raise ConfigError(
                f'an override must begin with one of {", ".join(known)}, got {override!r}'
            )
    return stages


def load_recipe(path: Path) -> Recipe:
    """Read a recipe as it is written, without the configurations of its stages.

    Raises:
        ConfigError: if the recipe is invalid. The message says what is wrong.
    """
    return load_config(Recipe, path, [])


def make(
    stages: Sequence[Stage], measurement: Measurement, archives: Archives, folder: Path
) -> dict[str, Any]:
    """Run every stage that is not done yet. After an interruption, the same call continues.

    The checkpoint of each stage is written to the folder under the name of the stage. The finished
    checkpoint is `predictor.safetensors`. `records.json` holds the configurations, the commit,
    the fingerprints and people of the data, seeds and minutes. With a test archive, it also holds
    the main figures, and `evaluation.json` holds all figures.

    Returns:
        The records.
    """
    records = Records(folder / 'records.json')
    records.put(versions=versions(), data=archives.facts(), threads=torch.get_num_threads())
    for stage in stages:
        with records.stage(stage.name, stage.config.model_dump(mode='json')):
            _run(stage, archives, folder)
    if archives.test is not None and is_first():
        _evaluate(folder / PRODUCT, archives.test, measurement, folder, records)
    return records.content


def _run(stage: Stage, archives: Archives, folder: Path) -> None:
    train, validation, config = archives.train, archives.validation, stage.config
    out = folder / (PRODUCT if stage.kind == 'calibrate' else f'{stage.name}.safetensors')
    parent = folder / f'{stage.after}.safetensors'
    committee = [folder / f'{name}.safetensors' for name in stage.committee]
    runs: dict[Kind, Callable[[], object]] = {
        'teacher': lambda: train_teacher(config, train, out, validation_path=validation),
        'one-step': lambda: distil(config, parent, train, out),
        'student': lambda: distil(config, parent, train, out),
        'refine': lambda: refine(config, parent, train, out, validation, committee),
        'calibrate': lambda: _calibrate(config, archives, parent, out),
    }
    runs[stage.kind]()


def _calibrate(config: CalibrationConfig, archives: Archives, parent: Path, out: Path) -> None:
    others = archives.calibration or [archives.validation]
    if not is_first() or _calibrated(out, load_checkpoint(parent), others, config):
        return
    say(calibrate(config, parent, others, [archives.train], out))


def _calibrated(
    out: Path, parent: Checkpoint, others: Sequence[Path], config: CalibrationConfig
) -> bool:
    """Whether `out` already holds the parent, calibrated like this."""
    if not out.is_file():
        return False
    found = load_checkpoint(out).header.provenance
    asked = config.model_dump(mode='json')
    asked['data'] = [load_archive(path).fingerprint for path in others]
    return (
        found.get('identity') == parent.header.provenance['identity']
        and asked.items() <= found['calibration'].items()
    )


def _evaluate(
    product: Path, test: Path, measurement: Measurement, folder: Path, records: Records
) -> None:
    began = time.monotonic()
    result = evaluate_checkpoint(product, test, measurement.samples, measurement.stride)
    with replaced(folder / 'evaluation.json') as draft:
        write_json(result, draft)
    shown = ('checkpoint', 'archive', 'windows', 'clips', 'rows', 'intervals', 'people')
    figures = {name: result[name] for name in (*shown, 'coverage') if name in result}
    records.put(
        evaluation=figures
        | {**measurement.model_dump(), 'minutes': round((time.monotonic() - began) / 60, 2)}
    )
