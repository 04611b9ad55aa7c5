#!/bin/bash
# Runs a command after sourcing ROS and this package.
set -e
# shellcheck disable=SC1090  # known in the container
source "/opt/ros/$ROS_DISTRO/setup.bash"
# shellcheck disable=SC1091
source /workspace/install/setup.bash
exec "$@"
