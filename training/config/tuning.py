"""Settings of the `tune` stage."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from motion_predictor_training.config.measurement import Measurement
from motion_predictor_training.config.reading import Count, Strict, load_config
from motion_predictor_training.config.stages import DistilConfig

Number = int | float
Score = Literal['energy', 'ADE']


class Dimension(Strict):
    """The values that one key of a student's configuration may take in a search."""

    low: Number | None = None
    high: Number | None = None
    """The bounds, both included."""
    log: bool = False
    """Whether values are spread evenly on a logarithmic scale."""
    choices: Annotated[tuple[Number | str, ...], Field(min_length=2)] | None = None
    """Values to choose from, instead of bounds."""

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
    """How the latency of one prediction is measured, on the machine that `tune` runs on."""

    device: str = 'cpu'
    backend: Literal['eager', 'compiled', 'cuda_graph', 'tensorrt'] = 'eager'
    """How the network runs, like the node's parameter of this name. Compiling a student takes
    about a minute, in its trial and again at the end."""
    threads: Count = 1
    """CPU threads of the network, like the node's parameter of this name."""
    samples: Annotated[int, Field(ge=1, le=1000)] = 50
    """Number of samples. One person is predicted."""
    warmup: Count = 10
    """Number of predictions before the first one that is timed."""
    predictions: Count = 100
    gap_s: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Pause between predictions: a robot waits for its tracker, and caches cool down."""


class Pruning(Strict):
    """Stops a trial early if it is worse than most earlier trials were after as many steps.

    This is the median rule (Golovin et al. 2017, Google Vizier, 3.2.2).
    """

    at: Annotated[float, Field(gt=0, lt=1)] = 0.33
    """Share of a trial's steps after which it is measured."""
    after: Count = 5
    """Number of first trials that are never stopped: there is nothing to compare them with yet."""


class TuneConfig(Strict):
    """The `tune` stage."""

    base: DistilConfig
    """Configuration that the trials vary. In YAML it may be the name of a file beside this one."""
    space: Annotated[dict[str, Dimension], Field(min_length=1)]
    """Values to try, by the key of the base, such as `network.layers`."""
    search: Literal['gaussian_process', 'random'] = 'gaussian_process'
    """`random` spreads all trials over the space, for comparison with the search."""
    trials: Count
    initial_trials: Count
    """Number of first trials, spread over the space. The search learns from their results."""
    steps: Count
    """Training steps of a trial. The products are trained for as many steps as the base says."""
    score: Score = 'energy'
    """How accuracy is measured, in metres. `energy` is the energy score of the pose in the world,
    which `refine` uses for robots, too. `ADE` is that of the best sample, as usual in papers."""
    pruning: Pruning | None = None
    """How bad trials are stopped early. None: all trials are trained to the end."""
    seed: Annotated[int, Field(ge=0)] = 0
    latency_budget_ms: Annotated[float, Field(gt=0)]
    """Limit of the median latency. A student is not trained if all its predictions exceed it."""
    accuracy_loss: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """The score of the balance product may exceed the least score by this share of it."""
    latency: LatencyConfig = LatencyConfig()
    validation: Measurement = Measurement()
    """Windows of the validation data on which the accuracy of a trial is measured."""

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
