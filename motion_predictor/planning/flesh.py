"""Limbs as capsules: joints are points, and a robot touches the flesh around the joints."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from motion_predictor.common.installed import installed
from motion_predictor.common.problems import first_problem
from motion_predictor.planning.outlook import Outlook, Person


class FleshError(ValueError):
    """The limbs of a layout are unknown or malformed, or do not fit the joints."""


class _File(BaseModel):
    """The content of a YAML file that describes the limbs of a layout."""

    model_config = ConfigDict(extra='forbid', allow_inf_nan=False)

    layout: str
    limbs: Annotated[
        dict[str, tuple[str, str, Annotated[float, Field(gt=0, le=2)]]], Field(min_length=1)
    ]


@dataclass(frozen=True)
class Limbs:
    """The C limbs of a body, as capsules between two joints.

    A ball-shaped limb, such as a head, has the same joint at both ends.
    """

    names: tuple[str, ...]
    ends: NDArray[np.int64]
    """(C, 2) indices of the joints at the two ends of each limb"""
    radii: NDArray[np.float64]
    """(C,) radii of the limbs, metres"""

    @classmethod
    def read(cls, path: Path, joint_names: Sequence[str]) -> 'Limbs':
        """Read limbs from a YAML file like those in config/flesh.

        Args:
            path: path of the file.
            joint_names: names of the predicted joints. `Limbs.ends` are indices of `joint_names`.

        Raises:
            FleshError: if the file cannot be read, or names joints that are not predicted.
        """
        try:
            content = _File.model_validate(yaml.safe_load(path.read_text()))
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise FleshError(f'cannot read the file of limbs {path}: {error}') from error
        except ValidationError as error:
            problem = first_problem(error)
            raise FleshError(f'{path} is not a file of limbs: {problem}') from error
        order = {name: index for index, name in enumerate(joint_names)}
        rows = [(a, b) for a, b, _ in content.limbs.values()]
        if missing := sorted({joint for row in rows for joint in row} - order.keys()):
            raise FleshError(
                f'the limbs in {path} need joints that the predictions lack: {", ".join(missing)}'
            )
        return cls(
            tuple(content.limbs),
            np.array([[order[a], order[b]] for a, b in rows], np.int64),
            np.array([radius for _, _, radius in content.limbs.values()], np.float64),
        )

    @classmethod
    @cache
    def of(cls, layout: str, joint_names: tuple[str, ...]) -> 'Limbs':
        """Return the limbs that the package has for a layout, in config/flesh.

        Raises:
            FleshError: if the package has no limbs for the layout.
        """
        path = installed('config', 'flesh', f'{layout}.yaml')
        if not layout or not path.is_file():
            raise FleshError(
                f"there are no limbs for the layout '{layout}': write a file like those in "
                'config/flesh and read it with Limbs.read'
            )
        return cls.read(path, joint_names)

    @classmethod
    def for_outlook(cls, outlook: Outlook) -> 'Limbs':
        """Return the limbs of the people in an outlook.

        Raises:
            FleshError: if the package has no limbs for the layout of the outlook.
        """
        return cls.of(outlook.layout, outlook.joint_names)


@dataclass(frozen=True)
class Bodies:
    """N futures of one person at T times, with limbs as capsules.

    The futures are the samples of a prediction, or the mean alone (N = 1).
    """

    joints: NDArray[np.floating]
    """(N, T, J, 3) positions of the joints, metres"""
    limbs: Limbs
    radii: NDArray[np.float64]
    """(T, C) radii of the limbs, metres"""

    @classmethod
    def of(cls, person: Person, limbs: Limbs, by_samples: bool = True) -> 'Bodies':
        """Return every sample as a body, or the mean with limbs thickened by the radius.

        For an unfamiliar person the result is always the thickened mean.

        Raises:
            FleshError: if samples are needed and the message has none, or if a radius is needed
                and the message has none.
        """
        if by_samples and not person.unfamiliar:
            return cls.of_samples(person, limbs)
        return cls.of_mean(person, limbs)

    @classmethod
    def of_samples(cls, person: Person, limbs: Limbs) -> 'Bodies':
        """Return every sample as a body of its own.

        Raises:
            FleshError: if the prediction has no samples.
        """
        if not len(person.samples):
            raise FleshError(
                "the predictions come without samples: set the predictor's publish_samples"
            )
        times = person.samples.shape[1]
        return cls(person.samples, limbs, np.broadcast_to(limbs.radii, (times, len(limbs.radii))))

    @classmethod
    def of_mean(cls, person: Person, limbs: Limbs, inflated: bool = True) -> 'Bodies':
        """Return the mean as one body whose limbs are thickened by the radius of the prediction.

        Each limb is thickened by the larger radius of its two joints. So if both joints lie in
        their balls, the line between the joints lies in the thickened limb.

        Args:
            person: the predicted person.
            limbs: limbs of the person's layout.
            inflated: whether the radius of the prediction is added to the radius of the limbs.

        Raises:
            FleshError: if the radius is unknown, because the checkpoint is not calibrated.
        """
        radii = np.broadcast_to(limbs.radii, (len(person.mean), len(limbs.radii)))
        if inflated:
            if not np.isfinite(person.radius).all():
                raise FleshError(
                    'the radius is unknown, because the checkpoint of the predictor is not '
                    'calibrated'
                )
            radii = radii + person.radius[:, limbs.ends].max(-1)
        return cls(person.mean[None], limbs, radii)
