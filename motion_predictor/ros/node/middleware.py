"""How the middleware carries predictions."""

import os

import rclpy

from motion_predictor.common.installed import installed

PROFILES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
"""Fast DDS 3 (Kilted) reads the first alone, Fast DDS 2 (Humble, Jazzy) the second."""
TRANSPORTS = 'FASTDDS_BUILTIN_TRANSPORTS'
TESTED = 'rmw_fastrtps'


class MiddlewareError(RuntimeError):
    """The node was never run over this middleware."""


def carry_large_messages() -> None:
    """Have Fast DDS hand whole predictions over in shared memory; call it before rclpy.init.

    What an integrator has set has its way. Other middlewares do not read the variables.
    """
    if TRANSPORTS not in os.environ:
        for name in PROFILES:
            os.environ.setdefault(name, str(installed('config', 'fastdds.xml')))


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
            f'the node was tested over Fast DDS alone, and this is {used}: start it with '
            'RMW_IMPLEMENTATION=rmw_fastrtps_cpp, or set the parameter untested_middleware'
        )
