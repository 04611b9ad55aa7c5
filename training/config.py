"""What each stage of training can be told, validated: the schema of config/training/*.yaml."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from motion_predictor.checkpoint import NetworkSpec, TransFusionSpec, Window
from motion_predictor.model.diffusion import NoiseSchedule
from motion_predictor.skeleton import Layout, known_layouts, read_layout

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class ConfigError(ValueError):
    """A training configuration is missing or does not hold."""


class Strict(BaseModel):
    """A section that refuses keys it does not know."""

    model_config = ConfigDict(extra='forbid', frozen=True)


def _read_layout(value: Any, info: ValidationInfo) -> Any:
    """Read a layout that is named by its file."""
    if not isinstance(value, str) or not value.endswith('.yaml'):
        return value
    beside = info.context['folder'] / value if info.context else Path(value)
    return read_layout(beside if beside.is_file() else Path(value))


LayoutChoice = Annotated[Layout | str, BeforeValidator(_read_layout)]


def layout_of(choice: Layout | str) -> Layout:
    """Return the layout that a configuration asks for.

    Raises:
        ConfigError: if there is none of this name.
    """
    if isinstance(choice, Layout):
        return choice
    if choice not in known_layouts():
        known = ', '.join(known_layouts())
        raise ConfigError(f"layout: there is no '{choice}', only {known}, or a .yaml file")
    return known_layouts()[choice]


class Optimisation(Strict):
    """How weights are fitted: AdamW or, for matrices, Muon; with an average of the weights."""

    steps: Count
    batch: Count
    """Of all processes together."""
    learning_rate: Annotated[float, Field(gt=0)]
    """The peak of a one-cycle schedule, or, where it decays stepwise, the first."""
    matrix_learning_rate: Annotated[float, Field(gt=0)] | None = None
    """The same for the matrices of a network's blocks, which Muon fits then; None: AdamW, too."""
    decay_every: Count | None = None
    """Steps after which the learning rate is multiplied by 0.8; None is one cycle."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    gradient_clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient; None leaves it alone."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.995
    precision: Literal['float32', 'bfloat16'] = 'bfloat16'
    save_every: Count = 200
    """Steps between the states that a killed run resumes from."""
    seed: Annotated[int, Field(ge=0)] = 0


class Augmentation(Strict):
    """Random changes to the windows trained on."""

    mirror: Share = 0.5
    """Share of windows that are mirrored, left and right joints swapped."""
    balance: Share = 0.5
    """0 draws every window alike, 1 every kind of motion (category and pace) equally often."""
    speed: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Largest relative change of each window's speed, up; as many are slowed down alike."""
    slow_motion: Share = 0.1
    """Share of windows that are played in slow motion, as of people who hardly move."""
    body_scale: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Largest relative change of each window's body size."""
    limb_scale: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Largest relative change of each bone's length, left and right alike."""
    exchanged: Share = 0.6
    """Share of windows in which arms, or all above the hips, move as in another window."""
    yaw_deg: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest turn about the vertical; it changes nothing where the heading is aligned."""
    history_noise_m: Annotated[float, Field(ge=0)] = 0.01
    """Observed positions get normal noise of a deviation drawn for each window from 0 to this."""
    noisy: Share = 0.5
    """Share of windows that get it."""
    sway_m: Annotated[float, Field(ge=0)] = 0.03
    """The whole body sways, in root mean square by a length drawn from 0 to this."""
    swaying: Share = 0.2
    """Share of windows that do."""
    jump_m: Annotated[float, Field(ge=0)] = 0.1
    """The whole body is thrown off for a few frames, by a length drawn from 0 to this: what jumps
    farther the node holds."""
    jumping: Share = 0.1
    """Share of windows that are."""
    slower: Share = 0.25
    """Share of windows that are observed with every second or fourth frame only."""
    hidden: Share = 0.25
    """Share of windows in which the tracker misses some joints for a while."""


class ValidationConfig(Strict):
    """How a teacher in training is measured, where an archive to do so is given."""

    every: Count = 1000
    """Steps between measurements."""
    windows: Count = 64
    """Windows, spread evenly over the archive."""
    samples: Count = 10
    """Samples a window, of which the best counts."""


class TeacherConfig(Strict):
    """The `teacher` stage."""

    name: str = 'teacher'
    layout: LayoutChoice = 'smpl22'
    """A known one, or a file: beside the configuration, or its path."""
    window: Window
    parametrisation: Literal['anchored', 'official'] = 'anchored'
    """`anchored` predicts what the future adds to going on, root included, in the person's
    heading; `official` the noise in raw coefficients of the root-relative pose, in the world's
    axes."""
    noise_schedule: NoiseSchedule = 'cosine'
    """How the noise grows with the timestep; `official` knows the cosine alone."""
    condition_drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the steps that are trained without the observed motion."""
    stride: Count = 1
    """Frames between the starts of the training windows."""
    network: TransFusionSpec
    ddim_steps: Annotated[int, Field(ge=1, le=500)]
    augmentation: Augmentation = Augmentation()
    optimisation: Optimisation
    validation: ValidationConfig = ValidationConfig()
    snr_clamp: tuple[float, float] = (0.05, 5.0)
    """Bounds of the signal-to-noise ratio by which a timestep's loss is weighted (anchored)."""

    @model_validator(mode='after')
    def _official_is_cosine(self) -> 'TeacherConfig':
        if self.parametrisation == 'official' and self.noise_schedule != 'cosine':
            raise ValueError(
                f'parametrisation official needs noise_schedule cosine, not {self.noise_schedule}'
            )
        return self


