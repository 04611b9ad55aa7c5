"""Reads configuration files, and refuses unknown keys. Error messages name the file and key."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from motion_predictor.common.problems import problem

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class ConfigError(ValueError):
    """A training configuration is missing or invalid."""


class Strict(BaseModel):
    """A section of a configuration that refuses unknown keys."""

    model_config = ConfigDict(extra='forbid', frozen=True)


Config = TypeVar('Config', bound=BaseModel)


def load_config(schema: type[Config], path: Path, overrides: list[str]) -> Config:
    """Read a YAML configuration, apply overrides `key.subkey=value`, and validate the result.

    Raises:
        ConfigError: if the file cannot be read, or a key is unknown or has a wrong value. The
            error message is one sentence that names the file and the key.
    """
    try:
        content: dict[str, Any] = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f'cannot read the configuration {path}: {error}') from error
    for override in overrides:
        key, separator, value = override.partition('=')
        if not separator:
            raise ConfigError(f'an override must have the form key=value, got {override!r}')
        *sections, last = key.split('.')
        target = content
        try:
            for section in sections:
                if target.get(section) is None:  # the section is missing or null
                    target[section] = {}
                target = target[section]
            target[last] = yaml.safe_load(value)
        except (AttributeError, TypeError, yaml.YAMLError) as error:
            raise ConfigError(f'cannot apply the override {override!r}: {error}') from error
    try:
        return schema.model_validate(content, context={'folder': path.parent})
    except ValidationError as error:
        problems = '; '.join(map(problem, error.errors()))
        raise ConfigError(f'{path} is invalid: {problems}') from error
