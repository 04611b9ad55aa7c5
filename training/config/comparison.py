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
    """Number of seeds. Each seed draws other noise, and trains every student once more."""
    batches: tuple[Count, ...] = (1, 8, 32)
    """Numbers of people for which predictions are timed."""
    repeats: Count = 20
    """Number of timed predictions for each number of people. The median is reported."""
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """A smaller relative difference of ADE does not matter. Parity: the interval is within it."""


class AblateConfig(ComparisonConfig):
    """The `ablate` command. The configurations of the stages say how its variants are trained."""

    noises: Annotated[int, Field(ge=2)] = 8
    """Noises for each condition in the students' banks; KL and the truth term need several."""
    precision: Literal['float32', 'bfloat16'] = 'float32'
    """Precision in which students are trained. In bfloat16 a student that predicts epsilon would
    be worse because of the precision alone."""
    truth_weight: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Weight of the truth term in the variant that has one."""
    ddim_steps: tuple[Steps, ...] = (5, 10, 20)
    """Denoising steps at which the teacher is measured."""
    noise_schedules: tuple[NoiseSchedule, ...] = ('linear',)
    """Noise schedules for which the teacher is trained again; all else is the same."""
    networks: dict[str, NetworkSpec] = {}
    """Networks of further students, by the names of their rows."""


class SensitivityConfig(ComparisonConfig):
    """The `sensitivity` command. The configurations of the stages say how variants are trained."""

    ddim_steps: tuple[Steps, ...] = (2, 5, 10, 20, 50)
    """Denoising steps of the teacher. Each is combined with each of the grids."""
    grids: tuple[Grid, ...] = ('leading', 'trailing')
    noise_schedules: tuple[NoiseSchedule, ...] = ('linear',)
    """Noise schedules for which the teacher is trained again; all else is the same."""
    timesteps: tuple[Annotated[int, Field(ge=1, lt=NOISE_STEPS)], ...] = (501, 801, 951, 999)
    """Timesteps that a one-step teacher starts from. A student's network has no timestep as input,
    so these are not tried with students."""
    bank_sizes: tuple[Count, ...] = (6400, 12800, 25600, 51200)
    """Numbers of rows in the student's bank."""
    noises: tuple[Count, ...] = (2, 4, 8)
    """Numbers of rows that share a condition. The number of rows in all stays the same."""
