"""How the middleware carries predictions."""

import os

from motion_predictor.common.installed import installed

FAST_DDS = (
    'FASTDDS_DEFAULT_PROFILES_FILE',
    'FASTRTPS_DEFAULT_PROFILES_FILE',
    'FASTDDS_BUILTIN_TRANSPORTS',
)
"""Variables with which an integrator configures it; one that is set is left to have its way."""


def carry_large_messages() -> None:
    """Have Fast DDS hand whole predictions over in shared memory; call it before rclpy.init.

    Other middlewares do not read the variable.
    """
    if not any(name in os.environ for name in FAST_DDS):
        os.environ[FAST_DDS[0]] = str(installed('config', 'fastdds.xml'))