class BankConfig(Strict):
    """The results that a student learns from."""

    size: Count
    """Rows of noise, condition and result."""
    noises: Count = 1
    """Rows that share a condition, each with a noise of its own."""
    truth: bool = False
    """Whether what was recorded is kept beside the results; `truth_weight` needs it."""
    chunk: Count = 256
    """Rows computed at a time; a killed run resumes at a chunk."""
    augmentation: Augmentation = Augmentation()
    seed: Annotated[int, Field(ge=0)] = 1

    @model_validator(mode='after')
    def _holds_whole_conditions(self) -> 'BankConfig':
        for name in ('size', 'chunk'):
            if (value := getattr(self, name)) % self.noises:
                raise ValueError(f'{name} {value} is no multiple of noises {self.noises}')
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
    targets: Literal['teacher', 'recorded'] = 'teacher'
    """Learn the teacher's results or, as a baseline, what was recorded: of the teacher then only
    layout, window and, for a student of the same, scales are used."""
    loss: Literal['mse', 'kl'] = 'mse'
    """See `losses`."""
    truth_weight: Share = 0.0
    """Share of the loss that draws the nearest of a condition's samples to what was recorded."""
    bank: BankConfig
    optimisation: Optimisation

    @model_validator(mode='after')
    def _fits_itself(self) -> 'DistilConfig':
        noises, batch = self.bank.noises, self.optimisation.batch
        if batch % noises:
            raise ValueError(f'optimisation.batch {batch} is no multiple of bank.noises {noises}')
        if self.loss == 'kl' and self.targets == 'recorded':
            raise ValueError('loss kl compares spreads, and one recorded future has none')
        if self.loss == 'kl' and noises < 2:
            raise ValueError(f'loss kl needs bank.noises of 2 or more, got {noises}')
        if self.truth_weight and (noises < 2 or not self.bank.truth):
            raise ValueError(
                f'truth_weight needs bank.truth and bank.noises of 2 or more, got {noises}'
            )
        return self


