"""The variants: the same training, one part changed at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from motion_predictor.checkpoint import Header, load_checkpoint
from motion_predictor_training.config import AblateConfig, DistilConfig, TeacherConfig
from motion_predictor_training.learning.distill import distil
from motion_predictor_training.learning.teacher import train_teacher
from motion_predictor_training.predicting.multi_step import Precision


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
    make: Callable[[int], Path]
    """Trains what is not trained yet with the seed of this number, and returns the checkpoint."""
    precision: Precision = 'float32'

    @property
    def folder(self) -> str:
        """What its folder is called."""
        return self.name.replace(',', '').replace(' ', '-')


def plan(
    config: AblateConfig, stages: Stages, train: Path, out: Path, teacher: Path
) -> Iterator[Variant]:
    """Yield the variants; the ones compared with come first."""
    header = load_checkpoint(teacher).header
    own_steps = header.ddim_steps
    yield Variant('teacher', f'{own_steps} denoising steps', None, lambda _: teacher)
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

    def first_stage(seed: int) -> Path:
        one_step = out / 'one-step' / _of_seed(seed, 'one-step')
        distil(_reseeded(stages.one_step, seed), teacher, train, one_step)
        return one_step

    def student(name: str, about: str, direct: bool = False, **changes: Any) -> Variant:
        def make(seed: int) -> Path:
            student = out / variant.folder / _of_seed(seed, 'student')
            changed = _change(stages.student, config, changes | {'name': variant.folder})
            parent = teacher if direct else first_stage(0)  # so that all learn from one bank
            source = changes.get('targets', 'teacher' if direct else 'one-step')
            distil(_reseeded(changed, seed), parent, train, student, out / 'banks' / source)
            return student

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
    for name, network in config.networks.items():
        yield student(name, f'another network: {network.kind}', network=network)


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


def _with_steps(teacher: Path, steps: int, folder: Path, _: int) -> Path:
    """Write a copy of a teacher that is sampled in other steps."""
    checkpoint = load_checkpoint(teacher)
    checkpoint.header = checkpoint.header.model_copy(update={'ddim_steps': steps})
    path = folder / 'teacher.safetensors'
    checkpoint.save(path)
    return path


def _with_schedule(teacher: Header, schedule: str, train: Path, out: Path, _: int) -> Path:
    """Train a teacher as a given one was, but for the noise schedule."""
    recipe = teacher.provenance['configuration'] | {'noise_schedule': schedule}
    train_teacher(TeacherConfig.model_validate(recipe), train, out)
    return out


def _of_seed(seed: int, name: str) -> Path:
    return Path(f'seed-{seed}', f'{name}.safetensors')


def _reseeded(config: DistilConfig, seed: int) -> DistilConfig:
    """Return it with the seed of this number: first weights, batches and dropout differ."""
    settings = config.optimisation
    changed = settings.model_copy(update={'seed': settings.seed + 1000 * seed})
    return config.model_copy(update={'optimisation': changed})
