"""Settings of the commands that compare variants."""

from typing import Annotated, Literal

from pydantic import Field

from motion_predictor.checkpoint import NetworkSpec
from motion_predictor.model.diffusion import NOISE_STEPS, Grid, NoiseSchedule
from motion_predictor_training.config.measurement import Measurement
from motion_predictor_training.config.reading import Count

Steps = Annotated[int, Field(ge=1, le=500)]


class ComparisonConfig(Measurement):
    """How variants are measured and compared."""

    seeds: Count = 3
    """Seeds of the noises of every row, and of the training of every student."""
    batches: tuple[Count, ...] = (1, 8, 32)
    """Numbers of people for which predictions are timed."""
    repeats: Count = 20
    """Number of timed predictions for each of them; the median is reported."""
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Relative difference of ADE that does not matter: parity, if the interval is within it."""


class AblateConfig(ComparisonConfig):
    """The `ablate` command; what it trains is configured as the stages are."""

    noises: Annotated[int, Field(ge=2)] = 8
    """Noises for each condition in the students' banks; KL and the truth term need several."""
    precision: Literal['float32', 'bfloat16'] = 'float32'
    """Precision of the training of students. With bfloat16, epsilon would lose for that reason
    alone."""
    truth_weight: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Weight of the truth term where it is tried."""
    ddim_steps: tuple[Steps, ...] = (5, 10, 20)
    """Denoising steps at which the teacher is measured."""
    noise_schedules: tuple[NoiseSchedule, ...] = ('linear',)
    """Noise schedules for which the teacher is trained again; all else is the same."""
    networks: dict[str, NetworkSpec] = {}
    """Other students' networks, by the names of their rows."""


class SensitivityConfig(ComparisonConfig):
    """The `sensitivity` command; what it trains is configured as the stages are."""

    ddim_steps: tuple[Steps, ...] = (2, 5, 10, 20, 50)
    """Denoising steps of the teacher, with each of the grids."""
    grids: tuple[Grid, ...] = ('leading', 'trailing')
    noise_schedules: tuple[NoiseSchedule, ...] = ('linear',)
    """Noise schedules for which the teacher is trained again; all else is the same."""
    timesteps: tuple[Annotated[int, Field(ge=1, lt=NOISE_STEPS)], ...] = (501, 801, 951, 999)
    """From which a one-step teacher starts; a student's network is told of no timestep."""
    bank_sizes: tuple[Count, ...] = (6400, 12800, 25600, 51200)
    """Rows of the student's bank."""
    noises: tuple[Count, ...] = (2, 4, 8)
    """Rows that share a condition, of as many rows in all."""
