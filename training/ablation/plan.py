"""Lists the variants of the ablations: the same training with one part changed."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from motion_predictor.checkpoint import load_checkpoint
from motion_predictor_training.ablation.variant import (
    Stages,
    Variant,
    changed,
    of_seed,
    reseeded,
    with_schedule,
    with_steps,
)
from motion_predictor_training.config import AblateConfig, DistilConfig
from motion_predictor_training.learning.distill import distil


def plan(
    config: AblateConfig,
    stages: Stages,
    train: Path,
    out: Path,
    teacher: Path,
    given_one_step: Path | None = None,
) -> Iterator[Variant]:
    """Yield all variants, each of them after the variant that it is compared with."""
    header = load_checkpoint(teacher).header
    own_steps = header.ddim_steps
    yield Variant('teacher', f'{own_steps} denoising steps', None, lambda _: teacher)
    for steps in config.ddim_steps:
        if steps != own_steps:
            folder = out / f'teacher-{steps}-steps'
            make = partial(with_steps, teacher, steps, header.ddim_grid, folder)
            name, about = f'teacher, {steps} steps', f'{steps} denoising steps'
            yield Variant(name, about, 'teacher', make)
    for schedule in config.noise_schedules:
        path = out / f'teacher-{schedule}' / 'teacher.safetensors'
        make = partial(with_schedule, header, schedule, train, path)
        about = f'trained anew with {schedule} noise'
        yield Variant(f'teacher, {schedule} schedule', about, 'teacher', make)

    def first_stage(seed: int) -> Path:
        if given_one_step is not None:
            return given_one_step
        one_step = out / 'one-step' / of_seed(seed, 'one-step')
        distil(reseeded(stages.one_step, seed), teacher, train, one_step)
        return one_step

    def student(name: str, about: str, direct: bool = False, **changes: Any) -> Variant:
        def make(seed: int) -> Path:
            student = out / variant.folder / of_seed(seed, 'student')
            settings = _change(stages.student, config, changes | {'name': variant.folder})
            # Students of all seeds learn from the one-step model of seed 0. So these students
            # can share one bank (stored training examples).
            parent = teacher if direct else first_stage(0)
            source = changes.get('targets', 'teacher' if direct else 'one-step')
            distil(reseeded(settings, seed), parent, train, student, out / 'banks' / source)
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
    """Return `base` with the settings that all variants share, and then with `changes`."""
    common: dict[str, Any] = {
        'prediction': base.prediction or 'sample',
        # With the same settings for all students, variants can share a bank of training examples.
        'bank': {'noises': config.noises, 'truth': True},
        'optimisation': {'precision': config.precision},
    }
    return changed(changed(base, common), changes)
