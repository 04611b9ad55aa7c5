"""Where compiled artefacts are kept, and what they depend on."""

import hashlib
import json
import os
import platform
from pathlib import Path
from typing import Any

import torch

from motion_predictor.common.installed import installed


def cpu_capabilities() -> dict[str, Any]:
    """Return what the CPU can do, nothing where torch is too old to tell."""
    return dict(getattr(torch.cpu, 'get_capabilities', dict)())


def artefact(checkpoint: str, backend: str, precision: str, device: torch.device) -> Path:
    """Return where an artefact lies: ~/.cache/motion_predictor, or below XDG_CACHE_HOME.

    The name is a hash of all that it depends on: the checkpoint (its hash), backend and precision,
    device, number of threads, versions, and this package's own mathematics and way of compiling.
    Shapes follow from the checkpoint; numbers of people and samples are free.
    """
    digest = hashlib.sha256()
    for pattern in ('model/*.py', 'engines/*.py'):
        for source in sorted(installed().glob(pattern)):
            digest.update(source.read_bytes())
    facts = {
        'checkpoint': checkpoint,
        'backend': backend,
        'precision': precision,
        'threads': torch.get_num_threads(),
        'device': _device_facts(device),
        'torch': torch.__version__,
        'python': platform.python_version(),
        'machine': platform.machine(),
        'source': digest.hexdigest(),
    }
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(home) / 'motion_predictor' / f'{name}.pt2'


def _device_facts(device: torch.device) -> list[Any]:
    if device.type == 'cuda':
        return [
            torch.cuda.get_device_name(device),
            torch.cuda.get_device_capability(device),
            torch.version.cuda,
        ]
    return [torch.backends.cpu.get_cpu_capability(), cpu_capabilities()]
