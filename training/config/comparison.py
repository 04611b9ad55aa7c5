"""Schemas of the settings of `ablate` and `sensitivity`, which compare variants."""

from typing import Annotated, Literal

from pydantic import Field

from motion_predictor.checkpoint import NetworkSpec
from motion_predictor.model.diffusion import NOISE_STEPS, Grid, NoiseSchedule
from motion_predictor_training.config.measurement import Measurement
from motion_predictor_training.config.reading import Count

Steps = Annotated[int, Field(ge=1, le=500)]


class ComparisonConfig(Measurement):
    """Settings that say how variants are measured and compared."""

    seeds: Count = 3
    """Number of seeds. For each seed, every student is trained again and samples get other
    noise."""
    batches: tuple[Count, ...] = (1, 8, 32)
    """Numbers of people per prediction for which latency is measured."""
    repeats: Count = 20
    """Number of timed predictions for each number of people. The median time is reported."""
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Greatest relative difference of ADE that does not matter. Two variants have parity if the
    whole confidence interval of their difference is within it."""


class AblateConfig(ComparisonConfig):
    """Settings of the `ablate` command.

    How the variants are trained is set in other files: the configurations of the training stages.
    """

    noises: Annotated[int, Field(ge=2)] = 8
    """Number of noises per condition in the students' banks. The variants with the KL loss and
    with the truth term need several."""
    precision: Literal['float32', 'bfloat16'] = 'float32'
    """Numeric precision in which students are trained. In bfloat16, a student that predicts
    epsilon would be worse only because of rounding."""
    truth_weight: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Weight of the truth term (loss against recorded futures) in the variant that uses it."""
    ddim_steps: tuple[Steps, ...] = (5, 10, 20)
    """Numbers of denoising steps with which the teacher is measured."""
    noise_schedules: tuple[NoiseSchedule, ...] = ('linear',)
    """Noise schedules with which the teacher is trained again. All other settings stay the
    same."""
    networks: dict[str, NetworkSpec] = {}
    """Networks of further students, by the names of their rows in the report."""


class SensitivityConfig(ComparisonConfig):
    """Settings of the `sensitivity` command.

    How the variants are trained is set in other files: the configurations of the training stages.
    """

    ddim_steps: tuple[Steps, ...] = (2, 5, 10, 20, 50)
    """Numbers of denoising steps of the teacher. Each number is combined with each of `grids`."""
    grids: tuple[Grid, ...] = ('leading', 'trailing')
    noise_schedules: tuple[NoiseSchedule, ...] = ('linear',)
    """Noise schedules with which the teacher is trained again. All other settings stay the
    same."""
    timesteps: tuple[Annotated[int, Field(ge=1, lt=NOISE_STEPS)], ...] = (501, 801, 951, 999)
    """Start timesteps that are tried with one-step TransFusions. They are not tried with students,
    because the network of a student does not have the timestep as an input."""
    bank_sizes: tuple[Count, ...] = (6400, 12800, 25600, 51200)
    """Numbers of rows in the student's bank that are tried."""
    noises: tuple[Count, ...] = (2, 4, 8)
    """Numbers of noises per condition that are tried. The total number of rows in the bank stays
    the same."""
