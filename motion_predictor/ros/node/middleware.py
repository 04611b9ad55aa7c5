"""Configures the ROS middleware for large messages, because predictions are large."""

import os

import rclpy

from motion_predictor.common.installed import installed

PROFILES, OLD_PROFILES = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
OLD = ('humble', 'iron', 'jazzy')
"""ROS distributions with Fast DDS 2, which reads only `OLD_PROFILES`. Fast DDS 3 warns about this
variable."""
FAST_DDS = (PROFILES, OLD_PROFILES, 'FASTDDS_BUILTIN_TRANSPORTS')
"""Variables with which an integrator configures Fast DDS. If one of these variables is set, the
node does not configure Fast DDS."""
TESTED = 'rmw_fastrtps'


class MiddlewareError(RuntimeError):
    """Raised if the node was never tested with the ROS middleware in use."""


def carry_large_messages() -> None:
    """Make Fast DDS pass whole predictions through shared memory.

    Call `carry_large_messages` before rclpy.init. `carry_large_messages` only sets an environment
    variable of Fast DDS, which other middlewares do not read.
    """
    if not any(name in os.environ for name in FAST_DDS):
        name = OLD_PROFILES if os.environ.get('ROS_DISTRO') in OLD else PROFILES
        os.environ[name] = str(installed('config', 'fastdds.xml'))


def require_tested(untested_middleware: bool, identifier: str = '') -> None:
    """Raise an error if the node was not tested with the ROS middleware in use.

    Args:
        untested_middleware: whether to accept every middleware, tested or not.
        identifier: name of the middleware; empty for the middleware of this process.

    Raises:
        MiddlewareError: if the middleware is refused. The error names the middleware.
    """
    used = identifier or rclpy.get_rmw_implementation_identifier()
    if not used.startswith(TESTED) and not untested_middleware:
        raise MiddlewareError(
            f'the node was tested with Fast DDS only, but runs with {used}: start it with '
            'RMW_IMPLEMENTATION=rmw_fastrtps_cpp, or set the parameter '
            'untested_middleware'
        )
