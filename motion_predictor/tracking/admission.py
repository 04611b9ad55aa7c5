"""Decides which poses of a message can be used, and says why others cannot."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motion_predictor.tracking.body import Body
from motion_predictor.tracking.plausibility import limbs_of, wrong_proportions, wrong_size
from motion_predictor.tracking.scene import Observation

FloatArray = NDArray[np.float32]

MAX_COORDINATE_M = 1e4
"""Greatest accepted coordinate. Farther from the origin, the resolution of float32 is a millimetre
at best."""
MAX_TRACKED = 100
"""Greatest number of people who are followed. A faulty tracker may invent ids without end."""


class Admission:
    """Decides which poses of a message can be used.

    Args:
        body: shape of a body in the layout of the poses.
        rejected: counter of the poses that cannot be used, by reason.
        remarks: dictionary for sentences that say what is wrong and what to do, by reason.
    """

    def __init__(self, body: Body, rejected: Counter[str], remarks: dict[str, str]) -> None:
        self._body = body
        self._rejected = rejected
        self._remarks = remarks

    def __call__(
        self, observations: Sequence[Observation], robot: NDArray[np.floating]
    ) -> dict[str, tuple[FloatArray, bytes]]:
        """Return the poses that can be used (J, 3) and the bytes that the source sent, by id.

        Args:
            observations: all people in a message.
            robot: position of the robot, metres (3,). If there are more than MAX_TRACKED people,
                the people nearest to the robot are kept.
        """
        readable: dict[str, tuple[FloatArray, bytes]] = {}
        for observation in observations:
            positions = np.asarray(observation.positions, np.float32)
            limbs_m = limbs_of(self._body, positions)
            if sentence := wrong_size(self._body, limbs_m):
                sentence = wrong_proportions(self._body, limbs_m) or sentence
                self._rejected['not the size of a person'] += 1
                self._remarks['not the size of a person'] = sentence
                continue
            positions = usable(positions)
            if np.isnan(positions).all():
                self._rejected['no joint observed'] += 1
            elif observation.id in readable:
                self._rejected['id twice in one message'] += 1
            else:
                said = observation.sent or positions.tobytes()
                readable[observation.id] = positions, said
        if len(readable) <= MAX_TRACKED:
            return readable
        self._rejected['too many people'] += len(readable) - MAX_TRACKED
        places = [np.nanmean(positions, axis=0) for positions, _ in readable.values()]
        nearest = np.argsort(np.linalg.norm(places - robot, axis=-1), kind='stable')
        ids = list(readable)
        return {ids[i]: readable[ids[i]] for i in sorted(nearest[:MAX_TRACKED])}


def usable(positions: FloatArray) -> FloatArray:
    """Return a pose (J, 3) with NaN for joints that are not finite, or too far from the origin."""
    positions = np.asarray(positions, np.float32)
    # A comparison with NaN is false, so a joint with NaN counts as missing.
    there = np.logical_and.reduce(np.abs(positions) < MAX_COORDINATE_M, axis=-1)  # (J,)
    return np.where(there[:, None], positions, np.float32(np.nan))
