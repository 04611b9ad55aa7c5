"""The parts of the measurements on a GPU. `gpu.py` runs each part in its own process."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from motion_predictor.archive import MotionArchive, open_archive
from motion_predictor.checkpoint import shipped_checkpoints
from motion_predictor.predictor import MotionPredictor
from motion_predictor_benchmark.contenders import ENGINES, cut_histories
from motion_predictor_benchmark.machine import describe, matrix_peak
from motion_predictor_benchmark.published import PUBLISHED, fresh
from motion_predictor_benchmark.timing import Timing
from motion_predictor_benchmark.training import measure as measure_training

Row = dict[str, Any]


class Task(NamedTuple):
    """Settings of one part of the measurements."""

    device: str
    quick: bool
    """Whether to make few calls with one network only, to test that the part runs."""
    out: Path


def machine(task: Task) -> Iterator[Row]:
    """Yield a description of the GPU, and the speed of its matrix products."""
    device = torch.device(task.device)
    facts = describe(device) | {'GFLOP/s': matrix_peak(device, 0.02 if task.quick else 0.2)}
    if device.type == 'cuda':
        properties = torch.cuda.get_device_properties(device)
        facts |= {'memory_gib': properties.total_memory / 2**30, 'cuda': torch.version.cuda}
    yield facts


def agreement(task: Task) -> Iterator[Row]:
    """Yield the distance between the joints from each engine and from eager on the CPU.

    All engines get the same noise.
    """
    for name, path, archive in _shipped(task):
        cpu = MotionPredictor.load(path, 'cpu', _samples(task), backend='eager')
        histories = cut_histories(archive, cpu.checkpoint)
        for backend in _backends(task):
            ours = MotionPredictor.load(path, task.device, _samples(task), backend=backend)
            if ours.engine.backend != backend:
                yield _refused(name, backend, ours)
                continue
            for people in (1, 2) if task.quick else (1, 2, 4, 8, 16):
                crowd = histories.take(np.arange(people), axis=0, mode='wrap')
                a, b = ours.predict(crowd), cpu.predict(crowd)
                apart_cm = 100 * np.linalg.norm(a.samples - b.samples, axis=-1)
                yield (
                    _about(name, ours)
                    | {'people': people, 'apart_cm_p99': float(np.quantile(apart_cm, 0.99))}
                    | {'apart_cm_max': float(apart_cm.max())}
                )


def fall_back(task: Task) -> Iterator[Row]:
    """Make engines fail one after the other. Yield the replacement after each failure."""
    predictor = MotionPredictor.load('default', task.device, 8, make_engines=False)
    histories = cut_histories(open_archive('bundled'), predictor.checkpoint)[:2]
    yield _about('default', predictor)
    while predictor.fall_back('as if it had failed'):
        predictor.predict(histories)
        yield _about('default', predictor) | {'device': str(predictor.device)}


def latency(task: Task) -> Iterator[Row]:
    """Yield latency, memory and start-up times of our checkpoints and of the published sizes."""
    with tempfile.TemporaryDirectory() as folder:
        for name, path, archive in (*_shipped(task), *_published(task, Path(folder))):
            for backend in _backends(task):
                yield from _latency_of(task, name, path, archive, backend)


def _latency_of(
    task: Task, name: str, path: Path, archive: MotionArchive, backend: str
) -> Iterator[Row]:
    began_s = time.perf_counter()
    predictor = MotionPredictor.load(path, task.device, _samples(task), backend=backend)
    if predictor.engine.backend != backend:
        yield _refused(name, backend, predictor)
        return
    built_s = time.perf_counter()
    MotionPredictor.load(path, task.device, _samples(task), backend=backend)
    loads = {'build_s': built_s - began_s, 'reload_s': time.perf_counter() - built_s}
    histories = cut_histories(archive, predictor.checkpoint)
    for people in (1,) if task.quick else (1, 8, 32):
        crowd = histories.take(np.arange(people), axis=0, mode='wrap')
        _forget_memory(task)
        for _ in range(3):
            predictor.predict(crowd)
        spent_ms = []
        for _ in range(5 if task.quick else 300 if people == 1 else 100):
            started_s = time.perf_counter()
            predictor.predict(crowd)
            spent_ms.append(1000 * (time.perf_counter() - started_s))
        timing = asdict(Timing.of(spent_ms))
        yield _about(name, predictor) | {'people': people} | timing | loads | _memory(task)


def training(task: Task) -> Iterator[Row]:
    """Yield the speed of each stage of the shipped recipe; see `benchmark --only training`."""
    if torch.device(task.device).type == 'cpu':
        torch.set_num_threads(1)  # as in `train`: two threads are slow on a busy machine
    yield from measure_training(30 if task.quick else 200, small=task.quick)


PARTS: dict[str, tuple[Callable[[Task], Iterator[Row]], float]] = {
    'machine': (machine, 30),
    'agreement': (agreement, 150),
    'fall_back': (fall_back, 30),
    'latency': (latency, 180),
    'training': (training, 90),
}
"""The function and the time limit in seconds of each part. The limits add up to 8 minutes."""


def _samples(task: Task) -> int:
    return 4 if task.quick else 50


def _backends(task: Task) -> list[str]:
    if task.quick and task.device == 'cpu':
        return ['eager']
    return ['eager', *ENGINES[torch.device(task.device).type]]


def _shipped(task: Task) -> Iterator[tuple[str, Path, MotionArchive]]:
    for name, path in list(shipped_checkpoints().items())[: 1 if task.quick else None]:
        yield name, path, open_archive('bundled')


def _published(task: Task, folder: Path) -> Iterator[tuple[str, Path, MotionArchive]]:
    for kind, preset in () if task.quick else PUBLISHED:
        path = folder / f'{kind}-{preset}.safetensors'
        fresh(kind, preset).save(path)
        yield f'{kind} {preset}', path, open_archive('bundled')


def _about(name: str, predictor: MotionPredictor) -> Row:
    engine = predictor.engine
    return {'checkpoint': name, 'engine': engine.backend, 'precision': engine.precision}


def _refused(name: str, backend: str, predictor: MotionPredictor) -> Row:
    """Return a row that tells why a backend does not run.

    The engine that runs instead of this backend has another row of the table.
    """
    reasons = [attempt for attempt in predictor.engine.attempts if backend in str(attempt)]
    return {'checkpoint': name, 'engine': backend, 'refused': reasons}


def _forget_memory(task: Task) -> None:
    if torch.device(task.device).type == 'cuda':
        torch.cuda.reset_peak_memory_stats(task.device)


def _memory(task: Task) -> Row:
    if torch.device(task.device).type != 'cuda':
        return {}
    return {'peak_mib': torch.cuda.max_memory_allocated(task.device) / 2**20}
