#!/bin/bash
# Sources ROS and this package, and then runs a command.
set -e
# shellcheck disable=SC1090  # known in the container
source "/opt/ros/$ROS_DISTRO/setup.bash"
# shellcheck disable=SC1091
source /workspace/install/setup.bash
exec "$@"
