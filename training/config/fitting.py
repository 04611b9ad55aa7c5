"""How weights are fitted, and to what: the optimiser, and the random changes of motion."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from motion_predictor_training.config.reading import Count, Share, Strict


class Optimisation(Strict):
    """How weights are fitted: AdamW or, for matrices, Muon; with an average of the weights."""

    steps: Count
    batch: Count
    """Windows of a step, of all processes together."""
    accumulate: Count = 1
    """Parts that a batch is computed in, one after the other, where it does not fit the memory."""
    learning_rate: Annotated[float, Field(gt=0)]
    """The peak of a one-cycle schedule, or, where it decays stepwise, the first."""
    matrix_learning_rate: Annotated[float, Field(gt=0)] | None = None
    """The same for the matrices of a network's blocks, with Muon; None: AdamW for these, too."""
    decay_every: Count | None = None
    """Steps after which the learning rate is multiplied by 0.8; None is one cycle."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    gradient_clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient; None leaves it alone."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.995
    precision: Literal['float32', 'bfloat16'] = 'bfloat16'
    save_every: Count = 200
    """Steps between saved states, from which an interrupted run resumes."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode='after')
    def _has_equal_parts(self) -> 'Optimisation':
        if self.batch % self.accumulate:
            raise ValueError(
                f'batch {self.batch} must be a multiple of accumulate {self.accumulate}'
            )
        return self

    @property
    def at_once(self) -> int:
        """Rows that are computed at once."""
        return self.batch // self.accumulate


class Augmentation(Strict):
    """Random changes to the windows trained on."""

    mirror: Share = 0.5
    """Share of windows that are mirrored, left and right joints swapped."""
    balance: Share = 0.5
    """0 draws every window equally often, 1 every kind of motion (category and pace)."""
    speed: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Largest relative increase of each window's speed; as many are slowed down by the same
    factors."""
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
    """Share of windows with such noise."""
    sway_m: Annotated[float, Field(ge=0)] = 0.03
    """The whole body sways, in root mean square by a length drawn from 0 to this."""
    swaying: Share = 0.2
    """Share of windows that sway."""
    jump_m: Annotated[float, Field(ge=0)] = 0.1
    """The whole body jumps for a few frames, by a length drawn from 0 to this. The node holds
    bodies that jump farther."""
    jumping: Share = 0.1
    """Share of windows with such a jump."""
    slower: Share = 0.25
    """Share of windows that are observed with every second or fourth frame only."""
    hidden: Share = 0.25
    """Share of windows in which the tracker misses some joints for a while."""


class Fitting(Strict):
    """How weights are fitted to recorded motion: the settings that the stages share."""

    name: str
    stride: Count = 1
    """Frames between the starts of the training windows."""
    augmentation: Augmentation = Augmentation()
    optimisation: Optimisation
