"""Reads SkeletonArray, this package's own message."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from motion_predictor.skeleton import Layout
from motion_predictor.sources.source import MAX_JOINTS, Bodies, InputError, check_count, stamp_of


class SkeletonArraySource:
    """Reads motion_predictor/SkeletonArray.

    Args:
        layouts: skeleton layouts by name. A message without joint names must name a known layout.
    """

    kind = 'motion_predictor/msg/SkeletonArray'
    topic = 'skeletons'
    optical = False

    def __init__(self, layouts: Mapping[str, Layout]) -> None:
        self._layouts = layouts

    def read(self, message: Any) -> Bodies:
        """Return the people in a message."""
        bodies = Bodies(stamp_of(message.header), message.header.frame_id, layout=message.layout)
        if not len(message.skeletons):
            return bodies
        check_count(len(message.skeletons))
        bodies.joint_names = self._joint_names(message)
        joints = len(bodies.joint_names)
        reasons = [_problem(skeleton, joints) for skeleton in message.skeletons]
        bodies.rejected = Counter(reason for reason in reasons if reason)
        kept = [s for s, reason in zip(message.skeletons, reasons, strict=True) if not reason]
        if not kept:
            return bodies
        bodies.ids = [skeleton.id for skeleton in kept]
        flat = np.stack([np.asarray(skeleton.positions, np.float32) for skeleton in kept])
        bodies.positions = flat.reshape(-1, joints, 3)
        if any(len(skeleton.confidence) for skeleton in kept):
            certain = np.ones(joints, np.float32)
            bodies.confidence = np.stack(
                [
                    np.asarray(s.confidence, np.float32) if len(s.confidence) else certain
                    for s in kept
                ]
            )
        return bodies

    def _joint_names(self, message: Any) -> tuple[str, ...]:
        names = tuple(message.joint_names)
        if not names:
            layout = self._layouts.get(message.layout)
            if layout is None:
                known = ', '.join(sorted(self._layouts))
                raise InputError(
                    f"layout '{message.layout}' is unknown and the message names no "
                    f'joints: send joint_names, or one of {known}'
                )
            names = layout.joint_names
        if len(names) > MAX_JOINTS:
            raise InputError(f'expected at most {MAX_JOINTS} joints, got {len(names)}')
        return names


def _problem(skeleton: Any, joints: int) -> str | None:
    if not skeleton.id:
        return 'skeleton without id'
    if len(skeleton.positions) != 3 * joints:
        return 'wrong number of positions'
    if len(skeleton.confidence) not in (0, joints):
        return 'wrong number of confidences'
    return None
