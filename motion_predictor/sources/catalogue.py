"""The sources of skeletons by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from motion_predictor.skeleton import Layout
from motion_predictor.sources.azure_kinect import AzureKinectSource
from motion_predictor.sources.mocap4r2 import Mocap4r2Source
from motion_predictor.sources.point_cloud import FIELDS, PointCloudSource
from motion_predictor.sources.pose_array import PoseArraySource
from motion_predictor.sources.ros4hri import Ros4HriSource
from motion_predictor.sources.skeleton_array import SkeletonArraySource
from motion_predictor.sources.source import MAX_JOINTS, InputError, Source
from motion_predictor.sources.zed import ZedSource

SOURCES: dict[str, type[Source]] = {
    'skeleton_array': SkeletonArraySource,
    'azure_kinect': AzureKinectSource,
    'zed': ZedSource,
    'pose_array': PoseArraySource,
    'point_cloud': PointCloudSource,
    'mocap4r2': Mocap4r2Source,
    'ros4hri': Ros4HriSource,
}
INPUT_TYPES = tuple(name for name in SOURCES if name != 'ros4hri')
"""Sources whose messages carry positions."""


@dataclass(frozen=True)
class Settings:
    """Settings for messages that do not name their joints."""

    layouts: Mapping[str, Layout]
    """All known skeleton layouts by name."""
    layout: str = ''
    """Name of the layout of the joints, for pose_array, point_cloud and mocap4r2."""
    joint_names: Sequence[str] = ()
    """Names of the joints, in order, for pose_array and point_cloud. These names replace the names
    in the layout."""
    point_fields: Sequence[str] = FIELDS
    marker_separator: str = ':'


def open_source(
    name: str, settings: Settings, read_points: Callable[[], Callable[..., NDArray[Any]]]
) -> Source:
    """Return the source of skeletons with this name.

    Args:
        name: name of the source, one of SOURCES.
        settings: settings of sources whose messages do not name their joints.
        read_points: function that imports the reader of point clouds and returns the reader. A
            source that reads no point clouds does not call `read_points`.

    Raises:
        InputError: if no source has this name, or if settings are missing or wrong. The error is
            one sentence.
    """
    if settings.layout and settings.layout not in settings.layouts:
        known = ', '.join(sorted(settings.layouts))
        raise InputError(f"input_layout must be one of {known}, got '{settings.layout}'")
    if name == 'skeleton_array':
        return SkeletonArraySource(settings.layouts)
    if name == 'azure_kinect':
        return AzureKinectSource()
    if name == 'zed':
        return ZedSource()
    if name == 'pose_array':
        return PoseArraySource(*_joints(name, settings))
    if name == 'point_cloud':
        fields = settings.point_fields
        return PointCloudSource(*_joints(name, settings), fields, read_points())
    if name == 'mocap4r2':
        layout = settings.layouts[settings.layout or 'smpl22']
        return Mocap4r2Source(layout, settings.marker_separator)
    if name == 'ros4hri':
        return Ros4HriSource()
    raise InputError(f"input_type must be one of {', '.join(SOURCES)}, got '{name}'")


def _joints(name: str, settings: Settings) -> tuple[tuple[str, ...], str]:
    """Return the joint names of a source that sends none, and the name of their layout."""
    names = tuple(settings.joint_names)
    if not names and settings.layout:
        names = settings.layouts[settings.layout].joint_names
    if not names:
        raise InputError(f'input_type {name} needs joint_names, or an input_layout')
    if len(set(names)) != len(names) or '' in names or len(names) > MAX_JOINTS:
        raise InputError(
            f'joint_names must hold at most {MAX_JOINTS} names, all different, got {list(names)}'
        )
    return names, settings.layout