class RefineConfig(Strict):
    """The `refine` stage."""

    name: str
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
    """Share of the loss that holds the futures to those of a committee, where there is one."""
    symmetric: bool = True
    """Whether every other sample is of the mirror image: better, and a sixth slower."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which the network's activations are left out."""
    stride: Count = 1
    """Frames between the starts of the training windows."""
    augmentation: Augmentation = Augmentation()
    optimisation: Optimisation


class AblateConfig(Strict):
    """The `ablate` command; what it trains is configured as the stages are."""

    noises: Annotated[int, Field(ge=2)] = 8
    """Noises for each condition in the students' banks; KL and the truth term need several."""
    precision: Literal['float32', 'bfloat16'] = 'float32'
    """In which students are trained; bfloat16 alone would decide against epsilon."""
    truth_weight: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Weight of the truth term where it is tried."""
    ddim_steps: tuple[Annotated[int, Field(ge=1, le=500)], ...] = (5, 10, 20)
    """Denoising steps at which the teacher is measured."""
    noise_schedules: tuple[str, ...] = ('linear',)
    """With which the teacher is trained anew, all else as it was."""
    networks: dict[str, NetworkSpec] = {}
    """Other students' networks, by the names of their rows."""
    seeds: Count = 3
    """Seeds of the noises of every row, and of the training of every student."""
    samples: Count = 50
    stride: Count = 30
    """Frames between the starts of the windows measured."""
    batches: tuple[Count, ...] = (1, 8, 32)
    """People at once whose prediction is timed."""
    repeats: Count = 20
    """Predictions timed for each of them; the median counts."""
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Relative difference of ADE that does not matter: parity, if the interval is within it."""


class CalibrationConfig(Strict):
    """The `calibrate` stage."""

    coverages: Annotated[list[Probability], Field(min_length=1)] = [0.9, 0.95, 0.99, 0.999]
    """Those of them that the data carries are calibrated."""
    stride: Count = 10
    windows_per_person: Count = 300
    held_out: list[str] = []
    """Subjects of the archives trained on whom the network was not trained on."""
    samples: Annotated[list[Count], Field(min_length=1)] = [50, 32, 16, 8]
    """Numbers of samples per person, each with sets of its own."""
    speeds: list[Annotated[float, Field(gt=0)]] = [0.3, 1.0, 2.0]
    """m/s, that part the groups of a joint's own speed."""
    body_speeds: list[Annotated[float, Field(gt=0)]] = [0.5, 1.0, 2.0]
    """m/s, that part the groups of the fastest joint's speed, for the whole body."""
    paces: list[Annotated[float, Field(gt=0)]] = [0.6]
    """m/s, that part the groups of the root's speed, each of which gets a margin of its own."""
    not_told_apart: list[str] = []
    """Subjects that are several people: of what is familiar they are left out clip by clip."""
    folds: Annotated[int, Field(ge=2, le=100)] = 6
    """People are left out in so many lots."""
    steps: Count = 100
    """Of the fit of the expected error."""


Number = int | float


class Dimension(Strict):
    """The values that one key of a student's configuration may take in a search."""

    low: Number | None = None
    high: Number | None = None
    """The bounds, both included."""
    log: bool = False
    """Whether factors count, not differences."""
    choices: Annotated[tuple[Number | str, ...], Field(min_length=2)] | None = None
    """Instead of bounds."""

    @model_validator(mode='after')
    def _is_a_range_or_a_choice(self) -> 'Dimension':
        bounds = (self.low, self.high)
        if (self.choices is None) == (bounds == (None, None)):
            raise ValueError('give either low and high, or choices')
        if self.choices is not None:
            if self.log:
                raise ValueError('log goes with low and high')
            if len(set(self.choices)) < len(self.choices):
                raise ValueError('a choice is there twice')
            return self
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError('low must lie below high')
        if self.log and self.low <= 0:
            raise ValueError('low must be positive where log is true')
        return self


