"""How the middleware carries predictions."""

import os

import rclpy

from motion_predictor.common.installed import installed

PROFILES, OLD_PROFILES = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
OLD = ('humble', 'iron', 'jazzy')
"""Distributions with Fast DDS 2, which reads the old variable alone; newer ones warn of it."""
FAST_DDS = (PROFILES, OLD_PROFILES, 'FASTDDS_BUILTIN_TRANSPORTS')
"""Variables with which an integrator configures it; one that is set is left to have its way."""
TESTED = 'rmw_fastrtps'


class MiddlewareError(RuntimeError):
    """The node was never run over this middleware."""


def carry_large_messages() -> None:
    """Have Fast DDS hand whole predictions over in shared memory; call it before rclpy.init.

    Other middlewares do not read the variable.
    """
    if not any(name in os.environ for name in FAST_DDS):
        name = OLD_PROFILES if os.environ.get('ROS_DISTRO') in OLD else PROFILES
        os.environ[name] = str(installed('config', 'fastdds.xml'))


def require_tested(untested_middleware: bool, identifier: str = '') -> None:
    """Refuse a middleware over which nothing was tested.

    Args:
        untested_middleware: whether to use any.
        identifier: of the middleware, if not the one of this process.

    Raises:
        MiddlewareError: naming it.
    """
    used = identifier or rclpy.get_rmw_implementation_identifier()
    if not used.startswith(TESTED) and not untested_middleware:
        raise MiddlewareError(
            f'the node was tested with Fast DDS only, but runs with {used}: start it with '
            'RMW_IMPLEMENTATION=rmw_fastrtps_cpp, or set the parameter '
            'untested_middleware'
        )
