"""Finds the layout (skeleton) that a configuration names: a known layout, or a file."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo

from motion_predictor.skeleton import Layout, known_layouts, read_layout
from motion_predictor_training.config.reading import ConfigError


def _read_layout(value: Any, info: ValidationInfo) -> Any:
    """If a configuration value is the path of a layout file, read the layout."""
    if not isinstance(value, str) or not value.endswith('.yaml'):
        return value
    beside = info.context['folder'] / value if info.context else Path(value)
    return read_layout(beside if beside.is_file() else Path(value))


LayoutChoice = Annotated[Layout | str, BeforeValidator(_read_layout)]


def layout_of(choice: Layout | str) -> Layout:
    """Return the layout that a configuration names or contains.

    Raises:
        ConfigError: if there is no known layout of this name.
    """
    if isinstance(choice, Layout):
        return choice
    if choice not in known_layouts():
        known = ', '.join(known_layouts())
        raise ConfigError(f"layout must be one of {known} or a .yaml file, got '{choice}'")
    return known_layouts()[choice]
