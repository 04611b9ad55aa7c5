"""Configurations that ship with the package, found by their names."""

from pathlib import Path

from motion_predictor.common.installed import installed


def shipped_configuration(name: str) -> Path:
    """Return the file of a configuration that ships, such as `teacher` or `recipes/default`."""
    return installed('config', 'training', f'{name}.yaml')


def configuration_file(given: str | Path, beside: Path = Path(), folder: str = '') -> Path:
    """Return the path of a configuration: of a given file, or of one that ships.

    Args:
        given: path relative to `beside` or to the current folder, or the name of a configuration
            that ships, with or without `.yaml`.
        beside: folder for relative paths.
        folder: folder of the configuration that ships: `recipes`, or empty for a stage.
    """
    for path in (beside / given, Path(given)):
        if path.is_file():
            return path
    shipped = shipped_configuration(str(Path(folder, str(given).removesuffix('.yaml'))))
    return shipped if shipped.is_file() else Path(given)
