"""Reads people from point clouds whose points contain the numbers of a person and a joint."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion_predictor.sources.source import (
    MAX_JOINTS,
    MAX_PEOPLE,
    Bodies,
    InputError,
    gather,
    stamp_of,
)

FIELDS = ('x', 'y', 'z', 'joint', 'person', 'confidence')
"""Default names of the fields. Only the field for the confidence is optional."""


class PointCloudSource:
    """Reads sensor_msgs/PointCloud2. An empty cloud means that nobody is there.

    Args:
        joint_names: names of joint 0, joint 1 and so on.
        layout: name of the skeleton layout with these joints; empty if there is none.
        fields: names of the point fields for x, y, z, joint, person and (optional) confidence.
        read_points: function `read_points` of `sensor_msgs_py.point_cloud2` or `pointcloud2`.
    """

    kind = 'sensor_msgs/msg/PointCloud2'
    topic = 'skeleton_points'
    optical = False

    def __init__(
        self,
        joint_names: tuple[str, ...],
        layout: str,
        fields: Sequence[str],
        read_points: Callable[..., NDArray[Any]],
    ) -> None:
        if len(fields) not in (5, 6) or len(set(fields)) != len(fields) or '' in fields:
            raise InputError(
                'point_fields must name x, y, z, joint, person and optionally confidence, '
                f'got {list(fields)}'
            )
        self._joint_names = joint_names
        self._layout = layout
        self._fields = list(fields)
        self._read_points = read_points

    def read(self, message: Any) -> Bodies:
        """Return the people in a message."""
        stamp_ns = stamp_of(message.header)
        if message.width * message.height > MAX_PEOPLE * MAX_JOINTS:
            raise InputError(
                f'a cloud of {message.width * message.height} points is refused as too large'
            )
        if not message.width * message.height:
            return Bodies(stamp_ns, message.header.frame_id)
        there = {point_field.name for point_field in message.fields}
        if missing := [name for name in self._fields[:5] if name not in there]:
            raise InputError(
                f'the cloud has no field {", ".join(missing)}: it has {", ".join(sorted(there))}'
            )
        wanted = [name for name in self._fields if name in there]
        try:
            points = self._read_points(message, field_names=wanted)
        except Exception as error:  # read_points may raise any kind of error
            raise InputError(f'the cloud cannot be read: {error}') from error
        columns = [points[name].astype(np.float64).ravel() for name in wanted]
        numbers = np.stack(columns[:3] + columns[5:], axis=-1)  # (N, 3 or 4)
        owners = _whole(columns[4])
        if (owners == NOT_WHOLE).any():
            raise InputError(f'field {wanted[4]} must hold the number of a person, a whole number')
        joints = len(self._joint_names)
        ids, table, rejected = gather(owners, _whole(columns[3]), numbers, joints)
        return Bodies(
            stamp_ns,
            message.header.frame_id,
            ids,
            table[..., :3],
            self._joint_names,
            self._layout,
            table[..., 3] if len(wanted) == 6 else None,
            rejected,
        )


NOT_WHOLE = -(2**62)


def _whole(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return numbers as integers, with NOT_WHOLE for numbers that are not whole."""
    good = (np.abs(numbers) < 2**53) & (numbers == np.rint(numbers))
    return np.where(good, np.where(good, numbers, 0).astype(np.int64), NOT_WHOLE)