class LatencyConfig(Strict):
    """How the latency of one prediction is measured, on the machine that measures it."""

    device: str = 'cpu'
    backend: Literal['eager', 'compiled', 'cuda_graph', 'tensorrt'] = 'eager'
    """How the network runs, as the node's parameter of this name. To compile a student takes about
    a minute, in its trial and once more in the end."""
    threads: Count = 1
    """CPU threads of the network, as the node's parameter of this name."""
    samples: Annotated[int, Field(ge=1, le=1000)] = 50
    """Samples of the one person predicted."""
    warmup: Count = 10
    """Predictions before the first that is timed."""
    predictions: Count = 100
    gap_s: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Pause between predictions: a robot waits for its tracker, and caches cool down."""


class TrialValidation(Strict):
    """How the accuracy of a trial is measured on validation data."""

    samples: Annotated[int, Field(ge=1, le=1000)] = 50
    """S of best of S."""
    stride: Count = 30
    """Frames between the starts of windows."""


class TuneConfig(Strict):
    """The `tune` stage."""

    base: DistilConfig
    """What the trials vary; in YAML also the name of a file beside this one."""
    space: Annotated[dict[str, Dimension], Field(min_length=1)]
    """By key of the base, such as `network.layers`."""
    search: Literal['gaussian_process', 'random'] = 'gaussian_process'
    """`random` spreads all trials over the space: what a search is to be compared with."""
    trials: Count
    initial_trials: Count
    """Trials spread over the space before the search learns from what they found."""
    steps: Count
    """Training steps of a trial; the products get back those of the base."""
    seed: Annotated[int, Field(ge=0)] = 0
    latency_budget_ms: Annotated[float, Field(gt=0)]
    """Of the median. A student that never keeps it is not trained."""
    accuracy_loss: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """Share of the least ADE by which that of the balance product may be greater."""
    latency: LatencyConfig = LatencyConfig()
    validation: TrialValidation = TrialValidation()

    @field_validator('base')
    @classmethod
    def _shares_the_bank(cls, base: DistilConfig) -> DistilConfig:
        if base.layout is not None or base.window is not None or base.targets != 'teacher':
            raise ValueError(
                'a search is for students of their teacher, on its layout and window; layout and '
                'window must be null, and targets must be teacher'
            )
        return base

    @field_validator('base', mode='before')
    @classmethod
    def _read_base(cls, base: Any, info: ValidationInfo) -> Any:
        if isinstance(base, str) and info.context is not None:
            return load_config(DistilConfig, info.context['folder'] / base, [])
        return base


Config = TypeVar('Config', bound=BaseModel)


def load_config(schema: type[Config], path: Path, overrides: list[str]) -> Config:
    """Read a YAML file and apply `key.subkey=value` overrides to it.

    Raises:
        ConfigError: in one sentence, naming the key that is unknown or wrong.
    """
    try:
        content: dict[str, Any] = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f'cannot read the configuration {path}: {error}') from error
    for override in overrides:
        key, separator, value = override.partition('=')
        if not separator:
            raise ConfigError(f'an override reads key=value, got {override!r}')
        *sections, last = key.split('.')
        target = content
        try:
            for section in sections:
                if target.get(section) is None:  # not there, or null
                    target[section] = {}
                target = target[section]
            target[last] = yaml.safe_load(value)
        except (AttributeError, TypeError, yaml.YAMLError) as error:
            raise ConfigError(f'cannot apply the override {override!r}: {error}') from error
    try:
        return schema.model_validate(content, context={'folder': path.parent})
    except ValidationError as error:
        problems = '; '.join(map(_problem, error.errors()))
        raise ConfigError(f'{path} does not hold: {problems}') from error


def _problem(error: ErrorDetails) -> str:
    place = '.'.join(map(str, error['loc']))
    if error['type'] == 'value_error':  # ours: it says what was got, and the input is a section
        return ': '.join(filter(None, (place, str(error['ctx']['error']))))
    return f'{place}: {error["msg"]}, got {error["input"]!r}'
