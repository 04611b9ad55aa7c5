"""Reads one person from a list of poses, one pose per joint."""

from typing import Any

import numpy as np

from motion_predictor.sources.source import Bodies, InputError, as_floats, stamp_of


class PoseArraySource:
    """Reads geometry_msgs/PoseArray. An empty array means that nobody is there.

    Args:
        joint_names: names of the joints, in the order of the poses.
        layout: name of the skeleton layout with these joints; empty if there is none.
    """

    kind = 'geometry_msgs/msg/PoseArray'
    topic = 'poses'
    optical = False

    def __init__(self, joint_names: tuple[str, ...], layout: str) -> None:
        self._joint_names = joint_names
        self._layout = layout

    def read(self, message: Any) -> Bodies:
        """Return the people in a message."""
        stamp_ns = stamp_of(message.header)
        if not len(message.poses):
            return Bodies(stamp_ns, message.header.frame_id)
        if len(message.poses) != len(self._joint_names):
            raise InputError(
                f'expected one pose for each of {len(self._joint_names)} joints, from '
                f'{self._joint_names[0]} to {self._joint_names[-1]}, got '
                f'{len(message.poses)}'
            )
        places = [(p.x, p.y, p.z) for p in (pose.position for pose in message.poses)]
        return Bodies(
            stamp_ns,
            message.header.frame_id,
            ['person'],
            as_floats(np.array(places))[None],
            self._joint_names,
            self._layout,
        )
