"""Decides whether bodies with balls around their joints touch capsules, for many radii at once.

Balls of several radii share the same joints, so the distances of joints from the axes of the
capsules are computed once. The distances of the joints give a lower and an upper bound of the
distance of each limb. If the two bounds do not decide whether a limb touches a capsule, the
distance of the limb is computed exactly, as in `planning`.
"""

import numpy as np
from numpy.typing import NDArray

from motion_predictor.planning.capsules import point_to_segment, segment_to_segment
from motion_predictor.planning.flesh import Limbs
from motion_predictor_training.shield.arm import Stop

FloatArray = NDArray[np.floating]


class Near:
    """N bodies beside the Q capsules of one stop of the arm.

    Args:
        joints: joints at the time of each capsule, metres, in the arm's coordinates (N, Q, J, 3).
        stop: stop of the arm, with its Q capsules.
        limbs: limbs of the bodies.
    """

    def __init__(self, joints: FloatArray, stop: Stop, limbs: Limbs) -> None:
        self._joints, self._stop, self._limbs = joints, stop, limbs
        shape = joints.shape[:3]
        points = joints.reshape(-1, 3).astype(np.float64)
        each = np.broadcast_to(np.arange(shape[1])[None, :, None], shape).reshape(-1)
        axis_m = np.sqrt(point_to_segment(points, stop.starts[each], stop.ends[each]))
        first, second = limbs.ends.T
        ends_m = axis_m.reshape(shape)[..., limbs.ends]  # (N, Q, C, 2)
        length_m = np.linalg.norm(joints[:, :, first] - joints[:, :, second], axis=-1)
        self._at_least = (ends_m.sum(-1) - length_m) / 2 - 1e-6
        self._at_most = ends_m.min(-1)
        self._flesh_m = limbs.radii + stop.radii[:, None]  # (Q, C)
        gap_m = self._at_least - self._flesh_m
        self._apart_m = gap_m.min((1, 2)) if len(stop.radii) else np.full(shape[0], np.inf)

    def touched(
        self, radius: FloatArray | None = None, asked: NDArray[np.bool_] | None = None
    ) -> NDArray[np.bool_]:
        """Return whether each body touches a capsule (N,).

        Args:
            radius: radii of balls around the joints, metres (N, Q, J); None for no balls. A limb
                is thickened by the larger radius of its two joints.
            asked: whether each body is to be checked (N,); None for all. The result for a body
                that is not checked is False.
        """
        touched = np.zeros(len(self._apart_m), bool)
        may = self._apart_m <= (0.0 if radius is None else radius.max((1, 2), initial=0.0))
        own = np.flatnonzero(may if asked is None else may & asked)
        reach: FloatArray = self._flesh_m[None]
        if radius is not None:
            reach = reach + radius[own][..., self._limbs.ends].max(-1)  # (n, Q, C)
        sure = (self._at_most[own] <= reach).any((1, 2))
        n, q, c = np.nonzero((self._at_least[own] <= reach) & ~sure[:, None, None])
        first, second = self._limbs.ends[c].T
        distance_m = segment_to_segment(
            self._joints[own[n], q, first].astype(np.float64),
            self._joints[own[n], q, second].astype(np.float64),
            self._stop.starts[q],
            self._stop.ends[q],
        )
        limit = np.broadcast_to(reach, (len(own), *reach.shape[1:]))[n, q, c]
        sure[n[distance_m <= limit]] = True
        touched[own] = sure
        return touched
