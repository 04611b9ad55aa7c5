"""Checks by tf whether the coordinate frame of the predictions moves.

In a moving coordinate frame all people seem to move.
"""

from collections import deque
from typing import NamedTuple

import numpy as np

from motion_predictor.common.rigid import Rigid
from motion_predictor.ros.common.transforms import Tf

FIXED = ('odom', 'map', 'world', 'earth')
"""Fixed frames of REP-105, the smoothest first."""
ASK_EVERY_NS, LOOK_BACK_NS, HOLD_NS = 50_000_000, 500_000_000, 1_000_000_000
"""Period of the checks; time span over which movement is measured; time for which a frame still
counts as moving after its last movement. After this time, no history contains an observation from
the movement."""
WAY_M, TURN_RAD = 0.03, 0.02
"""Movement within `LOOK_BACK_NS` that localisation alone may cause. The turn moves a person at a
distance of 3 m by 6 cm."""
OLDEST_S = 1.0
"""Transforms older than this are ignored."""
WATCHED = 8


class _Place(NamedTuple):
    now_ns: int
    rigid: Rigid


class Footing:
    """Checks by tf whether coordinate frames of the input move.

    Args:
        tf: source of the transforms; None if tf2_ros is not installed.
    """

    def __init__(self, tf: Tf | None) -> None:
        self._tf = tf
        self.clear()

    def clear(self) -> None:
        """Forget all earlier poses of all frames, for example when time jumps."""
        self._watched: dict[str, _Frame] = {}
        self._newest: _Frame | None = None

    @property
    def doubt(self) -> str:
        """Warning that tf cannot tell whether the input's present frame moves; else empty."""
        newest = self._newest
        if newest is None or newest.is_fixed or newest.fixed:
            return ''
        return (
            f"frame '{newest.name}' of the input may move, and tf does not say whether it "
            'does: set fixed_frame to a frame of tf that stands still '
            f'({", ".join(FIXED)})'
        )

    def moves(self, frame_id: str, now_ns: int) -> str:
        """Return a warning if the frame moves. The warning says how to correct the setup.

        The warning is empty if the frame stands still, or if tf does not know its movement.

        Args:
            frame_id: frame in which people are predicted.
            now_ns: ROS time.
        """
        if frame_id not in self._watched:
            if len(self._watched) >= WATCHED:
                self._watched.clear()
            self._watched[frame_id] = _Frame(frame_id)
        frame = self._newest = self._watched[frame_id]
        if self._tf is None or frame.is_fixed or not frame.moves(self._tf, now_ns):
            return ''
        return (
            f"frame '{frame_id}' moves in '{frame.fixed}', so everybody in it seems to "
            f"move: set fixed_frame to '{frame.fixed}', and the node transforms the input "
            'by tf'
        )


class _Frame:
    """One coordinate frame of the input, with its recent poses in a fixed frame."""

    def __init__(self, name: str) -> None:
        self.name = name
        prefix, slash, last = name.rpartition('/')
        self.is_fixed = last in FIXED
        self.fixed = ''
        """The fixed frame in which tf knows the pose of this frame; empty if none is found yet."""
        self._references = [prefix + slash + fixed for fixed in FIXED] + [*FIXED] * bool(slash)
        self._places: deque[_Place] = deque()
        self._asked_ns: int | None = None
        self._moved_ns: int | None = None

    def moves(self, tf: Tf, now_ns: int) -> bool:
        if self._asked_ns is None or not 0 <= now_ns - self._asked_ns < ASK_EVERY_NS:
            self._asked_ns = now_ns
            self._look(tf, now_ns)
        return self._moved_ns is not None and 0 <= now_ns - self._moved_ns <= HOLD_NS

    def _look(self, tf: Tf, now_ns: int) -> None:
        """Read the pose of the frame, and compare it with the oldest recent pose."""
        place = self._place(tf, now_ns)
        if place is None:
            return
        self._places.append(_Place(now_ns, place))
        while not 0 <= now_ns - self._places[0].now_ns <= LOOK_BACK_NS:
            self._places.popleft()
        before = self._places[0].rigid
        way_m = np.linalg.norm(place.translation - before.translation)
        # The Frobenius norm of the difference of the rotations is 2 sqrt(2) sin(angle / 2).
        turn_rad = np.linalg.norm(place.rotation - before.rotation) / 2**0.5
        if way_m > WAY_M or turn_rad > TURN_RAD:
            self._moved_ns = now_ns

    def _place(self, tf: Tf, now_ns: int) -> Rigid | None:
        """Return the frame's pose in the first of the `FIXED` frames that tf knows."""
        for name in [self.fixed] if self.fixed else self._references:
            place = tf.newest(name, self.name, now_ns, OLDEST_S)
            if place is not None:
                self.fixed = name
                return place
        return None
