"""Finds message types by name.

The package of a message type is imported only when it is needed.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from motion_predictor.sources.source import InputError


def message_class(input_type: str, kind: str) -> Any:
    """Return the class of a message type.

    Args:
        input_type: value of the parameter input_type, for the error message.
        kind: name of the type, as package/msg/Name.

    Raises:
        InputError: if the package or the message does not exist. The error names the package.
    """
    package, _, name = kind.split('/')
    try:
        return getattr(import_module(f'{package}.msg'), name)
    except ImportError as error:
        raise InputError(
            f"input_type '{input_type}' needs the ROS package {package}, which cannot be "
            f'imported: {error}'
        ) from error
    except AttributeError as error:
        raise InputError(f'the {package} that is installed has no message {name}') from error


def point_reader() -> Callable[..., Any]:
    """Return the function `read_points`, which reads point clouds.

    Raises:
        InputError: if neither sensor_msgs_py nor pointcloud2 is installed.
    """
    for module in ('sensor_msgs_py.point_cloud2', 'pointcloud2'):
        try:
            return import_module(module).read_points
        except ImportError:
            continue
    raise InputError(
        "input_type 'point_cloud' needs the ROS package sensor_msgs_py, or pointcloud2 from PyPI"
    )
