"""Settings of the stages that learn: teacher, one-step, student, refine."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from motion_predictor.checkpoint import NetworkSpec, TransFusionSpec, Window
from motion_predictor.model.diffusion import NOISE_STEPS, Grid, NoiseSchedule
from motion_predictor_training.config.fitting import Augmentation, Fitting, Optimisation
from motion_predictor_training.config.reading import Count, Share, Strict
from motion_predictor_training.config.skeleton import LayoutChoice


class ValidationConfig(Strict):
    """How a teacher is measured during training, if an archive is given for that."""

    every: Count = 1000
    """Steps between measurements."""
    windows: Count = 64
    """Windows, spread evenly over the archive."""
    samples: Count = 10
    """Samples a window, of which the best counts."""


class TeacherConfig(Fitting):
    """The `teacher` stage."""

    name: str = 'teacher'
    layout: LayoutChoice = 'smpl22'
    """A known one, or a file: beside the configuration, or its path."""
    window: Window
    parametrisation: Literal['anchored', 'official'] = 'anchored'
    """`anchored` predicts the difference from going on, with the root, in the person's heading.
    `official` predicts the noise in raw coefficients of the root-relative pose, in the axes of
    the world."""
    noise_schedule: NoiseSchedule = 'cosine'
    """How the noise grows with the timestep; `official` needs `cosine`."""
    condition_drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the steps that are trained without the observed motion."""
    network: TransFusionSpec
    ddim_steps: Annotated[int, Field(ge=1, le=500)]
    ddim_grid: Grid = 'leading'
    """`leading` as published; `trailing` starts where no motion is left (arXiv 2305.08891)."""
    validation: ValidationConfig = ValidationConfig()
    snr_clamp: tuple[float, float] = (0.05, 5.0)
    """Bounds of the signal-to-noise ratio by which a timestep's loss is weighted (anchored)."""

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
    """The teacher's results, from which a student learns."""

    size: Count
    """Rows of noise, condition and result."""
    noises: Count = 1
    """Rows that share a condition, each with a noise of its own."""
    truth: bool = False
    """Whether recorded futures are kept beside the results; `truth_weight` needs it."""
    chunk: Count = 256
    """Rows computed at a time; an interrupted run resumes at a chunk."""
    augmentation: Augmentation = Augmentation()
    seed: Annotated[int, Field(ge=0)] = 1

    @model_validator(mode='after')
    def _holds_whole_conditions(self) -> 'BankConfig':
        for name in ('size', 'chunk'):
            if (value := getattr(self, name)) % self.noises:
                raise ValueError(f'{name} {value} must be a multiple of noises {self.noises}')
        return self


class DistilConfig(Strict):
    """The `one-step` and `student` stages."""

    name: str
    network: NetworkSpec | None = None
    """The student's; left out, it is the teacher's and starts from the teacher's weights."""
    layout: LayoutChoice | None = None
    """Skeleton of the student; left out, it is the teacher's."""
    window: Window | None = None
    """Rate and lengths of the student; left out, they are the teacher's."""
    prediction: Literal['sample', 'epsilon'] | None = None
    """What the student returns: the clean coefficients, or the noise that implies them; left out,
    what its teacher does."""
    timestep: Annotated[int, Field(ge=1, lt=NOISE_STEPS)] | None = None
    """Diffusion timestep that the single step starts from; left out, where its teacher's sampling
    starts. It tells TransFusion how much noise there is, and what an epsilon implies."""
    targets: Literal['teacher', 'recorded'] = 'teacher'
    """Learn the teacher's results or, as a baseline, recorded futures. In the latter case only
    the layout, the window and, for a student of the same layout, the scales of the teacher are
    used."""
    loss: Literal['mse', 'kl'] = 'mse'
    """See `losses`."""
    truth_weight: Share = 0.0
    """Share of the loss between the nearest sample of a condition and the recorded future."""
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
    """The `refine` stage."""

    objective: Literal['energy', 'nearest']
    """`energy` is a proper score of all futures, `nearest` the error of the one that fits best."""
    samples: Annotated[int, Field(ge=2, le=1000)]
    """Futures of each window that are compared with what was recorded."""
    mean_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the error of the mean of the samples."""
    body_weight: Annotated[float, Field(ge=0)] = 0.3
    """Weight of the score of the whole body beside that of single joints (energy)."""
    final_weight: Annotated[float, Field(ge=0)] = 0.3
    """Weight of the last frame beside the average over all (nearest)."""
    committee_weight: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the loss that compares the futures with those of a committee, if there is one."""
    branch_layers: Count | None = None
    """Blocks that a shared trunk's branch keeps, the first ones: it is run for every sample. None
    keeps all of them."""
    quiet_m_per_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Speed of a person's joints at which half of what the network adds to going on counts."""
    symmetric: bool = True
    """Whether every other sample is of the mirror image. That is better, and a sixth slower."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout of the network during training."""
