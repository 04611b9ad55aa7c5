"""Reads marker-based motion capture (Vicon, OptiTrack, ...) through mocap4r2."""

from typing import Any

import numpy as np

from motion_predictor.skeleton import Layout, common_names_of
from motion_predictor.sources.source import Bodies, InputError, gather, stamp_of

MAX_REMEMBERED_NAMES = 10_000


class Mocap4r2Source:
    """Reads mocap4r2_msgs/Markers, whose markers are named person:joint.

    Args:
        layout: skeleton layout. Markers that are not named after a joint of the layout are
            ignored.
        separator: text between person and joint in the name of a marker. All markers whose names
            lack the separator belong to one person.
    """

    kind = 'mocap4r2_msgs/msg/Markers'
    topic = 'markers'
    optical = False

    def __init__(self, layout: Layout, separator: str) -> None:
        if not separator:
            raise InputError('marker_separator must not be empty')
        self._layout = layout
        self._separator = separator
        self._known: dict[str, tuple[str, int]] = {}

    def read(self, message: Any) -> Bodies:
        """Return the people in a message."""
        stamp_ns = stamp_of(message.header)
        frame_id = message.header.frame_id
        if not len(message.markers):
            return Bodies(stamp_ns, frame_id)
        if len(self._known) > MAX_REMEMBERED_NAMES:
            self._known.clear()
        found = [self._find(marker.marker_name) for marker in message.markers]
        places = [(p.x, p.y, p.z) for p in (marker.translation for marker in message.markers)]
        joints = np.array([joint for _, joint in found], np.int64)
        ours = joints >= 0
        # Refuse the message, because a person may be there under other marker names.
        if not ours.any():
            named = ', '.join(repr(m.marker_name) for m in message.markers[:5])
            raise InputError(
                f'none of the {len(found)} markers ({named}, ...) is a joint of '
                f'{self._layout.name}: set input_layout'
            )
        owners = np.array([person for person, _ in found])
        count = len(self._layout.joints)
        ids, positions, rejected = gather(
            owners[ours], joints[ours], np.array(places)[ours], count
        )
        names = self._layout.joint_names
        return Bodies(
            stamp_ns, frame_id, ids, positions, names, self._layout.name, rejected=rejected
        )

    def _find(self, name: str) -> tuple[str, int]:
        """Return the person and the joint index of a marker; index -1 if it is not a joint."""
        if name not in self._known:
            person, _, joint = name.rpartition(self._separator)
            common = common_names_of([joint], self._layout)[0]
            index = self._layout.index(common) if joint else None
            self._known[name] = person or 'person', -1 if index is None else index
        return self._known[name]
