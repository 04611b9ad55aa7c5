"""Transforms positions from the frame of a source to the fixed frame, whose z points up."""

import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.time import Time

from motion_predictor.common.problems import one_line
from motion_predictor.common.rigid import Rigid
from motion_predictor.sources.ros4hri import Place
from motion_predictor.sources.source import FloatArray, InputError

WAIT_S, ASK_EVERY_S = 0.005, 0.001
"""Longest wait for a transform (a quarter of the usual latency budget), and the period at which tf
is asked for the transform."""
AHEAD_S = 2.0
"""Localisation stamps its transforms up to a second in the future. If a stamp is further ahead,
the transform is from before the clock was set back."""
OPTICAL = ('_optical_frame', '_optical')


class Transform(NamedTuple):
    """A rigid transform of positions from one frame to another."""

    rotation: NDArray[np.float64]  # (3, 3)
    translation: NDArray[np.float64]  # (3,) metres

    @classmethod
    def of(cls, numbers: Sequence[float]) -> 'Transform':
        """Return the transform of a pose: position x, y, z and quaternion x, y, z, w.

        Raises:
            InputError: if the pose does not have seven finite numbers, or the length of the
                quaternion is not 1.
        """
        try:
            rigid = Rigid.of_pose(numbers)
        except ValueError as error:
            raise InputError(str(error)) from error
        return cls(rigid.rotation, rigid.translation)

    def __call__(self, positions: FloatArray) -> FloatArray:
        """Transform positions (..., 3). If one coordinate is NaN, all three become NaN."""
        return np.asarray(positions @ self.rotation.T + self.translation, np.float32)


class Transforms(Protocol):
    """Any source of transforms between two frames at a given time."""

    def between(self, target: str, source: str, stamp_ns: int) -> Transform:
        """Return the transform of positions from frame `source` to frame `target`.

        Raises:
            InputError: if the transform is unknown.
        """


class Tf:
    """Reads transforms from tf2. Subscribes only at the first use, since a busy /tf costs time.

    Args:
        node: node whose executor handles /tf and /tf_static.

    Raises:
        ImportError: if tf2_ros is not installed.
    """

    def __init__(self, node: Node) -> None:
        self._tf2 = import_module('tf2_ros')
        self._node = node
        self._buffer: Any = None
        self._listener: Any = None

    def between(self, target: str, source: str, stamp_ns: int) -> Transform:
        """Return the transform of positions from frame `source` to frame `target`.

        Waits up to `WAIT_S` if the transform has not arrived yet.

        Raises:
            InputError: if tf has no transform at `stamp_ns` after the wait.
        """
        until_s = time.monotonic() + WAIT_S
        while True:
            try:
                moved = self._ask(target, source, stamp_ns).transform
                break
            except self._tf2.TransformException as error:
                if time.monotonic() < until_s:
                    time.sleep(ASK_EVERY_S)
                    continue
                raise InputError(
                    f"skeletons come in frame '{source}', but fixed_frame is '{target}', "
                    f'and tf has no transform between them: {one_line(error)}'
                ) from error
        p, q = moved.translation, moved.rotation
        return Transform.of([p.x, p.y, p.z, q.x, q.y, q.z, q.w])

    def place(self, target: str, source: str, stamp_ns: int | None) -> Place | None:
        """Return the position of `source` in `target` at `stamp_ns`; None if it is unknown."""
        try:
            found = self._ask(target, source, stamp_ns or 0)
        except self._tf2.TransformException:
            return None
        stamp, p = found.header.stamp, found.transform.translation
        return Place(stamp.sec * 1_000_000_000 + stamp.nanosec, (p.x, p.y, p.z))

    def newest(self, target: str, source: str, now_ns: int, max_age_s: float) -> Rigid | None:
        """Return the newest transform from `source` to `target`; None if it is unknown or too old.

        Args:
            target: frame to transform to.
            source: frame to transform from.
            now_ns: ROS time.
            max_age_s: greatest age of a transform, seconds. Static transforms may have any age.
        """
        try:
            found = self._ask(target, source, 0)
            stamp_ns = found.header.stamp.sec * 1_000_000_000 + found.header.stamp.nanosec
            if stamp_ns and not -AHEAD_S * 1e9 <= now_ns - stamp_ns <= max_age_s * 1e9:
                return None
            return Rigid.of_message(found.transform)
        except (self._tf2.TransformException, ValueError):
            return None

    def clear(self) -> None:
        """Forget all transforms except static ones, for example when time jumps."""
        if self._buffer is not None:
            self._buffer.clear()

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.unregister()
            self._buffer = self._listener = None

    def _ask(self, target: str, source: str, stamp_ns: int) -> Any:
        if self._buffer is None:
            self._buffer = self._tf2.Buffer()
            self._listener = self._tf2.TransformListener(self._buffer, self._node)
        stamp = Time(nanoseconds=stamp_ns, clock_type=ClockType.ROS_TIME)
        return self._buffer.lookup_transform(target, source, stamp)


class FixedFrame:
    """Finds the transform from the frame of the input to the fixed frame.

    Args:
        name: name of the fixed frame. If `name` is empty, positions stay in the frame of the
            input.
        static: pose of the input's frame in the fixed frame, if this pose never changes.
        transforms: source of transforms that may change; None if there is no such source.

    Raises:
        InputError: if the fixed frame is an optical frame, or if there is a static transform but
            no fixed frame.
    """

    def __init__(
        self, name: str, static: Transform | None = None, transforms: Transforms | None = None
    ) -> None:
        if name.endswith(OPTICAL):
            raise InputError(
                f"fixed_frame '{name}' is the optical frame of a camera, whose z is not "
                'up: choose another'
            )
        if static is not None and not name:
            raise InputError('input_transform leads to fixed_frame, which is empty: set it too')
        self.name = name
        self._static = static
        self._transforms = transforms
        self._frame_of_static = ''

    def clear(self) -> None:
        """Forget which frame of the input the static transform belongs to."""
        self._frame_of_static = ''

    def transform(self, frame_id: str, stamp_ns: int, optical: bool) -> Transform | None:
        """Return the transform to the fixed frame; None if no transform is needed.

        Args:
            frame_id: frame in which the positions are given.
            stamp_ns: time at which the positions were captured.
            optical: whether the source always sends positions in an optical frame.

        Raises:
            InputError: if the transform to the fixed frame is unknown, or if positions are in an
                optical frame and there is no fixed frame.
        """
        if not self.name:
            if optical or frame_id.endswith(OPTICAL):
                raise InputError(
                    f"frame '{frame_id}' is the optical frame of a camera, whose z is not "
                    'up: set fixed_frame, and without tf also input_transform'
                )
            return None
        if frame_id == self.name:
            return None
        if self._static is not None:
            self._frame_of_static = self._frame_of_static or frame_id
            if frame_id != self._frame_of_static:
                raise InputError(
                    f"skeletons come in frame '{frame_id}', but input_transform belongs to "
                    f"frame '{self._frame_of_static}', in which they came at first"
                )
            return self._static
        if self._transforms is None:
            raise InputError(
                f"skeletons come in frame '{frame_id}', but fixed_frame is '{self.name}': set "
                'input_transform, or install tf2_ros'
            )
        return self._transforms.between(self.name, frame_id, stamp_ns)
