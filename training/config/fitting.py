"""Schemas of the settings that training stages share: optimiser and augmentation."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from motion_predictor_training.config.reading import Count, Share, Strict


class Optimisation(Strict):
    """Settings of the optimiser.

    AdamW trains all weights. With `matrix_learning_rate`, Muon trains the matrices instead. The
    result of the training is a moving average of the weights.
    """

    steps: Count
    batch: Count
    """Number of windows per training step, of all processes together."""
    accumulate: Count = 1
    """Number of parts of a batch that are computed one after the other. More parts need less
    memory."""
    learning_rate: Annotated[float, Field(gt=0)]
    """Peak learning rate of the one-cycle schedule. With `decay_every` it is the initial learning
    rate."""
    matrix_learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Learning rate of Muon, which trains the matrices of the network's blocks. With None, AdamW
    trains these matrices, too."""
    decay_every: Count | None = None
    """Number of steps after which the learning rate is multiplied by 0.8, again and again. With
    None, the one-cycle schedule is used."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    gradient_clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient. Longer gradients are scaled down. With None, the norm is not
    limited."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.995
    precision: Literal['float32', 'bfloat16'] = 'bfloat16'
    save_every: Count = 200
    """Number of steps between saved training states, from which an interrupted run resumes."""
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
        """Number of examples of a batch that are computed at the same time."""
        return self.batch // self.accumulate


class Augmentation(Strict):
    """Settings of the random changes to training windows."""

    mirror: Share = 0.5
    """Share of windows that are mirrored, with left and right joints swapped."""
    balance: Share = 0.5
    """With 0, every window is drawn equally often. With 1, every kind of motion (category and
    pace) is drawn equally often."""
    speed: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Largest change of speed s. Each window is played at 1 / (1 + s) to 1 + s times the recorded
    speed."""
    slow_motion: Share = 0.1
    """Share of windows that are played in slow motion, to imitate people who hardly move."""
    body_scale: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Largest relative change of the size of the body in a window."""
    limb_scale: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Largest relative change of the length of a bone. Left and right bones change equally."""
    exchanged: Share = 0.6
    """Share of windows in which arms, or all joints above the hips, are replaced by those of
    another window."""
    yaw_deg: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest rotation of a window about the vertical axis, degrees. It has no effect on a model
    that aligns the heading."""
    history_noise_m: Annotated[float, Field(ge=0)] = 0.01
    """Largest standard deviation of normal noise on observed positions, metres. Each noisy window
    has a random standard deviation from 0 to this."""
    noisy: Share = 0.5
    """Share of windows with normal noise on observed positions."""
    sway_m: Annotated[float, Field(ge=0)] = 0.03
    """Largest sway of the whole body (root mean square, metres). A sway is a slowly varying error
    of the position. Each swaying window has a random sway from 0 to this."""
    swaying: Share = 0.2
    """Share of windows in which the whole body sways."""
    jump_m: Annotated[float, Field(ge=0)] = 0.1
    """Largest jump of the whole body, metres. A jump is an error of the position in a few frames.
    Each jumping window has a random jump from 0 to this. The node itself corrects jumps that are
    farther than anybody can move."""
    jumping: Share = 0.1
    """Share of windows in which the whole body jumps."""
    slower: Share = 0.25
    """Share of windows in which only every second or fourth frame is observed."""
    hidden: Share = 0.25
    """Share of windows in which some joints are hidden for a while."""


class Fitting(Strict):
    """Settings of every stage that trains directly on recorded motion."""

    name: str
    stride: Count = 1
    """Number of frames between the starts of training windows."""
    augmentation: Augmentation = Augmentation()
    optimisation: Optimisation
