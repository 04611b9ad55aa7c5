"""Finds files that ship with the package."""

from importlib import resources
from pathlib import Path


def installed(*parts: str) -> Path:
    """Return the path of a file or folder inside the installed package."""
    return Path(str(resources.files('motion_predictor'))).joinpath(*parts)
