"""The calibration of a checkpoint: the data that it was fitted to, and its groups."""

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
"""Terms of the expected error, in the order of the tensor: a constant, the state of the person,
the spread of the joint's samples, and the root mean square of the spread over all joints."""
STILL_TERMS = 7
"""Number of leading terms. Their inputs are the same at every frame."""
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
    """The data that sets were calibrated on, and the meaning of the axes of their tensors.

    - `calibration.terms` (G, A, K): weights of the A TERMS in the expected error, for G PARTS.
    - `calibration.scale` (C, R, G, B, K) and `calibration.pace_scale` (C, R, Q, K): factors that
      turn the expected error into a radius.
    - `calibration.pace_floor` (C, R, K), seconds: no radius is below this times the speed of the
      root.
    - `calibration.body_scale` (C, R, V, K): further factors of the radii, with which the balls
      hold all joints of a person at once.
    """

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)

    kind: Literal['floored']
    coverages: Annotated[tuple[Probability, ...], Field(min_length=1)]
    """C probabilities, ascending, for which there are enough data."""
    samples: Annotated[tuple[Frame, ...], Field(min_length=1)]
    """R numbers of samples per person, for which it was fitted."""
    frames: Annotated[tuple[Frame, ...], Field(min_length=1)]
    """K future frames, ascending, from 1. Values for other frames are interpolated linearly."""
    speeds: tuple[Speed, ...]
    """m/s, ascending: limits between the B groups of cases, by a joint's speed."""
    body_speeds: tuple[Speed, ...]
    """m/s, ascending: limits between the V groups of cases, by the fastest joint's speed."""
    paces: tuple[Speed, ...]
    """m/s, ascending: limits between the Q groups of cases, by the speed of the root over the
    ground."""
    people: Count
    """Number of people in the calibration."""
    windows: Count
    """Number of windows of these people that are half a second apart."""

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
        """Return the index of a coverage in `coverages`.

        Args:
            coverage: one of `coverages`. None means 0.95, or the highest one if 0.95 is not there.

        Raises:
            ValueError: in one sentence, if the coverage is not calibrated.
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
        """Return the index in `samples` of the largest number that is not above this one.

        With fewer samples, the mean is worse and the spread smaller. So a calibration for fewer
        samples is cautious for more samples. The index is None if all numbers are larger.
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
