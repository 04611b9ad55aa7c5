"""What arrives: skeleton messages, read as observations in the model's layout."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motion_predictor.msg import Skeleton, SkeletonArray
from motion_predictor.people import Observation
from motion_predictor.skeleton import JointMap, Layout, LayoutError, common_names_of

MAX_JOINTS = 512
MAX_COORDINATE_M = 1e6
MAX_REMEMBERED_MAPS = 32


class InputError(ValueError):
    """A whole message cannot be used; the sentence says why."""


@dataclass
class Scan:
    """What one message says."""

    stamp_ns: int
    frame_id: str
    observations: list[Observation]
    rejected: Counter[str] = field(default_factory=Counter)
    """Skeletons left out, by reason."""


class SkeletonInput:
    """Reads SkeletonArray messages.

    Args:
        target: the model's layout, to which joints are mapped by name.
        layouts: layouts that messages may name.
        min_confidence: joints with less count as missing.
    """

    def __init__(
        self, target: Layout, layouts: Mapping[str, Layout], min_confidence: float
    ) -> None:
        self._target = target
        self._layouts = layouts
        self._min_confidence = min_confidence
        self._maps: dict[tuple[str, tuple[str, ...]], JointMap | InputError] = {}

    def read(self, message: SkeletonArray) -> Scan:
        """Return what a message says.

        Raises:
            InputError: if nothing of it can be used.
        """
        stamp = message.header.stamp
        scan = Scan(stamp.sec * 1_000_000_000 + stamp.nanosec, message.header.frame_id, [])
        if scan.stamp_ns <= 0:
            raise InputError('header.stamp is not set: it must be the time of capture')
        if scan.frame_id.endswith(('_optical_frame', '_optical')):
            raise InputError(
                f"frame '{scan.frame_id}' is a camera's optical frame, whose z is not up: send "
                'skeletons in a gravity-aligned frame'
            )
        if not message.skeletons:
            return scan
        joint_map = self._map(message)
        joints = joint_map.weights.shape[1]
        ids: list[str] = []
        frames: list[NDArray[np.float32]] = []
        for skeleton in message.skeletons:
            if (reason := self._problem(skeleton, joints)) is not None:
                scan.rejected[reason] += 1
                continue
            positions = np.array(skeleton.positions, np.float32).reshape(joints, 3)
            if skeleton.confidence:
                # Written so that NaN counts as not confident.
                unsure = ~(np.asarray(skeleton.confidence) >= self._min_confidence)
                positions[unsure] = np.nan
            ids.append(skeleton.id)
            frames.append(positions)
        if frames:
            stacked = np.stack(frames)  # (P, J_source, 3)
            stacked[~(np.abs(stacked) < MAX_COORDINATE_M)] = np.nan
            mapped = joint_map(stacked)
            scan.observations = [Observation(*pair) for pair in zip(ids, mapped, strict=True)]
        return scan

    @staticmethod
    def _problem(skeleton: Skeleton, joints: int) -> str | None:
        if not skeleton.id:
            return 'skeleton without id'
        if len(skeleton.positions) != 3 * joints:
            return 'wrong number of positions'
        if len(skeleton.confidence) not in (0, joints):
            return 'wrong number of confidences'
        return None

    def _map(self, message: SkeletonArray) -> JointMap:
        key = (message.layout, tuple(message.joint_names))
        if key not in self._maps:
            if len(self._maps) >= MAX_REMEMBERED_MAPS:
                self._maps.clear()
            try:
                self._maps[key] = self._find_map(*key)
            except (LayoutError, InputError) as error:
                self._maps[key] = InputError(str(error))
        found = self._maps[key]
        if isinstance(found, InputError):
            raise found
        return found

    def _find_map(self, layout_name: str, joint_names: tuple[str, ...]) -> JointMap:
        layout = self._layouts.get(layout_name)
        if not joint_names:
            if layout is None:
                known = ', '.join(sorted(self._layouts))
                raise InputError(
                    f"layout '{layout_name}' is unknown and the message names no joints: send "
                    f'joint_names, or one of {known}'
                )
            joint_names = layout.joint_names
        if len(joint_names) > MAX_JOINTS:
            raise InputError(f'{len(joint_names)} joints are more than the {MAX_JOINTS} allowed')
        return JointMap.between(common_names_of(joint_names, layout), self._target)
