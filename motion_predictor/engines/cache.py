"""The cache folder of engines: file names, checks for damage, and a limit on the folder's size."""

import fcntl
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from motion_predictor.common.files import written_whole
from motion_predictor.common.installed import installed

KEPT = 12
"""Number of engines that stay in the cache folder: the most recently used ones."""
NEEDED_MB = 300
"""Disk space in megabytes that a compiler needs in the cache folder."""
SEAL_BYTES = hashlib.sha256().digest_size
MEGABYTE = 1 << 20


def cpu_capabilities() -> dict[str, Any]:
    """Return the capabilities of the CPU; an empty dict if torch is too old to tell them."""
    return dict(getattr(torch.cpu, 'get_capabilities', dict)())


def artefact(
    checkpoint: str,
    backend: str,
    precision: str,
    device: torch.device,
    versions: tuple[str, ...] = (),
) -> Path:
    """Return the path of an engine in the cache folder.

    The folder is ~/.cache/motion_predictor, or motion_predictor in XDG_CACHE_HOME. The name of the
    file is a hash of everything that the engine depends on: the checkpoint (by its hash), backend
    and precision, device, number of threads, versions, and the source code of this package. Shapes
    are not part of the hash, since they follow from the checkpoint. The numbers of people and
    samples are not part of the hash, since an engine is made for any number.

    Args:
        checkpoint: hash of the checkpoint file.
        backend: name of the backend.
        precision: 'float32' or 'bfloat16'.
        device: device on which the engine runs.
        versions: names and versions of other software on which the engine depends.
    """
    digest = hashlib.sha256()
    for pattern in ('model/*.py', 'engines/export.py', f'engines/{backend}.py'):
        for source in sorted(installed().glob(pattern)):
            digest.update(source.read_bytes())
    facts = {
        'checkpoint': checkpoint,
        'backend': backend,
        'precision': precision,
        'threads': torch.get_num_threads(),
        'device': _device_facts(device),
        'torch': torch.__version__,
        'versions': versions,
        'python': platform.python_version(),
        'machine': platform.machine(),
        'source': digest.hexdigest(),
    }
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(home) / 'motion_predictor' / name


def _device_facts(device: torch.device) -> list[Any]:
    if device.type == 'cuda':
        return [
            torch.cuda.get_device_name(device),
            torch.cuda.get_device_capability(device),
            torch.version.cuda,
        ]
    return [torch.backends.cpu.get_cpu_capability(), cpu_capabilities()]


def is_sound(path: Path) -> bool:
    """Whether a file exists and is undamaged."""
    try:
        content = memoryview(path.read_bytes())
    except OSError:
        return False
    return hashlib.sha256(content[:-SEAL_BYTES]).digest() == content[-SEAL_BYTES:]


def ensure(path: Path, make: Callable[[Path], None]) -> None:
    """Make a file unless it exists and is undamaged.

    The last bytes of the file are a hash of the other bytes, which shows damage. Only one process
    at a time makes files in a folder. While a process waits for its turn, another process may have
    made the same file. Unfinished files of interrupted processes are removed.

    Args:
        path: path of the file.
        make: function that writes the content of the file. `make` gets the path to write to, which
            is in a temporary folder.

    Raises:
        OSError: if there is too little disk space, or the folder cannot be written.
        Exception: any error that `make` raises.
    """
    if not is_sound(path):
        folder = path.parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _turn(folder):
            _tidy(folder)
            if not is_sound(path):
                _require_room(folder)
                with written_whole(path) as draft:
                    make(draft)
                    _seal(draft)
    with suppress(OSError):  # the cache may be read-only, for example in a container image
        os.utime(path)


def _seal(path: Path) -> None:
    with path.open('ab') as file:
        file.write(hashlib.sha256(path.read_bytes()).digest())


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Lock a folder, after a wait until no other process makes an engine there.

    If the process ends without releasing the lock, the system releases it.
    """
    with (folder / '.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _require_room(folder: Path) -> None:
    free_mb = shutil.disk_usage(folder).free / MEGABYTE
    if free_mb < NEEDED_MB:
        raise OSError(
            f'making an engine takes {NEEDED_MB} MB, but {folder} has only {free_mb:.0f} '
            'MB free: make room, or set XDG_CACHE_HOME to another folder'
        )


def _tidy(folder: Path) -> None:
    """Remove unfinished files, and the engines that have not been used for the longest time."""
    for draft in folder.glob('.writing-*'):
        shutil.rmtree(draft, ignore_errors=True)
    engines = [path for path in folder.iterdir() if path.is_file() and path.name != '.lock']
    used = {path: path.stat().st_mtime for path in engines}
    for path in sorted(engines, key=used.__getitem__, reverse=True)[KEPT - 1 :]:
        path.unlink(missing_ok=True)  # safe: running processes have loaded their engines
