"""Checks that poses have the size of people in metres and that z points up.

If a check fails, the result is a sentence that says what is wrong and what to do.
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from motion_predictor.tracking.body import SMALLEST, Body
from motion_predictor.tracking.median import median

FloatArray = NDArray[np.float32]

TALL_M = 1.7
"""Height of a person whose limbs are as long as those of `Body`."""
LARGEST = 2.2
"""Largest accepted size (larger than any adult), as a multiple of the size in `Body`."""
UNITS = {'millimetres': 1000.0, 'centimetres': 100.0, 'inches': 39.37, 'feet': 3.281}
FEW_LIMBS, MOST_LIMBS = 5, 12
"""Least number of known limbs to judge the size of a body, and to judge its proportions."""
MISFIT = 0.4
"""Limit of the median deviation of the logarithms of limb lengths from the logarithms for a body
of the same size. For recorded people, the median deviation is 0.14 at most. For joints in a wrong
order, the median deviation is typically 0.6."""
UPRIGHT, ALONG = 0.5, 0.82
"""Limits of the cosine of the angle between the trunk and an axis. If the cosine for z is above
UPRIGHT, the person stands. If the cosine for an axis is at least ALONG, the person seems to lie
along that axis."""
VOTES_LEAST, VOTES_MOST, TIMES = 30, 900, 4
"""Least number of poses for a verdict, greatest number of remembered poses, and least ratio of
poses with wrong axes to poses with right axes."""
BACKWARD_M = 0.03
"""Least distance between a foot and its ankle for the foot to count as ahead or behind."""


def limbs_of(body: Body, pose: FloatArray) -> NDArray[np.float64]:
    """Return the length of the limb from each joint of a pose to its parent, NaN if unknown (J,).

    Args:
        body: shape of a body in the layout of the pose.
        pose: positions of the joints, metres, NaN = missing (J, 3).
    """
    with np.errstate(invalid='ignore'):  # infinite positions may come in and give NaN
        lengths = np.linalg.norm(pose.astype(np.float64) - pose[body.parents], axis=-1)
    lengths[0] = np.nan
    return lengths


def wrong_size(body: Body, limbs_m: NDArray[np.floating]) -> str:
    """Return a sentence if the limbs are too long or too short for a person, otherwise ''.

    If fewer than FEW_LIMBS lengths are known, the result is ''.

    Args:
        body: shape of a body in the layout of the limbs.
        limbs_m: length of the limb from each joint to its parent, metres, NaN = unknown (J,).
    """
    told = np.isfinite(limbs_m) & (body.lengths > 0)
    if told.sum() < FEW_LIMBS:
        return ''
    size = float(median(limbs_m[told] / body.lengths[told]))
    if SMALLEST <= size <= LARGEST:
        return ''
    likely = [unit for unit, many in UNITS.items() if 0.5 <= size / many <= 1.6]
    guess = f': positions seem to be in {likely[0]}' if likely else ''
    return (
        f'a body of about {TALL_M * size:.3g} m is not the size of a person{guess}; send '
        'metres (REP-103)'
    )


def wrong_proportions(body: Body, limbs_m: NDArray[np.floating]) -> str:
    """Return a sentence if the proportions of the limbs do not fit a person, otherwise ''.

    Args:
        body: shape of a body in the layout of the limbs.
        limbs_m: length of the limb from each joint to its parent, metres, NaN = unknown (J,).
    """
    told = np.isfinite(limbs_m) & (body.lengths > 0.05) & (limbs_m > 0)
    if told.sum() < MOST_LIMBS:
        return ''
    ratios = np.log(limbs_m[told] / body.lengths[told])
    if float(median(np.abs(ratios - median(ratios)))) <= MISFIT:
        return ''
    return (
        'the limb lengths do not fit a person: the joints seem to come in another order '
        'than their names, or in another layout; check joint_names and layout'
    )


class Axes:
    """Checks, by many poses of a source, that z points up and that sides are not mirrored.

    Args:
        body: shape of a body in the layout of the poses.
    """

    def __init__(self, body: Body) -> None:
        self._body = body
        self._lying: Counter[str] = Counter()
        self._sides: Counter[str] = Counter()

    def see(self, pose: FloatArray) -> None:
        """Include a pose in the check (J, 3), NaN = missing."""
        if self._body.neck is not None:
            trunk = pose[self._body.neck].astype(np.float64) - pose[0]
            length = np.linalg.norm(trunk)
            if length > 0:  # this is false if the length is NaN
                self._vote(trunk / length)
        if self._body.hips is not None and self._body.feet:
            left = pose[self._body.hips[0], :2] - pose[self._body.hips[1], :2]
            forward = np.array([left[1], -left[0]]) / max(float(np.linalg.norm(left)), 1e-6)
            for ankle, foot in self._body.feet:
                ahead_m = float((pose[foot, :2] - pose[ankle, :2]) @ forward)
                if abs(ahead_m) > BACKWARD_M:
                    side = 'ahead' if ahead_m > 0 else 'back'
                    self._sides[side] = min(self._sides[side] + 1, VOTES_MOST)

    def _vote(self, trunk: NDArray[np.floating]) -> None:
        axis = int(np.argmax(np.abs(trunk)))
        name = ('-' if trunk[axis] < 0 else '') + 'xyz'[axis]
        if trunk[2] > UPRIGHT:
            name = 'z'
        elif abs(trunk[axis]) < ALONG:
            return
        self._lying[name] = min(self._lying[name] + 1, VOTES_MOST)

    def wrong(self) -> str:
        """Return a sentence if axes, or left and right, seem to be wrong, otherwise ''."""
        up, votes = self._lying['z'], self._lying - Counter(z=VOTES_MOST)
        (axis, lying), *_ = votes.most_common(1) or [('', 0)]
        if lying >= VOTES_LEAST and lying > TIMES * up:
            return (
                f'everybody seems to lie along {axis}, so {axis} seems to point up instead '
                'of z: set fixed_frame to a frame with z up, and without tf also '
                'input_transform'
            )
        ahead, back = self._sides['ahead'], self._sides['back']
        if back >= 2 * VOTES_LEAST and back > TIMES * ahead:
            return (
                'toes point backwards, so left and right seem to be mirrored: check the '
                'joint names of the source, and whether its image is mirrored'
            )
        return ''
