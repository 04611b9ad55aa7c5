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
    """Number of steps between measurements."""
    windows: Count = 64
    """Number of windows, spread evenly over the archive."""
    samples: Count = 10
    """Number of samples per window. The best one counts."""


class TeacherConfig(Fitting):
    """The `teacher` stage."""

    name: str = 'teacher'
    layout: LayoutChoice = 'smpl22'
    """Name of a known layout, or path of a file, which may be relative to the configuration."""
    window: Window
    parametrisation: Literal['anchored', 'official'] = 'anchored'
    """`anchored` predicts the difference from a base line, on which the observed motion goes on.
    The root is included, and the axes follow the heading of the person. `official` predicts the
    noise in the raw coefficients of the root-relative pose, in the axes of the world."""
    noise_schedule: NoiseSchedule = 'cosine'
    """How the noise grows with the timestep. `official` needs `cosine`."""
    condition_drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the steps that are trained without the observed motion."""
    network: TransFusionSpec
    ddim_steps: Annotated[int, Field(ge=1, le=500)]
    ddim_grid: Grid = 'leading'
    """`leading`: as published. `trailing`: starts from pure noise (arXiv 2305.08891)."""
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
    """Number of rows. Each holds a noise, a condition and the result."""
    noises: Count = 1
    """Number of rows that share a condition, each with a noise of its own."""
    truth: bool = False
    """Whether recorded futures are kept beside the results. `truth_weight` needs them."""
    chunk: Count = 256
    """Number of rows computed at a time. An interrupted run resumes after the last whole chunk."""
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
    """Network of the student. If left out, it is the teacher's, and starts from its weights."""
    layout: LayoutChoice | None = None
    """Skeleton of the student. If left out, it is the teacher's."""
    window: Window | None = None
    """Rate and lengths of the student's windows. If left out, they are the teacher's."""
    prediction: Literal['sample', 'epsilon'] | None = None
    """What the student returns: the clean coefficients, or the noise from which they follow. If
    left out, it returns what its teacher returns."""
    timestep: Annotated[int, Field(ge=1, lt=NOISE_STEPS)] | None = None
    """Diffusion timestep that the single step starts from. If left out, it is the one that the
    teacher's sampling starts from. It is an input of TransFusion, and says how clean coefficients
    follow from an epsilon."""
    targets: Literal['teacher', 'recorded'] = 'teacher'
    """The student learns the teacher's results or, as a baseline, recorded futures. For recorded
    futures, only the teacher's layout and window are used, and its scales if the student has the
    same layout."""
    loss: Literal['mse', 'kl'] = 'mse'
    """The loss, see `losses`."""
    truth_weight: Share = 0.0
    """Share of the loss that compares the recorded future with the nearest sample."""
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
    """`energy` is a proper score of all futures. `nearest` is the error of the best future."""
    samples: Annotated[int, Field(ge=2, le=1000)]
    """Number of futures per window that are compared with the recorded one."""
    mean_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the error of the mean of the samples."""
    body_weight: Annotated[float, Field(ge=0)] = 0.3
    """Weight of the score of the whole body, relative to that of single joints (`energy`)."""
    final_weight: Annotated[float, Field(ge=0)] = 0.3
    """Weight of the last frame, relative to the average over all frames (`nearest`)."""
    committee_weight: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the loss that compares the futures with those of a committee, if there is one."""
    branch_layers: Count | None = None
    """Number of blocks that the branch of a shared trunk keeps, counted from the first. The branch
    runs for every sample. None keeps all blocks."""
    quiet_m_per_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Average speed of the joints at which half of the mean that the network adds to the base line
    counts. It counts less for slower people. With 0 it always counts fully."""
    symmetric: bool = True
    """Whether every other sample is predicted from the mirrored history and mirrored back. That
    is more accurate, and a sixth slower."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout of the network during training."""
