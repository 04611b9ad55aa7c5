"""Chooses the engine: the fastest backend that is available and agrees with eager execution."""

import copy
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from motion_predictor.common.problems import one_line
from motion_predictor.engines import (
    Inputs,
    Result,
    Run,
    compiled,
    cuda_graph,
    eager,
    tensorrt,
)
from motion_predictor.engines.cache import artefact, cpu_capabilities
from motion_predictor.model.layers import reduce_precision
from motion_predictor.model.one_step import synthesised
from motion_predictor.model.statistics import WithStatistics
from motion_predictor.skeleton import Layout

logger = logging.getLogger(__name__)

TOLERANCE_M = 0.005
"""Greatest allowed distance between an engine's joints and those of eager in float32, in metres
(99th percentile)."""

Build = Callable[[nn.Module, Inputs, Path], Run]
BUILDERS: dict[str, Build] = {
    'tensorrt': tensorrt.build,
    'cuda_graph': cuda_graph.build,
    'compiled': compiled.build,
}
HAS_TO_BE_MADE = {
    'tensorrt': tensorrt.has_to_be_made,
    'cuda_graph': cuda_graph.has_to_be_made,
    'compiled': compiled.has_to_be_made,
}
BACKENDS = ('auto', 'eager', *reversed(BUILDERS))
PRECISIONS = ('auto', 'bfloat16', 'float32')
LADDER = (
    ('tensorrt', 'bfloat16'),
    ('tensorrt', 'float32'),
    ('cuda_graph', 'float32'),
    ('compiled', 'bfloat16'),
    ('compiled', 'float32'),
)
"""Backends and precisions, the fastest first. If none of them works, eager is used.

The order is fixed. It is not measured when a predictor is loaded: on a busy machine the result
would be wrong, and every candidate would have to be compiled.
"""
Candidate = tuple[str, str]
"""Backend and precision."""
Attempt = tuple[str, str, str]


@dataclass(frozen=True)
class Engine:
    """A way to run the module, with histories and results on the CPU."""

    backend: str
    precision: str
    run: Run
    error_m: float = 0.0
    """Distance between this engine's joints and those of eager in float32, in metres (99th
    percentile)."""
    attempts: tuple[Attempt, ...] = ()
    """Engines that were refused: backend, precision and reason of each."""
    unmade: tuple[Candidate, ...] = ()
    """Faster engines that have to be made before they can be tried."""
    gave_up: tuple[Attempt, ...] = ()
    """Engines that ran and then failed: backend, precision and reason of each."""

    def __call__(self, history: Tensor, noise: Tensor, embedded: Tensor) -> Result:
        """Return deviations (P, S, K, J, 3), mean (P, F, J, 3), spread (P, F, J), metres.

        Args:
            history: observed joints (P, H, J, 3), metres, on the CPU.
            noise: noise of the samples (S, K, D), on the module's device.
            embedded: features of the noise from the network's `embed`.
        """
        return self.run(history, noise, embedded)


@dataclass(frozen=True)
class Case:
    """The module and the data with which engines are built and compared.

    Args:
        module: module that engines run, with history, noise and embedded noise as inputs.
        noise: noise of all samples (S, K, D), on the module's device.
        embedded: features of the noise from the network's `embed`.
        histories: histories of several people (P, H, J, 3), with which engines are compared.
        checkpoint: hash of the checkpoint; empty if the checkpoint was never saved.
    """

    module: WithStatistics
    noise: Tensor
    embedded: Tensor
    histories: Tensor
    checkpoint: str

    @property
    def inputs(self) -> Inputs:
        """Example inputs of at least two people and samples: exporters take a size 1 as fixed."""
        chosen = [0, *range(1, len(self.noise))] if len(self.noise) > 1 else [0, 0]
        return self.histories.to(self.noise.device), self.noise[chosen], self.embedded[chosen]

    def path(self, name: str, numbers: str) -> Path:
        """Return the path of the file that caches an engine of this backend and precision."""
        device = self.noise.device
        versions = tensorrt.versions(device) if name == 'tensorrt' else ()
        return artefact(self.checkpoint, name, numbers, device, versions)


def choose(case: Case, backend: str, precision: str = 'auto', make: bool = True) -> Engine:
    """Return the wanted engine, or the next best one if it fails or disagrees with eager.

    Args:
        case: the module and the data with which engines are built and compared.
        backend: one of BACKENDS; 'auto' first tries the fastest backend for the device.
        precision: one of PRECISIONS; 'auto' first tries bfloat16.
        make: whether to make engines that do not exist yet, a minute per engine. If False, the
            result is the best existing engine, whose `unmade` lists the engines to make.

    Raises:
        ValueError: if there is no such backend or precision.
    """
    if backend not in BACKENDS:
        raise ValueError(f"there is no backend '{backend}': take one of {', '.join(BACKENDS)}")
    if precision not in PRECISIONS:
        choices = ', '.join(PRECISIONS)
        raise ValueError(f"there is no precision '{precision}': take one of {choices}")
    candidates = _candidates(backend, precision, case.noise.device)
    return _first(case, candidates, make, Engine('eager', 'float32', eager.build(case.module)))


