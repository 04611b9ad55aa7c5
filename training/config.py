"""What each stage of training can be told, validated: the schema of config/training/*.yaml."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from motion_predictor.checkpoint import NetworkSpec, TransFusionSpec, Window

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class ConfigError(ValueError):
    """A training configuration is missing or does not hold."""


class Strict(BaseModel):
    """A section that refuses keys it does not know."""

    model_config = ConfigDict(extra='forbid', frozen=True)


class Optimisation(Strict):
    """How weights are fitted: AdamW on a one-cycle schedule, with an average of the weights."""

    steps: Count
    batch: Count
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.995
    precision: Literal['float32', 'bfloat16'] = 'bfloat16'
    save_every: Count = 200
    """Steps between the states that a killed run resumes from."""
    seed: Annotated[int, Field(ge=0)] = 0


class Augmentation(Strict):
    """Random changes to the windows trained on."""

    mirror: Share = 0.5
    """Share of windows that are mirrored, left and right joints swapped."""
    speed: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Largest relative change of each window's speed."""
    body_scale: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Largest relative change of each window's body size."""
    limb_scale: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Largest relative change of each bone's length, left and right alike."""
    yaw_deg: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest turn about the vertical; it changes nothing where the heading is aligned."""
    history_noise_m: Annotated[float, Field(ge=0)] = 0.01
    """Each window's observed positions get normal noise of a deviation drawn from 0 to this."""
    slower: Share = 0.25
    """Share of windows that are observed with every second or fourth frame only."""
    hidden: Share = 0.25
    """Share of windows in which the tracker misses some joints for a while."""


class TeacherConfig(Strict):
    """The `teacher` stage."""

    name: str = 'teacher'
    layout: str = 'smpl22'
    window: Window
    stride: Count = 1
    """Frames between the starts of the training windows."""
    network: TransFusionSpec
    ddim_steps: Annotated[int, Field(ge=1, le=500)]
    augmentation: Augmentation = Augmentation()
    optimisation: Optimisation
    snr_clamp: tuple[float, float] = (0.05, 5.0)
    """Bounds of the signal-to-noise ratio by which a timestep's loss is weighted."""


class BankConfig(Strict):
    """The teacher's results that a student learns from."""

    size: Count
    """Triples of noise, condition and result."""
    chunk: Count = 256
    """Triples computed at a time; a killed run resumes at a chunk."""
    augmentation: Augmentation = Augmentation()
    seed: Annotated[int, Field(ge=0)] = 1


class DistilConfig(Strict):
    """The `one-step` and `student` stages."""

    name: str
    network: NetworkSpec | None = None
    """The student's; left out, it is the teacher's and starts from the teacher's weights."""
    bank: BankConfig
    optimisation: Optimisation


class CalibrationConfig(Strict):
    """The `calibrate` stage."""

    coverage: Annotated[float, Field(gt=0, lt=1)] = 0.95
    floor_m: Annotated[float, Field(gt=0)] = 0.005
    stride: Count = 10
    samples: Annotated[list[Count], Field(min_length=1)] = [50, 32, 16, 8]
    """Numbers of samples per person, each with a scale of its own."""


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
                target = target.setdefault(section, {})
            target[last] = yaml.safe_load(value)
        except (AttributeError, TypeError, yaml.YAMLError) as error:
            raise ConfigError(f'cannot apply the override {override!r}: {error}') from error
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        problems = '; '.join(
            f'{".".join(map(str, e["loc"]))}: {e["msg"]}, got {e["input"]!r}'
            for e in error.errors()
        )
        raise ConfigError(f'{path} does not hold: {problems}') from error
