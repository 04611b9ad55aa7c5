"""Reads bodies of REP-155 (ROS4HRI): ids from a message, joints from tf frames."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from motion_predictor.skeleton import known_layouts
from motion_predictor.sources.source import Bodies, InputError, check_count, stamp_of

MAX_BEHIND_NS = 100_000_000
"""A body counts as no longer seen if another body's frames are newer by more than this."""


class Place(NamedTuple):
    """Position of a tf frame at a stamp."""

    stamp_ns: int
    position: tuple[float, float, float]


Lookup = Callable[[str, int | None], Place | None]
"""Returns the position of a tf frame at a stamp, or at its newest stamp if the stamp is None.
Returns None if the position is unknown."""


class Ros4HriSource:
    """Reads the ids of bodies from hri_msgs/IdsList, and their joints from tf frames."""

    kind = 'hri_msgs/msg/IdsList'
    topic = '/humans/bodies/tracked'
    optical = False

    def __init__(self) -> None:
        self._layout = known_layouts()['rep155']
        self._ids: list[str] = []
        self._sampled_ns = 0

    def read(self, message: Any) -> Bodies | None:
        """Remember the ids of the tracked people.

        Return `Bodies` without people if there are no ids, else None.
        """
        check_count(len(message.ids))
        self._ids = list(dict.fromkeys(message.ids))
        if self._ids:
            return None
        return Bodies(stamp_of(message.header), message.header.frame_id)

    def forget(self) -> None:
        """Forget the ids of the tracked people, for example when time jumps."""
        self._ids, self._sampled_ns = [], 0

    def sample(self, lookup: Lookup, frame_id: str) -> Bodies | None:
        """Return all tracked people at the newest stamp for which all have tf frames.

        Args:
            lookup: function that returns positions of tf frames in `frame_id`.
            frame_id: frame in which the positions are returned.

        Returns:
            The people; None if nobody is tracked, or if the stamp is not newer than at the last
            call.

        Raises:
            InputError: if no tracked body has tf frames.
        """
        if not self._ids:
            return None
        root = self._layout.joint_names[0]
        newest = {person: lookup(f'{root}_{person}', None) for person in self._ids}
        stamps = {person: place.stamp_ns for person, place in newest.items() if place}
        if not stamps:
            raise InputError(
                f'tf has no frame {root}_{self._ids[0]} in {frame_id}: start the node that '
                'publishes the tracked bodies'
            )
        there = [p for p, stamp in stamps.items() if stamp > max(stamps.values()) - MAX_BEHIND_NS]
        stamp_ns = min(stamps[person] for person in there)
        if stamp_ns <= self._sampled_ns:
            return None
        self._sampled_ns = stamp_ns
        nowhere = (np.nan, np.nan, np.nan)
        found = [
            [lookup(f'{joint}_{person}', stamp_ns) for joint in self._layout.joint_names]
            for person in there
        ]
        positions = [[place.position if place else nowhere for place in body] for body in found]
        return Bodies(
            stamp_ns,
            frame_id,
            there,
            np.array(positions, np.float32),
            self._layout.joint_names,
            self._layout.name,
            rejected=+Counter({'body without frames': len(self._ids) - len(there)}),
        )
