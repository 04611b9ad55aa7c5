"""Configurations that ship with the package, found by their names."""

from pathlib import Path

from motion_predictor.common.installed import installed


def shipped_configuration(name: str) -> Path:
    """Return the file of a configuration that ships: `teacher`, `recipes/default`."""
    return installed('config', 'training', f'{name}.yaml')


def configuration_file(given: str | Path, beside: Path = Path(), folder: str = '') -> Path:
    """Return the path of a configuration: a file, or one that ships by its name.

    Args:
        given: a path, from `beside` or from here; or a name, with or without `.yaml`.
        beside: folder for relative paths.
        folder: of those that ship: `recipes`, or `` for stages.
    """
    for path in (beside / given, Path(given)):
        if path.is_file():
            return path
    shipped = shipped_configuration(str(Path(folder, str(given).removesuffix('.yaml'))))
    return shipped if shipped.is_file() else Path(given)
