"""Named skeletons (layouts), and the mapping of joints from one layout to another by name."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from motion_predictor.common.installed import installed
from motion_predictor.common.problems import first_problem

FloatArray = NDArray[np.float32]


class LayoutError(ValueError):
    """A layout is unknown or malformed, or its joints cannot be mapped."""


class Recipe(BaseModel):
    """Tells how to make a joint from other joints, if a source lacks this joint."""

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)

    points: Annotated[dict[str, float], Field(min_length=1)]
    """Weights of the other joints, by common name. The weights sum to one."""
    forward_m: float = 0.0
    """Offset along the heading of the body, metres."""
    up_m: float = 0.0
    """Offset upwards, metres."""

    @model_validator(mode='after')
    def _weights_sum_to_one(self) -> 'Recipe':
        total = sum(self.points.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f'the weights of {dict(self.points)} must sum to 1, got {total}')
        return self


class Facing(NamedTuple):
    """Indices of the joints that give the heading of a person."""

    left_hip: int
    right_hip: int
    neck: int | None
    """The neck, or the joint nearest to the neck; None if the layout has no such joint."""


class Layout(BaseModel):
    """A named skeleton: an ordered set of joints, the root first."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    name: str
    joints: Annotated[dict[str, str | None], Field(min_length=2)]
    """The parent of each joint, by joint, in the order of the positions. The root comes first and
    has no parent."""
    common_names: dict[str, str] = {}
    """Names that all layouts share (common names), for joints with another name of their own."""
    made_from: dict[str, Recipe] = {}
    """Recipes for joints of this layout that a source lacks, by the joint's own name."""
    makes: dict[str, Recipe] = {}
    """Recipes that make joints of other layouts from joints of this layout, by common name."""

    @model_validator(mode='after')
    def _parents_come_first(self) -> 'Layout':
        seen: set[str] = set()
        for joint, parent in self.joints.items():
            if (parent is None) != (not seen) or (parent is not None and parent not in seen):
                raise ValueError(
                    f'joint {joint!r} has the parent {parent!r}, but the first joint alone '
                    'has none, and every parent comes before its children'
                )
            seen.add(joint)
        for joint in (*self.common_names, *self.made_from):
            if joint not in seen:
                raise ValueError(f'{joint!r} is not a joint of {self.name}')
        return self

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The names of the joints in this layout, in the order of the positions."""
        return tuple(self.joints)

    @property
    def parents(self) -> tuple[int, ...]:
        """The index of the parent of each joint; -1 for the root."""
        order = {name: index for index, name in enumerate(self.joints)}
        return tuple(-1 if p is None else order[p] for p in self.joints.values())

    def common_name(self, joint: str) -> str:
        """Return the common name of a joint, which all layouts share."""
        return self.common_names.get(joint, joint)

    def index(self, common_name: str) -> int | None:
        """Return the index of the joint with this common name; None if there is no such joint."""
        names = [self.common_name(joint) for joint in self.joints]
        return names.index(common_name) if common_name in names else None

    @property
    def hips(self) -> tuple[int, int] | None:
        """The indices of the left and the right hip; None if a hip is missing."""
        left, right = self.index('l_hip'), self.index('r_hip')
        return None if left is None or right is None else (left, right)

    @property
    def facing(self) -> Facing | None:
        """The joints that give the heading of a person; None if a hip is missing."""
        return None if self.hips is None else Facing(*self.hips, self.neck)

    @property
    def neck(self) -> int | None:
        """The index of the neck or of the joint nearest to the neck; None if there is neither."""
        necks = (self.index(name) for name in ('neck', 'head', 'nose', 'spine3'))
        return next((joint for joint in necks if joint is not None), None)

    @property
    def mirrored(self) -> tuple[int, ...]:
        """For each joint, the index of the same joint on the other side of the body.

        A joint in the middle of the body is its own counterpart.
        """
        swap = {'l_': 'r_', 'r_': 'l_'}
        indices = []
        for own, joint in enumerate(self.joints):
            common = self.common_name(joint)
            other = self.index(swap.get(common[:2], common[:2]) + common[2:])
            indices.append(own if other is None else other)
        return tuple(indices)


def read_layout(path: Path) -> Layout:
    """Read a layout from a YAML file.

    Raises:
        LayoutError: if the file cannot be read or is not a layout. The error message is one
            sentence.
    """
    try:
        return Layout.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise LayoutError(f'cannot read the layout {path}: {error}') from error
    except ValidationError as error:
        problem = first_problem(error)
        raise LayoutError(f'{path} is not a valid layout: {problem}') from error


@cache
def known_layouts() -> dict[str, Layout]:
    """Return the layouts that ship with the package, by name."""
    return read_layouts(installed('config', 'skeletons'))


def read_layouts(folder: Path) -> dict[str, Layout]:
    """Return the layouts in a folder of *.yaml files, by name.

    Raises:
        LayoutError: if there is no such folder, or if a file is not a layout.
    """
    if not folder.is_dir():
        raise LayoutError(f'there is no folder {folder} to take layouts from')
    layouts = [read_layout(file) for file in sorted(folder.glob('*.yaml'))]
    return {layout.name: layout for layout in layouts}


def _spelling(name: str) -> str:
    """Reduce the spellings of a joint name to one: LeftKnee, left_knee, LKnee -> lknee."""
    bare = re.sub(r'[^a-z0-9]', '', name.lower())
    return re.sub(r'^(left|right)', lambda side: side.group()[0], bare)


def recognised_layout(joint_names: Sequence[str]) -> Layout | None:
    """Return the largest known layout that has all its joints in `joint_names`; None if none."""
    spelled = {_spelling(name) for name in joint_names}
    layouts = known_layouts().values()
    named = [known for known in layouts if {_spelling(joint) for joint in known.joints} <= spelled]
    return max(named, key=lambda known: len(known.joints), default=None)


def common_names_of(joint_names: Sequence[str], layout: Layout | None) -> list[str]:
    """Return the common name of each joint. An unknown name stays as it is.

    Args:
        joint_names: names of the joints, in the spelling of a source.
        layout: layout that the source states, or None. The names of this layout take precedence
            over those of other layouts.
    """
    layout = layout or recognised_layout(joint_names)
    vocabulary: dict[str, str] = {}
    for known in (*known_layouts().values(), *([layout] if layout else [])):
        for joint in known.joints:
            common = known.common_name(joint)
            vocabulary.setdefault(_spelling(common), common)
    if layout:
        vocabulary |= {_spelling(joint): layout.common_name(joint) for joint in layout.joints}
    else:
        for known in known_layouts().values():
            for joint in known.joints:
                vocabulary.setdefault(_spelling(joint), known.common_name(joint))
    return [vocabulary.get(_spelling(name), name) for name in joint_names]


@dataclass(frozen=True)
class JointMap:
    """A linear map from the joints of a source to the joints of a layout."""

    weights: FloatArray  # (J_target, J_source)
    offsets: FloatArray  # (J_target, 2) metres, forward and up
    hips: tuple[int, int] | None  # left and right hip of the source, for the heading

    @classmethod
    def between(
        cls,
        source: Sequence[str],
        target: Layout,
        made_of_source: Mapping[str, Recipe] | None = None,
    ) -> 'JointMap':
        """Return the map from the joints of a source to the joints of a layout.

        Args:
            source: common names of the source's joints.
            target: layout to map to, which has recipes for joints that the source lacks.
            made_of_source: recipes of the source's layout (`Layout.makes`), which are used before
                the recipes of the target.

        Raises:
            LayoutError: if two joints of the source have the same name, or if the source lacks
                joints that no recipe makes. The error message names all joints that have this
                problem.
        """
        order = {name: index for index, name in enumerate(source)}
        if len(order) != len(source):
            twice = sorted({name for name in source if list(source).count(name) > 1})
            raise LayoutError(f'joints named more than once: {", ".join(twice)}')
        identity = np.eye(len(source), dtype=np.float32)
        rows: dict[str, tuple[FloatArray, FloatArray]] = {}
        for name, index in order.items():
            rows[name] = identity[index], np.zeros(2, np.float32)
        recipes = list((made_of_source or {}).items())
        recipes += [(target.common_name(joint), r) for joint, r in target.made_from.items()]
        while ready := [
            (name, r) for name, r in recipes if name not in rows and rows.keys() >= r.points.keys()
        ]:
            name, recipe = ready[0]  # one recipe at a time: the next may use the new joint
            weight = sum(rows[point][0] * w for point, w in recipe.points.items())
            offset = sum(rows[point][1] * w for point, w in recipe.points.items())
            own = np.array([recipe.forward_m, recipe.up_m], np.float32)
            rows[name] = np.asarray(weight, np.float32), np.asarray(offset + own, np.float32)
        wanted = [target.common_name(joint) for joint in target.joints]
        if missing := [name for name in wanted if name not in rows]:
            raise LayoutError(
                f'the joints of {target.name} cannot be made: {", ".join(missing)} missing'
            )
        left, right = order.get('l_hip'), order.get('r_hip')
        return cls(
            np.stack([rows[name][0] for name in wanted]),
            np.stack([rows[name][1] for name in wanted]),
            None if left is None or right is None else (left, right),
        )

    def __call__(self, positions: FloatArray) -> FloatArray:
        """Return positions (B, J_target, 3), mapped from positions (B, J_source, 3), z up.

        If a joint is made from a joint that is missing (NaN), the made joint is missing too.
        """
        known = np.isfinite(positions)  # (B, J_source, 3)
        if self._picks is not None:
            there = np.logical_and.reduce(known, axis=-1)[:, self._picks, None]
            picked = np.where(there, positions[:, self._picks], np.float32(np.nan))
            return picked.astype(np.float32, copy=False)
        mapped = np.einsum('ts,bsc->btc', self.weights, np.where(known, positions, np.float32(0)))
        if self.offsets.any():
            ahead = self.offsets[:, 0] != 0
            forward = self.offsets[ahead, :1] * self._heading(positions)[:, None]
            mapped[:, ahead, :2] += forward
            mapped[..., 2] += self.offsets[:, 1]
        missing = np.logical_or.reduce(~known, axis=-1)  # (B, J_source)
        mapped[missing @ (self.weights != 0).T] = np.nan
        return mapped.astype(np.float32)

    @cached_property
    def _picks(self) -> NDArray[np.int64] | None:
        """The index in the source of each joint of the layout; None if a joint must be made."""
        picks = self.weights.argmax(1)
        is_picked = np.array_equal(self.weights, np.eye(self.weights.shape[1])[picks])
        return picks if is_picked and not self.offsets.any() else None

    def _heading(self, positions: FloatArray) -> FloatArray:
        """Return the headings of the bodies as horizontal unit vectors (B, 2); NaN if unknown."""
        if self.hips is None:
            return np.full((len(positions), 2), np.nan, np.float32)
        left = positions[:, self.hips[0], :2] - positions[:, self.hips[1], :2]
        forward = np.stack([left[:, 1], -left[:, 0]], axis=-1)
        length = np.linalg.norm(forward, axis=-1, keepdims=True)
        return (forward / np.maximum(length, 1e-6)).astype(np.float32)
