"""The calibration of a checkpoint: the data that it was fitted to, and its cases."""

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from motion_predictor.skeleton import Layout

TERMS = (
    'floor',
    'own_speed',
    'trunk_speed',
    'acceleration',
    'body_acceleration',
    'root_speed',
    'jitter',
    'spread',
    'body_spread',
)
"""Terms of an expected error, in the order of the tensor: a constant, the state of the person,
the spread of the samples of the joint, and that of all joints in root mean square."""
STILL_TERMS = 7
"""Number of the first terms, whose inputs are the same at every frame."""
# The joints of `others` are the trunk and the head.
PARTS = ('wrists', 'elbows', 'feet', 'knees', 'hips', 'others')
_PART_OF = {'wrist': 0, 'hand': 0, 'thumb': 0, 'elbow': 1, 'ankle': 2, 'foot': 2, 'heel': 2}
_PART_OF |= dict.fromkeys(('finger', 'index', 'pinky'), 0)
_PART_OF |= {'toe': 2, 'knee': 3, 'hip': 4, 'pelvis': 4, 'spine1': 4}
USUAL = 0.95
"""The default coverage."""

Frame = Annotated[int, Field(ge=1, le=10_000)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Probability = Annotated[float, Field(gt=0, lt=1)]
Speed = Annotated[float, Field(gt=0)]


class Calibration(BaseModel):
    """What sets were calibrated on, and what the axes of their tensors stand for.

    `calibration.terms` (G, A, K) are the weights of the A TERMS in the expected error, for each of
    G PARTS. `calibration.scale` (C, R, G, B, K) and `calibration.pace_scale` (C, R, Q, K) are the
    factors that turn it into a radius. No radius is below the speed of the root multiplied by
    `calibration.pace_floor` (C, R, K), in seconds. `calibration.body_scale` (C, R, V, K) are
    further factors that hold the whole body.
    """

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)

    kind: Literal['floored']
    coverages: Annotated[tuple[Probability, ...], Field(min_length=1)]
    """C probabilities, ascending, for which there are enough data."""
    samples: Annotated[tuple[Frame, ...], Field(min_length=1)]
    """R numbers of samples per person, for which it was fitted."""
    frames: Annotated[tuple[Frame, ...], Field(min_length=1)]
    """K future frames, ascending, from 1; values in between are interpolated linearly."""
    speeds: tuple[Speed, ...]
    """m/s, ascending: limits between the B groups of a joint's own speed."""
    body_speeds: tuple[Speed, ...]
    """m/s, ascending: limits between the V groups of the fastest joint's speed."""
    paces: tuple[Speed, ...]
    """m/s, ascending: limits between the Q groups of the root's speed over the ground."""
    people: Count
    """Number of people in the calibration."""
    windows: Count
    """Number of their windows that are half a second apart."""

    @model_validator(mode='after')
    def _ascends(self) -> 'Calibration':
        for name in ('coverages', 'frames', 'speeds', 'body_speeds', 'paces'):
            values = getattr(self, name)
            if list(values) != sorted(set(values)):
                raise ValueError(f'{name} must ascend')
        return self

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the tensors, by name."""
        coverages, rungs, knots = len(self.coverages), len(self.samples), len(self.frames)
        speeds, body_speeds = len(self.speeds) + 1, len(self.body_speeds) + 1
        return {
            'calibration.terms': (len(PARTS), len(TERMS), knots),
            'calibration.scale': (coverages, rungs, len(PARTS), speeds, knots),
            'calibration.pace_scale': (coverages, rungs, len(self.paces) + 1, knots),
            'calibration.pace_floor': (coverages, rungs, knots),
            'calibration.body_scale': (coverages, rungs, body_speeds, knots),
        }

    def choose(self, coverage: float | None) -> int:
        """Return the coverage that is asked for; None means 0.95, or else the highest.

        Raises:
            ValueError: in one sentence, if it is none of them.
        """
        if coverage is None:
            coverage = USUAL if USUAL in self.coverages else self.coverages[-1]
        nearest = int(np.argmin(np.abs(np.array(self.coverages) - coverage)))
        if abs(self.coverages[nearest] - coverage) > 1e-6:
            raise ValueError(
                'coverage must be one that the checkpoint is calibrated for, '
                f'{", ".join(f"{c:g}" for c in self.coverages)} (from {self.windows} '
                f'windows of {self.people} people), got {coverage:g}'
            )
        return nearest

    def rung(self, samples: int) -> int | None:
        """Return the calibrated number of samples for this one; None if all are larger.

        It is the largest one that is not greater. With fewer samples the mean is worse and the
        spread smaller, so a calibration for fewer samples is cautious for more.
        """
        fewer = [n for n in self.samples if n <= samples]
        return self.samples.index(max(fewer)) if fewer else None


def parts_of(layout: Layout) -> list[int]:
    """Return the part, as an index into PARTS, of each joint of a layout."""
    parts = []
    for joint in layout.joints:
        name = layout.common_name(joint)
        found = [part for word, part in _PART_OF.items() if word in name]
        parts.append(found[0] if found else PARTS.index('others'))
    return parts
