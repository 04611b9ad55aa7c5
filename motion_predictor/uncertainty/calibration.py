"""The calibration of a checkpoint: its groups of people and joints, and the data of the fit."""

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
"""Terms of the expected error, in the order of the tensor `calibration.terms`: a constant, terms
of the person's state, the spread of the joint's samples, and the root mean square of the spread
over all joints."""
STILL_TERMS = 7
"""Number of the first TERMS, whose inputs are the same at every future frame."""
# The part `others` holds the joints of the trunk and the head.
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
    """The data of the calibration set, and the meaning of the axes of the calibration's tensors.

    - `calibration.terms` (G, A, K): weights of the A TERMS of the expected error, for G PARTS.
    - `calibration.scale` (C, R, G, B, K) and `calibration.pace_scale` (C, R, Q, K): factors that
      turn the expected error into a radius.
    - `calibration.pace_floor` (C, R, K), seconds: lower limit of the radius, divided by the speed
      of the root.
    - `calibration.body_scale` (C, R, V, K): further factors of the radii, with which the balls
      hold all joints of a person at once.
    """

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)

    kind: Literal['floored']
    coverages: Annotated[tuple[Probability, ...], Field(min_length=1)]
    """The C calibrated coverages (probabilities), ascending: those for which data suffice."""
    samples: Annotated[tuple[Frame, ...], Field(min_length=1)]
    """The R numbers of samples per person for which the calibration was fitted."""
    frames: Annotated[tuple[Frame, ...], Field(min_length=1)]
    """The K calibrated future frames, ascending, from 1. Values for other frames are interpolated
    linearly."""
    speeds: tuple[Speed, ...]
    """Limits between the B groups by the speed of a joint, ascending, m/s."""
    body_speeds: tuple[Speed, ...]
    """Limits between the V groups by the speed of a person's fastest joint, ascending, m/s."""
    paces: tuple[Speed, ...]
    """Limits between the Q groups by the horizontal speed of the root, ascending, m/s."""
    people: Count
    """Number of people in the calibration set."""
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
        """Return the shape of each tensor of the calibration, by the name of the tensor."""
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
            coverage: one of `coverages`. If `coverage` is None, the coverage is 0.95, or the
                highest calibrated coverage if 0.95 is not calibrated.

        Raises:
            ValueError: if the coverage is not calibrated. The error message is one sentence.
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
        """Return which entry of `samples` to use for predictions with this number of samples.

        The result is the index of the largest entry that is not above this number; None if all
        entries are larger. With fewer samples, the mean is worse and the spread smaller. So a
        calibration for fewer samples is cautious for more samples.
        """
        fewer = [n for n in self.samples if n <= samples]
        return self.samples.index(max(fewer)) if fewer else None


def parts_of(layout: Layout) -> list[int]:
    """Return, for each joint of a layout, the index in PARTS of its part of the body."""
    parts = []
    for joint in layout.joints:
        name = layout.common_name(joint)
        found = [part for word, part in _PART_OF.items() if word in name]
        parts.append(found[0] if found else PARTS.index('others'))
    return parts
