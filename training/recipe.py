"""Runs recipes: files that list all stages from motion to a calibrated, measured checkpoint."""

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
    """One stage, as it is written in a recipe."""

    kind: Kind
    config: str | None = None
    """Configuration of the stage: a file beside the recipe, or the name of a shipped one. With
    None, it is the configuration that ships for this kind of stage."""
    after: str | None = None
    """Name of the stage that this stage continues from. With None, it is the previous stage."""
    committee: list[str] = []
    """Names of further stages, from whose students this stage learns as well."""
    set: dict[str, Any] = {}
    """Changes to the configuration of the stage, by key, such as `optimisation.steps`."""


class Recipe(Strict):
    """A recipe: the stages that make a checkpoint, in order."""

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
    """A stage of a recipe with its loaded configuration, ready to run."""

    name: str
    """Name of the stage. It is the kind, with a number for all but the first stage of this kind:
    refine, refine-2, ..."""
    kind: Kind
    config: Any
    after: str | None
    """Name of the stage that this stage continues from, or None for the teacher."""
    committee: Sequence[str] = ()
    """Names of further stages, from whose students this stage learns as well."""


@dataclass(frozen=True)
class Archives:
    """The motion archives of a recipe: for training, validation, calibration and test."""

    train: Path
    validation: Path
    """Archive on which the teacher is measured during training, and to which the spread of the
    samples is fitted."""
    calibration: Sequence[Path] = field(default=())
    """Archives to calibrate on, besides the training archive. If empty, the validation archive is
    used."""
    test: Path | None = None
    """Archive on which the finished checkpoint is measured."""

    def facts(self) -> dict[str, Any]:
        """Return the fingerprint and the people of every archive, for each use (such as `train`).

        Raises:
            ConfigError: if a person occurs in archives for different uses.
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
    """Read the stages of a recipe, and load the configuration of each stage.

    Other settings of a recipe are read by `load_recipe`.

    Args:
        path: file of the recipe.
        overrides: changes to configurations, as `STAGE.KEY=VALUE`. STAGE is the name of one stage,
            or a kind of stage. With a kind, every stage of this kind is changed.
        direct: whether to leave out the stage `one-step`.

    Raises:
        ConfigError: if the recipe, a configuration or an override is invalid. The error message
            says what is wrong.
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
    """Read a recipe without loading the configurations of its stages.

    Raises:
        ConfigError: if the recipe is invalid. The error message says what is wrong.
    """
    return load_config(Recipe, path, [])


def make(
    stages: Sequence[Stage], measurement: Measurement, archives: Archives, folder: Path
) -> dict[str, Any]:
    """Run every stage of a recipe that is not done yet.

    After an interruption, call this function again with the same arguments to continue. The
    checkpoint of each stage is written to the folder under the name of the stage. The calibrated
    checkpoint is `predictor.safetensors`. The file `records.json` contains the configurations, the
    commit, the fingerprints and the people of the archives, the seeds, and the minutes that each
    stage took. If there is a test archive, `records.json` also contains the main figures, and
    `evaluation.json` contains all figures.

    Returns:
        The content of `records.json`.
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
    """Whether `out` exists and is `parent`, calibrated with this configuration and data."""
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
