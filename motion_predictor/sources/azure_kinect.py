"""Reads the body tracking of the Azure Kinect driver, which sends one marker per joint."""

from typing import Any

import numpy as np

from motion_predictor.skeleton import known_layouts
from motion_predictor.sources.source import (
    MAX_PEOPLE,
    Bodies,
    InputError,
    gather,
    stamp_of,
)

IDS_A_BODY = 100
"""A marker's id is 100 * body + joint."""
DELETE, DELETEALL = 2, 3
"""Values of Marker.action."""
MAX_SPREAD_NS = 50_000_000
"""Greatest difference between the stamps of the markers in a message."""


class AzureKinectSource:
    """Reads visualization_msgs/MarkerArray.

    Every message holds all people in view. Earlier markers that a message does not repeat are
    gone, even if their lifetime is not over. An empty message means that nobody is there.
    """

    kind = 'visualization_msgs/msg/MarkerArray'
    topic = 'body_tracking_data'
    optical = True

    def __init__(self) -> None:
        self._layout = known_layouts()['azure32']

    def read(self, message: Any) -> Bodies:
        """Return the people in a message."""
        if len(message.markers) > MAX_PEOPLE * IDS_A_BODY:
            raise InputError(
                f'a message of {len(message.markers)} markers is refused as too large'
            )
        markers = _shown(message.markers)
        if not markers:
            headers = [m.header for m in message.markers if m.header.stamp.sec > 0]
            if not headers:
                return Bodies(None, '')
            return Bodies(stamp_of(headers[-1]), headers[-1].frame_id)
        frames = {marker.header.frame_id for marker in markers}
        if len(frames) > 1:
            raise InputError(
                f'all markers of a message must come in one frame, got {", ".join(sorted(frames))}'
            )
        stamps = {(m.header.stamp.sec, m.header.stamp.nanosec): m.header for m in markers}
        oldest, newest = stamp_of(stamps[min(stamps)]), stamp_of(stamps[max(stamps)])
        if newest - oldest > MAX_SPREAD_NS:
            raise InputError(
                'the markers of a message must be captured at one time, got '
                f'{(newest - oldest) / 1e9:.3f} s apart'
            )
        places = [(p.x, p.y, p.z) for p in (marker.pose.position for marker in markers)]
        numbers = np.array([marker.id for marker in markers], np.int64)
        owners, joints = np.divmod(numbers, IDS_A_BODY)
        joints[numbers < 0] = -1
        count = len(self._layout.joints)
        ids, positions, rejected = gather(owners, joints, np.array(places), count)
        return Bodies(
            oldest,
            frames.pop(),
            ids,
            positions,
            self._layout.joint_names,
            self._layout.name,
            rejected=rejected,
        )


def _shown(markers: Any) -> list[Any]:
    """Return the markers that remain after all add and delete actions of a message."""
    actions = [marker.action for marker in markers]
    if DELETE not in actions and DELETEALL not in actions:
        return list(markers)
    shown: list[Any] = []
    for marker in markers:
        if marker.action == DELETEALL:
            shown.clear()
        elif marker.action == DELETE:
            shown = [m for m in shown if (m.ns, m.id) != (marker.ns, marker.id)]
        else:
            shown.append(marker)
    return shown
