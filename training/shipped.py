"""Finds configurations that ship with the package by their names."""

from pathlib import Path

from motion_predictor.common.installed import installed


def shipped_configuration(name: str) -> Path:
    """Return the path of a shipped configuration, such as `teacher` or `recipes/default`."""
    return installed('config', 'training', f'{name}.yaml')


def configuration_file(given: str | Path, beside: Path = Path(), folder: str = '') -> Path:
    """Return the path of a configuration: a given file, or a shipped configuration.

    Args:
        given: path relative to `beside` or to the current folder, or the name of a shipped
            configuration, with or without `.yaml`.
        beside: folder in which a relative path is searched first.
        folder: subfolder of the shipped configurations in which to search, for example `recipes`.
            For configurations of stages, `folder` is empty.
    """
    for path in (beside / given, Path(given)):
        if path.is_file():
            return path
    shipped = shipped_configuration(str(Path(folder, str(given).removesuffix('.yaml'))))
    return shipped if shipped.is_file() else Path(given)
