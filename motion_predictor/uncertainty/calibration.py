"""The calibration that a checkpoint holds: what its radii were fitted to, and for which cases."""

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from motion_predictor.skeleton import Layout

TERMS = (
    'floor',
    'speed',
    'acceleration',
    'body_acceleration',
    'root_speed',
    'jitter',
    'spread',
    'body_spread',
)
"""What an expected error is made of, in the order of the tensor: a constant, the state of the
person, the spread of the samples of the joint and that of all joints in root mean square."""
STILL_TERMS = 6
"""Number of the first terms, which are the same at every frame."""
PARTS = ('wrists', 'elbows', 'feet', 'knees', 'hips', 'others')
_PART_OF = {'wrist': 0, 'hand': 0, 'thumb': 0, 'elbow': 1, 'ankle': 2, 'foot': 2, 'heel': 2}
_PART_OF |= {'toe': 2, 'knee': 3, 'hip': 4, 'pelvis': 4, 'spine1': 4}
USUAL = 0.95
"""The default coverage."""

Frame = Annotated[int, Field(ge=1, le=10_000)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Probability = Annotated[float, Field(gt=0, lt=1)]
Speed = Annotated[float, Field(gt=0)]


class Calibration(BaseModel):
    """What the tensors of a calibration were fitted to and how they are to be read.

    `calibration.terms` (G, A, K) says how the expected error grows with each of the A TERMS, for
    each of G PARTS; `calibration.scale` (C, R, G, B, K) and `calibration.pace_scale` (C, R, Q, K)
    what that is to be multiplied by to keep the promise, and `calibration.body_scale` (C, R, V, K)
    what radii are to be multiplied by to hold the whole body.
    """

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)

    kind: Literal['conditional']
    coverages: Annotated[tuple[Probability, ...], Field(min_length=1)]
    """C probabilities, ascending, that the calibration data carries."""
    samples: Annotated[tuple[Frame, ...], Field(min_length=1)]
    """R numbers of samples per person that means and spreads were computed from."""
    frames: Annotated[tuple[Frame, ...], Field(min_length=1)]
    """K future frames, ascending, the next one being 1; between them, everything is linear."""
    speeds: tuple[Speed, ...]
    """m/s, ascending, that part the B groups of a joint's own speed."""
    body_speeds: tuple[Speed, ...]
    """m/s, ascending, that part the V groups of the fastest joint's speed."""
    paces: tuple[Speed, ...]
    """m/s, ascending, that part the Q groups of the root's speed over the ground."""
    people: Count
    """So many were calibrated on."""
    windows: Count
    """So many of their windows lie half a second apart."""

    @model_validator(mode='after')
    def _ascends(self) -> 'Calibration':
        for name in ('coverages', 'frames', 'speeds', 'body_speeds', 'paces'):
            values = getattr(self, name)
            if list(values) != sorted(set(values)):
                raise ValueError(f'{name} do not ascend')
        return self

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the tensors, by name."""
        coverages, rungs, knots = len(self.coverages), len(self.samples), len(self.frames)
        speeds, body_speeds = len(self.speeds) + 1, len(self.body_speeds) + 1
        return {
            'calibration.terms': (len(PARTS), len(TERMS), knots),
            'calibration.scale': (coverages, rungs, len(PARTS), speeds, knots),
            'calibration.pace_scale': (coverages, rungs, len(self.paces) + 1, knots),
            'calibration.body_scale': (coverages, rungs, body_speeds, knots),
        }

    def choose(self, coverage: float | None) -> int:
        """Return which of the coverages is asked for; None is 0.95, or else the highest.

        Raises:
            ValueError: in one sentence, if it is none of them.
        """
        if coverage is None:
            coverage = USUAL if USUAL in self.coverages else self.coverages[-1]
        nearest = int(np.argmin(np.abs(np.array(self.coverages) - coverage)))
        if abs(self.coverages[nearest] - coverage) > 1e-6:
            raise ValueError(
                f'a coverage of {coverage:g} is not to be had: the calibration data, '
                f'{self.windows} windows of {self.people} people, carries '
                f'{", ".join(f"{c:g}" for c in self.coverages)}'
            )
        return nearest

    def rung(self, samples: int) -> int | None:
        """Return which of the numbers of samples stands for so many, None if all are more.

        It is the largest that is not greater: means of fewer are worse and their spread is
        smaller, so that what was fitted to them is on the safe side for more.
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
