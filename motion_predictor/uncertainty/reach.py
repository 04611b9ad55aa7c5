"""Computes how far a person can get: balls that grow with the speeds of ISO 13855."""

import numpy as np
from numpy.typing import NDArray

from motion_predictor.skeleton import Layout

FloatArray = NDArray[np.float32]
BODY_M_S, HAND_M_S = 1.6, 2.0
"""Speeds that ISO 13855 gives for a walking person and for a hand."""
HANDS = ('l_wrist', 'r_wrist', 'l_hand', 'r_hand')


def greatest_speed(layout: Layout) -> FloatArray:
    """Return the speed that ISO 13855 gives for each joint of a layout, (J,) m/s."""
    names = [layout.common_name(joint) for joint in layout.joints]
    return np.array([HAND_M_S if name in HANDS else BODY_M_S for name in names], np.float32)


def reachable(
    mean: FloatArray, newest: FloatArray, speed: FloatArray, human: FloatArray, times: FloatArray
) -> FloatArray:
    """Return radii of balls that hold all positions that a joint can reach, (P, F, J) metres.

    The greatest speed at which a joint can leave its last seen position is its last speed plus the
    speed that ISO 13855 gives. The centres of the balls are the predicted means.

    Args:
        mean: centres of the balls, (P, F, J, 3) metres.
        newest: last seen positions of the joints, (P, J, 3) metres.
        speed: speed of each joint when it was last seen, (P, J) m/s.
        human: speed that the standard gives for each joint (`greatest_speed`), (J,) m/s.
        times: times of the F frames, in seconds after the joints were last seen, (F,).
    """
    way = np.linalg.norm(mean - newest[:, None], axis=-1)
    return way + (speed + human)[:, None] * times[:, None]
