"""Describes the machine on which the results were measured."""

import os
import platform
from pathlib import Path
from typing import Any

import torch
from torch.utils.benchmark import Timer

FLAGS = ('avx2', 'avx512f', 'avx512_bf16', 'avx512_fp16', 'amx_tile', 'amx_bf16')
SIDES = (1024, 2048, 4096)
"""Sizes of the square matrices with which the peak is measured."""
PRECISIONS = ('float32', 'bfloat16')


def describe(device: torch.device) -> dict[str, Any]:
    """Return the machine's CPU, cores, vector units, load, software versions and threads."""
    cpu = _cpuinfo()
    flags = cpu.get('flags', '').split()
    facts = {
        'cpu': cpu.get('model name') or platform.processor() or platform.machine(),
        'cores': len(os.sched_getaffinity(0)),
        'flags': [flag for flag in FLAGS if flag in flags],
        'load': os.getloadavg()[0],
        'system': platform.platform(),
        'python': platform.python_version(),
        'torch': torch.__version__,
        'threads': torch.get_num_threads(),
        'device': str(device),
    }
    if device.type == 'cuda':
        facts['gpu'] = torch.cuda.get_device_name(device)
    return facts


def matrix_peak(device: torch.device, seconds: float) -> dict[str, float]:
    """Return the greatest speed of products of two large matrices, in GFLOP/s, by precision.

    Args:
        device: device that computes the products.
        seconds: time to measure each size and precision.
    """
    peak = {}
    for precision in PRECISIONS:
        reached = []
        for side in SIDES:
            matrix = torch.randn(side, side, device=device).to(getattr(torch, precision))
            timer = Timer('m @ m', globals={'m': matrix}, num_threads=torch.get_num_threads())
            fastest_s = min(timer.blocked_autorange(min_run_time=seconds).times)
            reached.append(2e-9 * side**3 / fastest_s)
        peak[precision] = max(reached)
    return peak


def _cpuinfo() -> dict[str, str]:
    """Return the description of the first CPU core from Linux; empty on other systems."""
    path = Path('/proc/cpuinfo')
    if not path.exists():
        return {}
    lines = path.read_text().split('\n\n', 1)[0].splitlines()
    pairs = (line.partition(':') for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}
