"""Describes a variant: a model that is trained and measured for one row of a report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motion_predictor.checkpoint import Header, load_checkpoint
from motion_predictor.model.diffusion import Grid, NoiseSchedule
from motion_predictor_training.config import DistilConfig, TeacherConfig
from motion_predictor_training.learning.teacher import train_teacher
from motion_predictor_training.predicting.multi_step import Precision


@dataclass(frozen=True)
class Stages:
    """Configurations of the training stages, before a variant changes them."""

    teacher: TeacherConfig
    one_step: DistilConfig
    student: DistilConfig


@dataclass(frozen=True)
class Variant:
    """One variant of the training, which becomes one row of a report."""

    name: str
    about: str
    against: str | None
    """Name of the variant that this variant is compared with. Both differ in one part."""
    make: Callable[[int], Path]
    """Function that takes the number of a seed, trains the variant if it is not trained yet, and
    returns the checkpoint."""
    precision: Precision = 'float32'
    facts: Mapping[str, str | int] = field(default_factory=dict)
    """Further entries of the variant's row in a report."""

    @property
    def folder(self) -> str:
        """Name of the folder for the variant's files."""
        return self.name.replace(',', '').replace(' ', '-')


def with_steps(teacher: Path, steps: int, grid: Grid, folder: Path, _: int = 0) -> Path:
    """Write a copy of a teacher with another number of denoising steps and another step grid."""
    checkpoint = load_checkpoint(teacher)
    checkpoint.header = checkpoint.header.model_copy(
        update={'ddim_steps': steps, 'ddim_grid': grid}
    )
    path = folder / 'teacher.safetensors'
    checkpoint.save(path)
    return path


def with_schedule(
    teacher: Header, schedule: NoiseSchedule, train: Path, out: Path, _: int = 0
) -> Path:
    """Train a teacher with the settings of a given teacher, but with another noise schedule."""
    recipe = teacher.provenance['configuration'] | {'noise_schedule': schedule}
    train_teacher(TeacherConfig.model_validate(recipe), train, out)
    return out


def of_seed(seed: int, name: str) -> Path:
    return Path(f'seed-{seed}', f'{name}.safetensors')


def reseeded(config: DistilConfig, seed: int) -> DistilConfig:
    """Return a configuration with another seed, for initial weights, batches and dropout.

    Args:
        config: configuration to change.
        seed: number of the seed. 0 keeps the seed of the configuration.
    """
    settings = config.optimisation
    changed = settings.model_copy(update={'seed': settings.seed + 1000 * seed})
    return config.model_copy(update={'optimisation': changed})


def changed(base: DistilConfig, changes: Mapping[str, Any]) -> DistilConfig:
    """Return a student's configuration with some keys changed.

    A change may be a section, such as `optimisation`, with only some of its keys. The other keys
    of the section keep their values.
    """
    content = base.model_dump()
    for key, value in changes.items():
        content[key] = content[key] | value if isinstance(value, dict) else value
    return DistilConfig.model_validate(content)
