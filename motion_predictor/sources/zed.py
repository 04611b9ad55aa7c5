"""Reads the body tracking of ZED cameras."""

from collections import Counter
from typing import Any

import numpy as np

from motion_predictor.skeleton import known_layouts
from motion_predictor.sources.source import Bodies, InputError, check_count, stamp_of

LAYOUTS = ('zed18', 'zed34', 'zed38')
"""Names of layouts. The index is Object.body_format."""
OFF, TERMINATE = 0, 3
"""Values of Object.tracking_state. OFF: the person is not tracked, so the id does not last.
TERMINATE: the person is gone."""


class ZedSource:
    """Reads zed_msgs/ObjectsStamped.

    Positions are in the frame of the camera, with x forward and z up. Therefore z is vertical only
    if the camera is level.
    """

    kind = 'zed_msgs/msg/ObjectsStamped'
    topic = '/zed/zed_node/body_trk/skeletons'
    optical = False

    def read(self, message: Any) -> Bodies:
        """Return the people in a message."""
        bodies = Bodies(stamp_of(message.header), message.header.frame_id)
        check_count(len(message.objects))
        there = [person for person in message.objects if person.tracking_state != TERMINATE]
        reasons = [_problem(person) for person in there]
        bodies.rejected = Counter(reason for reason in reasons if reason)
        kept = [person for person, reason in zip(there, reasons, strict=True) if not reason]
        if not kept:
            return bodies
        formats = {person.body_format for person in kept}
        if len(formats) > 1 or not 0 <= (body_format := formats.pop()) < len(LAYOUTS):
            there_are = sorted({person.body_format for person in kept})
            raise InputError(
                f'body_format must be 0, 1 or 2 and the same for everybody, got {there_are}'
            )
        layout = known_layouts()[LAYOUTS[body_format]]
        joints = len(layout.joints)
        # A ZED message always has 70 key points per person. Key points that the body format does
        # not have are at 0, 0, 0.
        points = [k.kp for person in kept for k in person.skeleton_3d.keypoints[:joints]]
        bodies.ids = [str(person.label_id) for person in kept]
        bodies.positions = np.asarray(points, np.float32).reshape(len(kept), joints, 3)
        bodies.joint_names, bodies.layout = layout.joint_names, layout.name
        sure = np.array([person.confidence for person in kept], np.float32) / 100
        bodies.confidence = np.broadcast_to(sure[:, None], (len(kept), joints))
        return bodies


def _problem(person: Any) -> str | None:
    if not person.skeleton_available:
        return 'person without skeleton'
    if person.tracking_state == OFF or person.label_id < 0:
        return 'person who is not tracked'
    return None
