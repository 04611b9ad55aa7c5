#!/usr/bin/env bash
# Runs all measurements on a GPU, and the tests of the engines. The machine needs one NVIDIA GPU and Python 3.10 to 3.13.
#     benchmark/gpu.sh [FOLDER OF RESULTS]
# The script installs missing packages, such as torch with CUDA and TensorRT, into a virtual environment.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(realpath -m "${1:-gpu}")
venv=${GPU_VENV:-$out/venv}
mkdir -p "$out"

[ -x "$venv/bin/python" ] || python3 -m venv --system-site-packages "$venv"
"$venv/bin/python" -m pip install -q "$root" psutil pytest hypothesis rosbags
# If TensorRT cannot be installed, this script still measures the other engines.
"$venv/bin/python" -m pip install -q "${root}[tensorrt]" || echo 'gpu.sh: no torch_tensorrt for this torch: its engine is refused' >&2
cd "$out"
status=0
"$venv/bin/python" -m motion_predictor_benchmark.gpu --out "$out" || status=$?
timeout 60 "$venv/bin/python" -m pytest -q --import-mode=importlib "$root/test/engines" > tests.log 2>&1 ||
    { status=1; tail -n 20 tests.log; }
exit "$status"
