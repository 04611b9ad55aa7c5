"""Places the capsules of a robot by means of its URDF and its joint positions."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from motion_predictor.common.problems import first_problem
from motion_predictor.common.rigid import Rigid
from motion_predictor.planning.capsules import Capsules

Point = tuple[float, float, float]


class RobotError(ValueError):
    """A robot's description cannot be used, or a joint's position is missing."""


class _Capsule(BaseModel):
    model_config = ConfigDict(extra='forbid', allow_inf_nan=False)

    frame: str
    start: Point
    end: Point
    radius_m: Annotated[float, Field(gt=0)]


class _File(BaseModel):
    model_config = ConfigDict(extra='forbid', allow_inf_nan=False)

    base: str
    """Frame in which `Mounted.at` returns the capsules."""
    capsules: Annotated[list[_Capsule], Field(min_length=1)]


class Mounted:
    """The capsules of a robot, each fixed to one frame of the robot.

    Args:
        path: path of a YAML file with two entries: `base`, the name of the base frame, and
            `capsules`, a list of `{frame, start, end, radius_m}`.

    Raises:
        RobotError: if the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = _File.model_validate(yaml.safe_load(path.read_text()))
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise RobotError(f'cannot read the file of capsules {path}: {error}') from error
        except ValidationError as error:
            problem = first_problem(error)
            raise RobotError(f'{path} is not a file of capsules: {problem}') from error
        self.base = self._file.base
        self.frames = tuple(dict.fromkeys(c.frame for c in self._file.capsules))

    def at(self, places: Mapping[str, Rigid]) -> Capsules:
        """Return the capsules in the base frame of the robot.

        Args:
            places: pose of each frame of the robot, in the base frame.
        """
        rows = [(places[c.frame], c) for c in self._file.capsules]
        return Capsules.of(
            [place(np.array(c.start)) for place, c in rows],
            [place(np.array(c.end)) for place, c in rows],
            [c.radius_m for _, c in rows],
        )


@dataclass(frozen=True)
class Joint:
    """One joint of a URDF."""

    name: str
    kind: str
    parent: str
    origin: Rigid
    axis: NDArray[np.float64]
    mimics: tuple[str, float, float] | None = None
    """For a mimic joint: name of the joint to follow, multiplier and offset; otherwise None."""

    def transform(self, position: float) -> Rigid:
        """Return the pose of the child link in the frame of the parent link.

        Args:
            position: position of the joint, radians or metres.
        """
        if self.kind == 'prismatic':
            return self.origin @ Rigid(np.eye(3), self.axis * position)
        if self.kind == 'fixed':
            return self.origin
        return self.origin @ Rigid(_turn(self.axis, position), np.zeros(3))

    @property
    def follows(self) -> str:
        """Name of the joint whose position moves this joint; empty for a fixed joint."""
        if self.kind == 'fixed':
            return ''
        return self.mimics[0] if self.mimics else self.name

    def position(self, positions: Mapping[str, float]) -> float:
        """Return the position of this joint. A mimic joint takes it from the joint it follows."""
        if not self.mimics:
            return positions.get(self.name, 0.0)
        leader, multiplier, offset = self.mimics
        return multiplier * positions[leader] + offset


class RobotModel:
    """The capsules of a robot as a function of its joint positions.

    Args:
        capsules: path of a YAML file of capsules; `Mounted` describes its format.
        urdf: text of the robot's URDF; not needed if every capsule is fixed to the base.

    Raises:
        RobotError: if the file or the URDF cannot be used.
    """

    def __init__(self, capsules: Path, urdf: str = '') -> None:
        self._mounted = Mounted(capsules)
        self.base = self._mounted.base
        self._joints = _joints(urdf) if urdf else {}
        self._chains = {frame: self._chain(frame) for frame in self._mounted.frames}
        moving = {joint.follows for chain in self._chains.values() for joint in chain}
        self.joint_names = tuple(sorted(moving - {''}))
        """Names of the joints whose positions `at` needs."""

    def _chain(self, frame: str) -> list[Joint]:
        chain: list[Joint] = []
        while frame != self.base:
            if frame not in self._joints or len(chain) > len(self._joints):
                raise RobotError(f"the URDF does not connect frame '{frame}' to '{self.base}'")
            chain.insert(0, self._joints[frame])
            frame = chain[0].parent
        return chain

    def at(self, positions: Mapping[str, float]) -> Capsules:
        """Return the capsules in the base frame of the robot.

        Args:
            positions: position of every joint in `joint_names`, radians or metres.

        Raises:
            RobotError: if the position of a joint is missing or not finite. The error names the
                joint.
        """
        for name in self.joint_names:
            if not np.isfinite(positions.get(name, np.nan)):
                raise RobotError(f"there is no position for joint '{name}'")
        places = {}
        for frame, chain in self._chains.items():
            place = Rigid.identity()
            for joint in chain:
                place = place @ joint.transform(joint.position(positions))
            places[frame] = place
        return self._mounted.at(places)


def _turn(axis: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Return the matrix of a rotation about an axis of length 1 (formula of Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _mimics(element: ElementTree.Element | None) -> tuple[str, float, float] | None:
    """Return, for a mimic joint, the name of the joint to follow, the multiplier and the offset.

    Returns None for a joint that is not a mimic joint.
    """
    if element is None:
        return None
    given = element.attrib
    return given['joint'], float(given.get('multiplier', 1)), float(given.get('offset', 0))


def _joints(urdf: str) -> dict[str, Joint]:
    """Return the joints of a URDF in a dictionary; the keys are the names of the child links."""
    try:
        found = {}
        for element in ElementTree.fromstring(urdf).findall('joint'):
            name, kind = element.attrib['name'], element.attrib['type']
            if kind not in ('fixed', 'revolute', 'continuous', 'prismatic'):
                raise RobotError(f"joint '{name}' is {kind}: this type is not supported")
            parent, child = element.find('parent'), element.find('child')
            assert parent is not None and child is not None
            origin, axis = element.find('origin'), element.find('axis')
            place = {} if origin is None else origin.attrib
            xyz = np.array(place.get('xyz', '0 0 0').split(), float)
            turn = np.eye(3)
            for unit, angle in zip(np.eye(3), place.get('rpy', '0 0 0').split(), strict=True):
                turn = _turn(unit, float(angle)) @ turn
            about = np.array((axis.attrib['xyz'] if axis is not None else '1 0 0').split(), float)
            about = about / np.linalg.norm(about)
            link, origin_of = parent.attrib['link'], Rigid(turn, xyz)
            found[child.attrib['link']] = Joint(
                name, kind, link, origin_of, about, _mimics(element.find('mimic'))
            )
        return found
    except (ElementTree.ParseError, KeyError, ValueError, AssertionError) as error:
        if isinstance(error, RobotError):
            raise
        raise RobotError(f'the URDF cannot be read: {error}') from error
