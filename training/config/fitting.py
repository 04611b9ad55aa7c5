"""How weights are fitted: the optimiser, and the random changes of motion (augmentation)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from motion_predictor_training.config.reading import Count, Share, Strict


class Optimisation(Strict):
    """The optimiser: AdamW or, for matrices, Muon. A moving average of the weights is kept."""

    steps: Count
    batch: Count
    """Windows per step, over all processes together."""
    accumulate: Count = 1
    """Number of parts in which a batch is computed, one after the other, to need less memory."""
    learning_rate: Annotated[float, Field(gt=0)]
    """Peak of a one-cycle schedule. With `decay_every` it is the first learning rate."""
    matrix_learning_rate: Annotated[float, Field(gt=0)] | None = None
    """The same for the matrices of a network's blocks, which Muon fits. None: AdamW fits them."""
    decay_every: Count | None = None
    """Each time after this many steps, the learning rate is multiplied by 0.8. None: one cycle."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    gradient_clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient. With None it is not limited."""
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
        """Number of rows that are computed at once."""
        return self.batch // self.accumulate


class Augmentation(Strict):
    """Random changes to the windows trained on."""

    mirror: Share = 0.5
    """Share of windows that are mirrored, with left and right joints swapped."""
    balance: Share = 0.5
    """0 draws every window equally often, 1 every kind of motion (category and pace)."""
    speed: Annotated[float, Field(ge=0, le=1)] = 0.3
    """With a value s, each window is played at 1 / (1 + s) to 1 + s times the recorded speed."""
    slow_motion: Share = 0.1
    """Share of windows that are played in slow motion, to resemble people who hardly move."""
    body_scale: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Largest relative change of each window's body size."""
    limb_scale: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Largest relative change of each bone's length. It is the same on the left and the right."""
    exchanged: Share = 0.6
    """Share of windows in which arms, or all joints above the hips, come from another window."""
    yaw_deg: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest turn about the vertical. It changes nothing for a model that aligns the heading."""
    history_noise_m: Annotated[float, Field(ge=0)] = 0.01
    """Largest standard deviation of the normal noise on observed positions. Each window draws its
    own, from 0 to this."""
    noisy: Share = 0.5
    """Share of windows with such noise."""
    sway_m: Annotated[float, Field(ge=0)] = 0.03
    """Largest sway of the whole body (root mean square). Each window draws its own, from 0 to
    this."""
    swaying: Share = 0.2
    """Share of windows that sway."""
    jump_m: Annotated[float, Field(ge=0)] = 0.1
    """Largest jump of the whole body, for a few frames. Each window draws its own, from 0 to this.
    The node itself corrects jumps that are farther than anybody can move."""
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
