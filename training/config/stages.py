"""Schemas of the settings of the training stages: teacher, one-step, student, refine."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from motion_predictor.checkpoint import NetworkSpec, TransFusionSpec, Window
from motion_predictor.model.diffusion import NOISE_STEPS, Grid, NoiseSchedule
from motion_predictor_training.config.fitting import Augmentation, Fitting, Optimisation
from motion_predictor_training.config.reading import Count, Share, Strict
from motion_predictor_training.config.skeleton import LayoutChoice


class ValidationConfig(Strict):
    """Settings of the measurements of a teacher during training.

    The teacher is measured only if a validation archive is given.
    """

    every: Count = 1000
    """Number of steps between measurements."""
    windows: Count = 64
    """Number of windows to measure on, spread evenly over the archive."""
    samples: Count = 10
    """Number of samples per window. The best sample counts."""


class TeacherConfig(Fitting):
    """Settings of the `teacher` stage."""

    name: str = 'teacher'
    layout: LayoutChoice = 'smpl22'
    """Name of a known layout, or path of a layout file. A relative path may start at the folder of
    the configuration."""
    window: Window
    parametrisation: Literal['anchored', 'official'] = 'anchored'
    """`anchored` predicts the offset from a base line, on which the observed motion continues. The
    root is included, and the axes follow the heading of the person. `official` predicts the noise
    in the raw coefficients of the root-relative pose, in world axes."""
    noise_schedule: NoiseSchedule = 'cosine'
    """How the noise grows with the timestep. The parametrisation `official` needs `cosine`."""
    condition_drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of training steps in which the network does not get the observed motion."""
    network: TransFusionSpec
    ddim_steps: Annotated[int, Field(ge=1, le=500)]
    ddim_grid: Grid = 'leading'
    """Timesteps of the DDIM sampling. `leading` is as published, `trailing` starts from pure noise
    (arXiv 2305.08891)."""
    validation: ValidationConfig = ValidationConfig()
    snr_clamp: tuple[float, float] = (0.05, 5.0)
    """Bounds of the weight of a timestep in the loss. The weight is the signal-to-noise ratio of
    the timestep. Only `anchored` uses these weights."""

    @model_validator(mode='after')
    def _official_is_cosine(self) -> 'TeacherConfig':
        if self.parametrisation == 'official' and self.noise_schedule != 'cosine':
            raise ValueError(
                f'parametrisation official needs noise_schedule cosine, not {self.noise_schedule}'
            )
        if self.parametrisation == 'official' and self.ddim_grid != 'leading':
            raise ValueError(
                f'parametrisation official needs ddim_grid leading, not {self.ddim_grid}'
            )
        return self


class BankConfig(Strict):
    """Settings of a bank, the stored training examples of a student."""

    size: Count
    """Number of rows in the bank. Each row has a noise, a condition and a result."""
    noises: Count = 1
    """Number of rows with the same condition, each with another noise."""
    truth: bool = False
    """Whether the bank also keeps the recorded futures. `truth_weight` needs them."""
    chunk: Count = 256
    """Number of rows that are computed at a time. An interrupted run resumes after the last whole
    chunk of rows."""
    augmentation: Augmentation = Augmentation()
    seed: Annotated[int, Field(ge=0)] = 1

    @model_validator(mode='after')
    def _holds_whole_conditions(self) -> 'BankConfig':
        for name in ('size', 'chunk'):
            if (value := getattr(self, name)) % self.noises:
                raise ValueError(f'{name} {value} must be a multiple of noises {self.noises}')
        return self


class DistilConfig(Strict):
    """Settings of the `one-step` and `student` stages."""

    name: str
    network: NetworkSpec | None = None
    """Network of the student. If left out, the student gets the teacher's network and starts with
    the weights of the teacher."""
    layout: LayoutChoice | None = None
    """Layout (skeleton) of the student. If left out, the student gets the teacher's layout."""
    window: Window | None = None
    """Frame rate and lengths of the student's windows. If left out, the student gets the teacher's
    window."""
    prediction: Literal['sample', 'epsilon'] | None = None
    """What the student predicts: clean coefficients (`sample`) or the noise in them (`epsilon`).
    If left out, the student predicts the same as the teacher."""
    timestep: Annotated[int, Field(ge=1, lt=NOISE_STEPS)] | None = None
    """Diffusion timestep at which the single step starts. If left out, it is the timestep at which
    the teacher's sampling starts. The timestep is an input of a TransFusion. It also determines
    how clean coefficients follow from a predicted epsilon."""
    targets: Literal['teacher', 'recorded'] = 'teacher'
    """Whether the student learns the teacher's results or, as a baseline, recorded futures. With
    `recorded`, the student takes only layout and window from the teacher, and also the scales if
    both have the same layout and window."""
    loss: Literal['mse', 'kl'] = 'mse'
    """Loss against the targets. `mse` is the mean square error. `kl` is the divergence of fitted
    normal distributions. The module `losses` describes both."""
    truth_weight: Share = 0.0
    """Weight, from 0 to 1, of the loss that compares the nearest sample with the recorded
    future."""
    bank: BankConfig
    optimisation: Optimisation

    @model_validator(mode='after')
    def _fits_itself(self) -> 'DistilConfig':
        noises, rows = self.bank.noises, self.optimisation.at_once
        if rows % noises:
            raise ValueError(
                f'optimisation.batch / optimisation.accumulate is {rows}, but must be a '
                f'multiple of bank.noises {noises}'
            )
        if self.loss == 'kl' and self.targets == 'recorded':
            raise ValueError(
                'loss kl does not work with targets recorded: a single recorded future has no '
                'spread'
            )
        if self.loss == 'kl' and noises < 2:
            raise ValueError(f'loss kl needs bank.noises of 2 or more, got {noises}')
        if self.truth_weight and (noises < 2 or not self.bank.truth):
            raise ValueError(
                f'truth_weight needs bank.truth and bank.noises of 2 or more, got {noises}'
            )
        return self


class RefineConfig(Fitting):
    """Settings of the `refine` stage."""

    objective: Literal['energy', 'nearest']
    """What the refinement minimises. `energy` is a proper score of all samples. `nearest` is the
    error of the best sample."""
    samples: Annotated[int, Field(ge=2, le=1000)]
    """Number of samples per window that are compared with the recorded future."""
    mean_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the error of the samples' mean."""
    body_weight: Annotated[float, Field(ge=0)] = 0.3
    """Weight of the whole body's energy score, relative to the score of single joints. Only the
    objective `energy` uses it."""
    final_weight: Annotated[float, Field(ge=0)] = 0.3
    """Weight of the last frame's error, relative to the average over all frames. Only the
    objective `nearest` uses it."""
    committee_weight: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Weight, from 0 to 1, of the loss that compares the samples with a committee's futures."""
    branch_layers: Count | None = None
    """Number of blocks that the branch of a shared-trunk network keeps, counted from the first.
    Fewer blocks are faster, because the branch runs for every sample. None keeps all blocks."""
    quiet_m_per_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Average speed of the joints at which only half of the network's mean offset is added to the
    base line, m/s. For slower people, less is added. With 0, the whole offset is always added."""
    symmetric: bool = True
    """Whether every second sample is predicted from the mirrored history, and then mirrored back.
    This is more accurate, and a sixth slower."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate of the network during training."""
