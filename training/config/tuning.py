"""Schemas of the settings of the `tune` command."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from motion_predictor_training.config.measurement import Measurement
from motion_predictor_training.config.reading import Count, Strict, load_config
from motion_predictor_training.config.stages import DistilConfig

Number = int | float
Score = Literal['energy', 'ADE']


class Dimension(Strict):
    """One dimension of a search space: the values that a configuration key may take."""

    low: Number | None = None
    high: Number | None = None
    """Greatest value. Both bounds, `low` and `high`, belong to the range."""
    log: bool = False
    """Whether values between the bounds are drawn evenly on a logarithmic scale."""
    choices: Annotated[tuple[Number | str, ...], Field(min_length=2)] | None = None
    """Values to choose from, instead of a range with bounds."""

    @model_validator(mode='after')
    def _is_a_range_or_a_choice(self) -> 'Dimension':
        bounds = (self.low, self.high)
        if (self.choices is None) == (bounds == (None, None)):
            raise ValueError('give either low and high, or choices')
        if self.choices is not None:
            if self.log:
                raise ValueError('log needs low and high')
            if len(set(self.choices)) < len(self.choices):
                raise ValueError('choices must be different')
            return self
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError('low must lie below high')
        if self.log and self.low <= 0:
            raise ValueError('low must be positive where log is true')
        return self


class LatencyConfig(Strict):
    """Settings that say how `tune` measures the latency on the machine that runs it."""

    device: str = 'cpu'
    backend: Literal['eager', 'compiled', 'cuda_graph', 'tensorrt'] = 'eager'
    """How the network runs, like the node's parameter `backend`. With `compiled`, the compilation
    of a student takes about a minute, once in its trial and once at the end."""
    threads: Count = 1
    """Number of CPU threads of the network, like the node's parameter `threads`."""
    samples: Annotated[int, Field(ge=1, le=1000)] = 50
    """Number of samples per prediction. Each prediction is for one person."""
    warmup: Count = 10
    """Number of predictions that are made before the timed predictions."""
    predictions: Count = 100
    gap_s: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Pause before each prediction, seconds. On a robot there are such pauses as well, because it
    waits for its tracker, and the caches of the CPU cool down."""


class Pruning(Strict):
    """Settings of pruning, which stops a trial early if it is worse than most earlier trials.

    Pruning uses the median rule (Golovin et al. 2017, Google Vizier, 3.2.2), which compares trials
    after the same number of steps.
    """

    at: Annotated[float, Field(gt=0, lt=1)] = 0.33
    """Share of a trial's training steps after which the early score of the trial is measured."""
    after: Count = 5
    """Number of early scores that are needed before a trial can be stopped."""


class TuneConfig(Strict):
    """Settings of the `tune` command."""

    base: DistilConfig
    """Configuration of the student, which the trials vary. In YAML it may be the name of a file in
    the same folder."""
    space: Annotated[dict[str, Dimension], Field(min_length=1)]
    """Search space: the values to try for each key of `base`, such as `network.layers`."""
    search: Literal['gaussian_process', 'random'] = 'gaussian_process'
    """How trials are proposed. `random` spreads all trials over the space at random, as a
    baseline."""
    trials: Count
    initial_trials: Count
    """Number of first trials, which are spread evenly over the space. The search learns from their
    results."""
    steps: Count
    """Number of training steps of each trial. The products are later trained for the number of
    steps in `base`."""
    score: Score = 'energy'
    """Error that measures accuracy, in metres. `energy` is the energy score of the pose in the
    world, which `refine` minimises, too. `ADE` is the error of the best sample, as usual in
    papers."""
    pruning: Pruning | None = None
    """How bad trials are stopped early. With None, all trials are trained to the end."""
    seed: Annotated[int, Field(ge=0)] = 0
    latency_budget_ms: Annotated[float, Field(gt=0)]
    """Limit of the median latency of the products, milliseconds. A student is not trained if even
    its fastest prediction takes longer."""
    accuracy_loss: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """Share by which the score of the product `balance` may exceed the lowest score."""
    latency: LatencyConfig = LatencyConfig()
    validation: Measurement = Measurement()
    """Windows of the validation archive on which the score of a trial is measured."""

    @field_validator('base')
    @classmethod
    def _shares_the_bank(cls, base: DistilConfig) -> DistilConfig:
        if base.layout is not None or base.window is not None or base.targets != 'teacher':
            raise ValueError(
                'tune trains students of the teacher on its own layout and window: layout '
                'and window must be null, and targets must be teacher'
            )
        return base

    @field_validator('base', mode='before')
    @classmethod
    def _read_base(cls, base: Any, info: ValidationInfo) -> Any:
        if isinstance(base, str) and info.context is not None:
            return load_config(DistilConfig, info.context['folder'] / base, [])
        return base
