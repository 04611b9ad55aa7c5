#!/usr/bin/env bash
# Sets up, builds and tests this package with several versions of Python and ROS 2, one after the other. Each version runs
# in its own copy of the last commit.
#     environment/matrix.sh [PYTHON:ROS]...      for example: environment/matrix.sh python3.10:kilted python3.12:jazzy
# Without arguments, the script tests Kilted with every Python that this machine has, and Jazzy with the newest Python up
# to 3.12. TESTS="..." chooses the tests. Logs are written to build/matrix.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tests=${TESTS:-test/test_predictor.py test/tracking test/sources test/model test/ros/node/test_node.py test/ros/node/test_managed.py}
logs=$root/build/matrix
mkdir -p "$logs"

there_are() {
    local jazzy='' python
    for python in python3.10 python3.11 python3.12 python3.13; do
        "$python" -c '' 2>/dev/null || continue
        echo "$python:kilted"
        [ "$python" = python3.13 ] || jazzy=$python
    done
    [ -z "$jazzy" ] || echo "$jazzy:jazzy"
}

one() { # PYTHON ROS
    local copy status
    copy=$(mktemp -d)
    git clone -q "$root" "$copy/motion_predictor" && cd "$copy/motion_predictor" || return 1
    # shellcheck disable=SC2086  # tests are words
    make build PYTHON="$1" ROS="$2" && environment/run.sh pytest -q $tests
    status=$?
    rm -rf "$copy"
    return "$status"
}

# shellcheck disable=SC2046  # splitting the list into words is intended
[ $# -gt 0 ] || set -- $(there_are)
failed=0
for each in "$@"; do
    python=${each%:*} ros=${each##*:}
    log=$logs/$ros-$(basename "$python").log
    if (one "$(command -v "$python")" "$ros") >"$log" 2>&1; then result=passed; else result=failed failed=1; fi
    printf '%-8s %-14s %-7s %s\n' "$ros" "$("$python" -V 2>&1)" "$result" "$(grep -E '[0-9]+ (passed|failed|error)' "$log" | tail -1)"
done
exit "$failed"
