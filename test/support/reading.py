"""Input as the node reads it, and a stand-in for tf2_ros where tf2_ros is not installed.

The stand-in has the interface of tf2_ros. The code that calls this interface is the real code.
"""

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.node import Node
from scipy.spatial.transform import Rotation

from motion_predictor.msg import Skeleton, SkeletonArray
from motion_predictor.ros.common.transforms import FixedFrame
from motion_predictor.ros.node.outputs import flat, time_message
from motion_predictor.ros.node.parameters import PARAMETERS
from motion_predictor.ros.node.reader import SkeletonInput, open_input
from motion_predictor.skeleton import known_layouts
from motion_predictor.sources.skeleton_array import SkeletonArraySource

FloatArray = NDArray[np.float32]
SMPL = known_layouts()['smpl22']
NOW_NS = 100_000_000_000
OPTICAL = (0.5, 0.2, 1.4, -0.5, 0.5, -0.5, 0.5)
"""A level camera at (0.5, 0.2, 1.4) that looks along x."""


def skeleton_input(min_confidence: float = 0.0, frame: FixedFrame | None = None) -> SkeletonInput:
    source = SkeletonArraySource(known_layouts())
    return SkeletonInput(source, SMPL, known_layouts(), min_confidence, frame or FixedFrame(''))


def message_in(frame_id: str, pose: FloatArray, stamp_ns: int = NOW_NS) -> SkeletonArray:
    message = SkeletonArray(layout='smpl22', joint_names=list(SMPL.joint_names))
    message.header.frame_id = frame_id
    message.header.stamp = time_message(stamp_ns)
    message.skeletons = [Skeleton(id='ann', positions=flat(pose))]
    return message


def seen_by_camera(pose: FloatArray) -> FloatArray:
    """Return a pose as the camera at OPTICAL sees it."""
    camera = Rotation.from_quat(OPTICAL[3:])
    return camera.inv().apply(pose - np.array(OPTICAL[:3])).astype(np.float32)


class FakeTf2(ModuleType):
    """A stand-in with the calls of tf2_ros that are used. A test sets a transform per frame."""

    class TransformException(Exception):  # noqa: N818 its name there
        pass

    def __init__(self) -> None:
        super().__init__('tf2_ros')
        self.known: dict[str, tuple[float, ...]] = {}
        self.newest_ns = NOW_NS
        self.asked: list[tuple[str, str, int]] = []
        self.late = 0
        """Number of look-ups that fail before the transform arrives."""
        self.cleared = self.unregistered = 0

    def Buffer(self) -> Any:  # noqa: N802
        return self

    def TransformListener(self, buffer: Any, node: Node) -> Any:  # noqa: N802
        assert buffer is self and isinstance(node, Node)
        return SimpleNamespace(unregister=self._unregister)

    def _unregister(self) -> None:
        self.unregistered += 1

    def clear(self) -> None:
        self.cleared += 1

    def lookup_transform(self, target: str, source: str, time: Any) -> TransformStamped:
        self.asked.append((target, source, time.nanoseconds))
        self.late -= 1
        if source not in self.known or time.nanoseconds > self.newest_ns or self.late >= 0:
            raise self.TransformException(f'"{source}" is unknown,\nor not yet there')
        made = TransformStamped()
        made.header.stamp = time_message(time.nanoseconds or self.newest_ns)
        values = self.known[source]
        translation, rotation = made.transform.translation, made.transform.rotation
        translation.x, translation.y, translation.z = values[:3]
        rotation.x, rotation.y, rotation.z, rotation.w = values[3:]
        return made


def opened(node: Node, **values: Any) -> tuple[SkeletonInput, Any]:
    """Return the input of a node with parameters that differ from the defaults."""
    defaults = {parameter.name: parameter.default for parameter in PARAMETERS}
    assert values.keys() <= defaults.keys()
    return open_input(defaults | values, SMPL, known_layouts(), node)
