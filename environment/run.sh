#!/bin/sh
# Runs a command in the environment of this project. If the package is built, the command can use the package.
#     environment/run.sh COMMAND [ARGUMENT]...
# The commands of the package have short names: `environment/run.sh train --help`. `environment/run.sh bash` opens a
# shell that knows them.
set -e

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv=$root/.venv

if [ $# -eq 0 ]; then
    echo "usage: $0 COMMAND [ARGUMENT]..." >&2
    exit 2
fi
if [ ! -f "$venv/environment.stamp" ]; then
    echo "$0: there is no complete $venv yet: run 'make setup' first." >&2
    exit 1
fi

export VIRTUAL_ENV="$venv" PATH="$venv/bin:$PATH"

# If ROS 2 comes from PyPI, the virtual environment is the ament prefix. A sourced ROS sets these variables itself.
if [ -d "$venv/share/rclpy" ]; then
    libraries=$venv/lib
    for folder in "$venv"/lib/python3.*/site-packages/ros_*.libs; do
        libraries=$libraries:$folder
    done
    ROS_DISTRO=$(cat "$venv/ros_distribution")
    export ROS_DISTRO AMENT_PREFIX_PATH="$venv" CMAKE_PREFIX_PATH="$venv"
    for folder in "$venv"/lib/python3.*/site-packages/cmeel.prefix; do # Eigen
        CMAKE_PREFIX_PATH=$CMAKE_PREFIX_PATH:$folder
    done
    export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    # This variable turns off the start-up hook of the ROS wheels. The hook would set LD_LIBRARY_PATH, which is set above,
    # and start Python a second time.
    export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
fi

if [ -f "$root/install/local_setup.sh" ]; then
    # shellcheck disable=SC2034  # read by local_setup.sh
    COLCON_CURRENT_PREFIX=$root/install
    # shellcheck disable=SC1091  # generated
    . "$root/install/local_setup.sh"
    export PATH="$root/install/motion_predictor/lib/motion_predictor:$PATH"
    # Without this variable, Python would import the sources if it runs in the repository. The sources lack the generated
    # messages.
    export PYTHONSAFEPATH=1
fi

exec "$@"
