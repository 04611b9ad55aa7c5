"""Splits archives by people into training, validation, calibration and test archives.

A split file lists the people of each of these archives. No person may be in two archives.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field, model_validator

from motion_predictor.archive import load_archive
from motion_predictor_training.config import ConfigError, Strict, load_config
from motion_predictor_training.data.importers.join import join_archives
from motion_predictor_training.shipped import configuration_file

USES = ('train', 'validation', 'calibration', 'test')


class Split(Strict):
    """Names of the people for each use of motion, such as training or test."""

    train: list[str] = Field(min_length=1)
    validation: list[str] = Field(min_length=1)
    """People for measuring during training, fitting the spread of the samples, tuning and
    ablations."""
    calibration: list[str] = Field(min_length=1)
    test: list[str] = Field(min_length=1)

    @model_validator(mode='after')
    def _nobody_twice(self) -> 'Split':
        require_apart({use: getattr(self, use) for use in USES})
        return self


def require_apart(people: Mapping[str, Sequence[str]]) -> None:
    """Refuse a person who is listed for two uses of motion, such as training and test.

    People without a name count as different people, so they are never refused.

    Raises:
        ConfigError: if a person is listed for two uses. The error message names the person and the
            uses.
    """
    counts = Counter(name for names in people.values() for name in set(names) if name)
    for name, count in counts.items():
        if count > 1:
            uses = ' and '.join(use for use, names in people.items() if name in names)
            raise ConfigError(f'{name} is listed under {uses}: list everybody under one use only')


def split_archives(sources: Sequence[Path], split_path: Path, folder: Path) -> list[str]:
    """Write one archive for each use, and return a line that describes each archive.

    Args:
        sources: archives with the same joints and rate, which together contain all people.
        split_path: file that lists the people of each use, or the name of a split file that ships
            with the package.
        folder: folder for `train.npz`, `validation.npz`, `calibration.npz` and `test.npz`.

    Raises:
        ArchiveError: if an archive cannot be read, or no archive contains a person of the split.
        ConfigError: if the split is invalid, or does not list a person of the archives.
    """
    split = load_config(Split, configuration_file(split_path, folder='splits'), [])
    people: dict[str, list[str]] = {use: getattr(split, use) for use in USES}
    placed = {name for names in people.values() for name in names}
    there = {subject for source in sources for subject in load_archive(source).subjects}
    if left_out := sorted(there - placed):
        raise ConfigError(
            f'{split_path} does not list {", ".join(left_out)}: list everybody in the archives '
            'under a use'
        )
    folder.mkdir(parents=True, exist_ok=True)
    return [
        join_archives(sources, names, [], folder / f'{use}.npz') for use, names in people.items()
    ]