def improve(case: Case, engine: Engine) -> Engine:
    """Return the best engine that was `unmade` and exists now, or else a copy of this engine.

    In the copy, `unmade` and `attempts` are up to date.
    """
    return _first(case, engine.unmade, False, replace(engine, unmade=()))


def _first(case: Case, candidates: Sequence[Candidate], make: bool, otherwise: Engine) -> Engine:
    """Return the first engine that can be built and agrees with eager; else `otherwise`."""
    attempts, unmade = [*otherwise.attempts], [*otherwise.unmade]
    plain = eager.build(case.module)
    for name, numbers in candidates:
        try:
            if not case.checkpoint:
                raise RuntimeError(
                    'an engine is cached by the hash of the checkpoint file, but this '
                    'checkpoint was never saved'
                )
            path = case.path(name, numbers)
            if not make and HAS_TO_BE_MADE[name](case.inputs, path):
                unmade.append((name, numbers))
                continue
            reduced = case.module
            if numbers == 'bfloat16':
                reduced = copy.deepcopy(case.module)
                reduce_precision(reduced)
            run = BUILDERS[name](reduced, case.inputs, path)
            error_m = disagreement_m(run, plain, case)
        except Exception as error:  # compilers and drivers raise errors of any kind
            outcome = one_line(error)[:300]
        else:
            if error_m <= TOLERANCE_M:
                return Engine(name, numbers, run, error_m, tuple(attempts), tuple(unmade))
            outcome = f'its joints are {1000 * error_m:.1f} mm from those of eager'
        attempts.append((name, numbers, outcome))
        logger.warning('the %s engine in %s is not used: %s', name, numbers, outcome)
    return replace(otherwise, attempts=tuple(attempts), unmade=tuple(unmade))


def _candidates(backend: str, precision: str, device: torch.device) -> list[Candidate]:
    """Return backends and precisions, without eager, in the order in which they are tried."""
    if backend == 'eager':
        return []
    first = backend
    if backend == 'auto':
        first = 'tensorrt' if device.type == 'cuda' else 'compiled'
    names = list(BUILDERS)
    allowed = names[names.index(first) :]
    has = cpu_capabilities()
    has_bfloat16 = device.type == 'cuda' or any(map(has.get, ('amx_bf16', 'avx512_bf16')))
    return [
        (name, numbers)
        for name, numbers in LADDER
        if name in allowed
        and precision in ('auto', numbers)
        and (numbers == 'float32' or has_bfloat16)
    ]


@torch.inference_mode()
def disagreement_m(run: Run, reference: Run, case: Case) -> float:
    """Return how much the results of two engines differ, in metres.

    The samples, the mean and the spread are compared, once for one person and once for all people.
    Each comparison takes the 99th percentile of the differences over joints, frames and samples.
    The result is the greatest of these percentiles, or infinity if a value is not finite.
    """
    synthesis = case.module.synthesis.cpu()
    differences = []
    for people in (case.histories[:1], case.histories):
        ours, theirs = (engine(people, case.noise, case.embedded) for engine in (run, reference))
        deviations, mean, spread = (a - b for a, b in zip(ours, theirs, strict=True))
        samples = mean[:, None] + synthesised(synthesis, deviations)
        distances = (
            torch.linalg.vector_norm(samples, dim=-1),
            torch.linalg.vector_norm(mean, dim=-1),
            spread.abs(),
        )
        differences += [float(np.quantile(d.numpy(), 0.99)) for d in distances]
    worst = float(np.max(differences))  # np.max returns NaN if a difference is NaN
    return worst if math.isfinite(worst) else math.inf


def walkers(layout: Layout, frames: int, rate_hz: float, people: int = 4) -> Tensor:
    """Return histories (people, frames, J, 3) of figures that walk with swinging limbs, metres.

    These figures stand in for recordings, which do not exist for every layout. Each joint is 0.2 m
    from its parent and moves at up to 1 m/s.
    """
    random = np.random.default_rng(0)
    count = len(layout.joints)
    direction = random.normal(size=(people, count, 3))
    offset = 0.2 * direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    t = np.arange(frames) / rate_hz
    phase = random.uniform(0, 2 * np.pi, (people, 1, count, 1))
    swing = 0.05 * np.sin(2 * np.pi * t[:, None, None] + phase) * random.normal(size=3)
    limbs = offset[:, None] + swing  # (P, H, J, 3) from the parent
    pace = np.append(random.normal(scale=0.5, size=2), 0)
    place = np.append(random.normal(scale=2, size=2), 1)
    motion = np.empty((people, frames, count, 3), np.float32)
    for joint, parent in enumerate(layout.parents):
        before = place + pace * t[:, None] if parent < 0 else motion[:, :, parent]
        motion[:, :, joint] = before + (0 if parent < 0 else limbs[:, :, joint])
    return torch.from_numpy(motion)
