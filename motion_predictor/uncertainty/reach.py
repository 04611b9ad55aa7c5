"""How far a person can get: balls that grow with the speeds of ISO 13855."""

import numpy as np
from numpy.typing import NDArray

from motion_predictor.skeleton import Layout

FloatArray = NDArray[np.float32]
BODY_M_S, HAND_M_S = 1.6, 2.0
"""Speeds of a walking person and of a hand in ISO 13855."""
HANDS = ('l_wrist', 'r_wrist', 'l_hand', 'r_hand')


def greatest_speed(layout: Layout) -> FloatArray:
    """Return the speed (J,) in m/s that ISO 13855 gives each joint."""
    names = [layout.common_name(joint) for joint in layout.joints]
    return np.array([HAND_M_S if name in HANDS else BODY_M_S for name in names], np.float32)


def reachable(
    mean: FloatArray, newest: FloatArray, speed: FloatArray, human: FloatArray, times: FloatArray
) -> FloatArray:
    """Return radii (P, F, J), metres, of balls around the mean that hold everything reachable.

    Each joint can move from its last seen position, at most with its own speed plus that of the
    standard.

    Args:
        mean: (P, F, J, 3) metres, the centres of the balls.
        newest: (P, J, 3) metres, where the joints were last seen.
        speed: (P, J) m/s, speed of each joint when it was last seen.
        human: (J,) m/s, speed of the standard (`greatest_speed`).
        times: (F,) seconds after the joints were last seen.
    """
    way = np.linalg.norm(mean - newest[:, None], axis=-1)
    return way + (speed + human)[:, None] * times[:, None]
