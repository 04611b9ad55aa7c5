"""The library's main class, which predicts possible futures and their uncertainty."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from motion_predictor.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from motion_predictor.engines import eager
from motion_predictor.engines.choice import Attempt, Case, choose, improve, walkers
from motion_predictor.model.one_step import OneStep
from motion_predictor.model.statistics import WithStatistics
from motion_predictor.prediction import Prediction
from motion_predictor.uncertainty.reach import greatest_speed, reachable
from motion_predictor.uncertainty.state import State, StateReader

FloatArray = NDArray[np.float32]
WARM_UP_CALLS = 3
MIN_FAMILIARITY = 0.003
"""p-value of a history below which radii grow until they hold everything in a person's reach."""


class MotionPredictor:
    """Predicts the motion of people from their observed motion.

    Args:
        checkpoint: content of the checkpoint file.
        model: torch module of the checkpoint, which turns histories into futures.
        device: 'cpu', 'cuda', 'cuda:1', ... or 'auto', which is a GPU if there is one.
        samples: number of possible futures per person, S.
        resample_noise: whether to draw new noise at every call. By default the noise is fixed, so
            that sample s stays the same kind of future from one call to the next.
        backend: 'eager', 'compiled', 'cuda_graph', 'tensorrt', or 'auto', which takes the fastest
            backend that is available and agrees with eager.
        precision: 'float32', 'bfloat16', or 'auto', which takes bfloat16 where it is accurate.
        coverage: probability with which a radius holds its joint. The checkpoint must be
            calibrated for this coverage. If `coverage` is None, the coverage is 0.95, or the
            highest calibrated coverage if 0.95 is not calibrated. If the checkpoint has no
            calibration, radii are NaN.
        min_familiarity: p-value below which a history counts as unfamiliar.
        make_engines: whether to make an engine that does not exist yet, which takes a minute. If
            False, the predictor starts with the best existing engine. If another process makes a
            faster engine later, `improve` switches to the faster engine.

    Raises:
        ValueError: if samples is not in 1..1000, the device is not available, there is no such
            backend or precision, or the coverage is not calibrated.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        model: OneStep,
        device: str = 'auto',
        samples: int = 50,
        resample_noise: bool = False,
        backend: str = 'eager',
        precision: str = 'auto',
        coverage: float | None = None,
        min_familiarity: float = MIN_FAMILIARITY,
        make_engines: bool = True,
    ) -> None:
        if not isinstance(samples, int) or not 1 <= samples <= 1000:
            raise ValueError(f'samples must lie in 1..1000, got {samples}')
        header = checkpoint.header
        self.checkpoint = checkpoint
        self._sets = checkpoint.sets(coverage)
        self._state_of = StateReader(header.window.history_frames, header.window.rate_hz)
        self._familiarity_of = checkpoint.familiarity()
        self._human_m_s = greatest_speed(header.layout)
        self.min_familiarity = min_familiarity
        self.samples = samples
        self.resample_noise = resample_noise
        self.device = _device(device)
        model = model.to(self.device).eval()
        self._noise = _seeded_noise(checkpoint, samples).to(self.device)  # (S, K, D)
        self._embed = torch.no_grad()(model.embed)
        self._embedded = self._embed(self._noise)
        self._module = WithStatistics(model)
        self._synthesis = self._module.synthesis.cpu().numpy()  # (F, K)
        self._switching = threading.Lock()
        self.engine = choose(self._case(), backend, precision, make_engines)
        self.coverage = self._coverage(samples)
        """Probability with which a radius holds its joint; NaN if radii are NaN."""
        frames = np.arange(1, header.window.future_frames + 1)
        self.times = (frames / header.window.rate_hz).astype(np.float32)

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = 'default',
        device: str = 'auto',
        samples: int = 50,
        resample_noise: bool = False,
        backend: str = 'auto',
        precision: str = 'auto',
        coverage: float | None = None,
        min_familiarity: float = MIN_FAMILIARITY,
        make_engines: bool = True,
    ) -> 'MotionPredictor':
        """Load a checkpoint by name, such as "default", or by the path of its file.

        Raises:
            CheckpointError: if the file is missing, damaged or no checkpoint, or holds a teacher,
                which needs many steps. The error message is one sentence.
            ValueError: for the same reasons as the constructor.
        """
        checkpoint = load_checkpoint(name_or_path)
        if checkpoint.header.sampling != 'one_step':
            raise CheckpointError(
                f'{name_or_path} is a teacher of {checkpoint.header.ddim_steps} denoising '
                'steps: distil it to one step first'
            )
        model = checkpoint.build()
        options = (device, samples, resample_noise, backend, precision, coverage, min_familiarity)
        return cls(checkpoint, model, *options, make_engines)

    def _coverage(self, samples: int) -> float:
        """Return the coverage of the radii; NaN if this number of samples is not calibrated."""
        calibration = self.checkpoint.header.calibration
        if calibration is None or self._sets is None or calibration.rung(samples) is None:
            return float('nan')
        return self._sets.coverage

    def warm_up(self, people: Sequence[int], samples: Sequence[int]) -> None:
        """Predict a few times with these numbers of people and samples: later calls are faster."""
        for crowd in people:
            for count in samples:
                for _ in range(WARM_UP_CALLS):
                    self.rehearse(crowd, count)

    def rehearse(self, people: int, samples: int) -> None:
        """Predict once for this number of people and samples, to warm up or to measure time."""
        header = self.checkpoint.header
        shape = (people, header.window.history_frames, len(header.layout.joints), 3)
        self.predict(np.zeros(shape, np.float32), samples)

    def _case(self) -> Case:
        header = self.checkpoint.header
        window = header.window
        histories = walkers(header.layout, window.history_frames, window.rate_hz)
        sha256 = self.checkpoint.sha256
        return Case(self._module, self._noise, self._embedded, histories, sha256)

    def improve(self, refused: Sequence[Attempt] = ()) -> bool:
        """Switch to a faster engine if there is one now that agrees with eager. Thread-safe.

        Args:
            refused: engines of `engine.unmade` that could not be made, with the reasons.

        Returns:
            Whether the engine was replaced.
        """
        before = self.engine
        left = [c for c in before.unmade if c not in [attempt[:2] for attempt in refused]]
        attempts = (*before.attempts, *refused)
        better = improve(self._case(), replace(before, unmade=tuple(left), attempts=attempts))
        with self._switching:
            if self.engine is not before:  # `fall_back` replaced the old engine meanwhile
                return False
            self.engine = better
        return better.run is not before.run

    def fall_back(self, reason: str) -> bool:
        """Replace a failed engine by eager, or eager on a GPU by eager on the CPU.

        Returns:
            Whether the engine was replaced. Eager on the CPU is never replaced.
        """
        with self._switching:
            failed = self.engine
            if failed.backend == 'eager' and self.device.type == 'cpu':
                return False
            if failed.backend == 'eager':  # after a GPU error, no data on the GPU can be trusted
                self._move_to_cpu()
            self.engine = replace(
                failed,
                backend='eager',
                precision='float32',
                run=eager.build(self._module),
                error_m=0.0,
                unmade=(),
                gave_up=(*failed.gave_up, (failed.backend, failed.precision, reason)),
            )
        return True

    def _move_to_cpu(self) -> None:
        """Build the model again on the CPU from the checkpoint: data on the GPU may be lost."""
        self.device = torch.device('cpu')
        model = self.checkpoint.build().eval()
        self._noise = _seeded_noise(self.checkpoint, self.samples)
        self._embed = torch.no_grad()(model.embed)
        self._embedded = self._embed(self._noise)
        self._module = WithStatistics(model)

    @torch.inference_mode()
    def predict(self, history: ArrayLike, samples: int | None = None) -> Prediction:
        """Predict the motion of one person or several.

        Args:
            history: observed joints (H, J, 3) or (P, H, J, 3), metres, in any frame with z up. The
                frame rate and the order of joints must be those of the checkpoint.
            samples: number of samples per person, by default and at most `self.samples`. The first
                samples are the same, whatever the value of `samples`.

        Raises:
            ValueError: if the shape is wrong, a value is not finite, or `samples` is not in
                1..`self.samples`.
            RuntimeError: if the network returns values that are not finite.
        """
        observed = np.array(history, dtype=np.float32, order='C')  # engines need row-major order
        if observed.ndim == 3:
            observed = observed[None]
        header = self.checkpoint.header
        expected = (header.window.history_frames, len(header.layout.joints), 3)
        if observed.ndim != 4 or observed.shape[1:] != expected:
            raise ValueError(
                f'history of shape {np.shape(history)} does not fit: expected '
                f'{expected} or (people, {", ".join(map(str, expected))})'
            )
        if not np.isfinite(observed).all():
            raise ValueError(
                'the history holds values that are not finite: fill gaps before predicting'
            )
        count = self.samples if samples is None else samples
        if not 1 <= count <= self.samples:
            raise ValueError(f'samples must lie in 1..{self.samples}, got {count}')
        noise, embedded = self._noise[:count], self._embedded[:count]
        if self.resample_noise:
            noise = torch.randn_like(noise)
            embedded = self._embed(noise)
        results = self.engine(torch.from_numpy(observed), noise, embedded)
        deviations, mean, spread = (result.numpy() for result in results)
        if not np.isfinite(mean).all():
            raise RuntimeError('the network returned values that are not finite')
        state = self._state_of(observed)
        radius, body_scale = self._radius(spread, state, count)
        coverage = self._coverage(count)
        familiarity: FloatArray = np.full(len(observed), np.nan, np.float32)
        if self._familiarity_of is not None:
            familiarity = self._familiarity_of(observed)
        unfamiliar = familiarity < self.min_familiarity
        for row in np.flatnonzero(unfamiliar):
            near = slice(row, row + 1)
            reach = reachable(
                mean[near], observed[near, -1], state.speed[near], self._human_m_s, self.times
            )[0]
            body = body_scale[row, :, None] * radius[row]
            body_scale[row] = np.maximum(1, (body / reach).max(-1))
            radius[row] = np.maximum(radius[row], reach)
        return Prediction(
            deviations,
            self._synthesis,
            mean,
            radius,
            body_scale,
            coverage,
            self.times,
            familiarity,
            unfamiliar,
        )

    def _radius(
        self, spread: FloatArray, state: State, count: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return radii (P, F, J) and factors for the whole body (P, F); NaN if not calibrated."""
        if self._sets is not None:
            sets = self._sets(state, spread, count)
            if sets is not None:
                return sets
        nothing = np.full(spread.shape, np.nan, np.float32)
        return nothing, nothing[..., 0].copy()


def _seeded_noise(checkpoint: Checkpoint, samples: int) -> torch.Tensor:
    """Return noise (S, K, D). Each sample has its own seed, so its noise does not depend on S."""
    header = checkpoint.header
    shape = (header.window.coefficients, header.features)
    seeds = [(header.noise_seed, sample) for sample in range(samples)]
    rows = [np.random.default_rng(seed).standard_normal(shape, np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(rows))


def _device(name: str) -> torch.device:
    """Return the device with this name, after a check that the device is available."""
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"the device '{name}' is not available: {reason}") from error
    return device
