"""The library's face: observed motion in, possible futures with an honest uncertainty out."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from motion_predictor.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from motion_predictor.model.one_step import OneStep

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Prediction:
    """Possible futures of P people, in the frame of their histories, metres, z up."""

    samples: FloatArray
    """(P, S, F, J, 3) equally likely futures, the root included."""
    mean: FloatArray
    """(P, F, J, 3) their mean."""
    radius: FloatArray
    """(P, F, J) radius of the ball around the mean that holds the joint with probability
    `coverage`; NaN where the checkpoint is not calibrated for so few samples, or not at all."""
    coverage: float
    """Probability that `radius` stands for; NaN where `radius` is."""
    times: FloatArray
    """(F,) seconds after the last observed frame."""

    def widened(self, doubt_m: FloatArray) -> 'Prediction':
        """Return it with radii that hold joints (P, J) that may have been elsewhere at the start.

        The two errors are independent: squares add up.
        """
        return replace(self, radius=np.hypot(self.radius, doubt_m[:, None]))


def spread_of(samples: Tensor, mean: Tensor) -> Tensor:
    """Return the root mean square distance (P, F, J) of samples (P, S, F, J, 3) to their mean."""
    deviation = samples - mean[:, None]
    # Over the samples first: a third of the time of summing three coordinates first.
    return torch.mul(deviation, deviation).mean(1).sum(-1).sqrt()


class MotionPredictor:
    """Predicts the motion of people from their observed motion.

    Args:
        checkpoint: what was trained.
        model: the checkpoint's network as a module from history to future.
        device: 'cpu', 'cuda', 'cuda:1', ... or 'auto', which takes a GPU if there is one.
        samples: S, futures per person.
        resample_noise: draw new noise at every call. By default it is fixed, so that sample s
            stays the same kind of future from one call to the next.

    Raises:
        ValueError: if samples is not in 1..1000 or the device is not there.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        model: OneStep,
        device: str = 'auto',
        samples: int = 50,
        resample_noise: bool = False,
    ) -> None:
        if not isinstance(samples, int) or not 1 <= samples <= 1000:
            raise ValueError(f'samples must lie in 1..1000, got {samples}')
        header = checkpoint.header
        self.checkpoint = checkpoint
        self.samples = samples
        self.resample_noise = resample_noise
        self.device = _device(device)
        self._model = model.to(self.device).eval()
        shape = (header.window.coefficients, header.features)
        self._noise = torch.from_numpy(  # seeded one by one: fewer samples are the first of more
            np.stack(
                [
                    np.random.default_rng((header.noise_seed, i)).standard_normal(
                        shape, np.float32
                    )
                    for i in range(samples)
                ]
            )
        ).to(self.device)  # (S, K, D)
        self.coverage = float('nan')
        """Probability with which a radius holds its joint; NaN if there is no such claim."""
        calibration = header.calibration
        # The spread of fewer samples than were calibrated with is a smaller one.
        if calibration is not None and samples >= calibration.samples:
            self.coverage = calibration.coverage
            self._scale = checkpoint.tensors['calibration.scale'].to(self.device)  # (F, J)
            self._floor_m = calibration.floor_m
        frames = np.arange(1, header.window.future_frames + 1)
        self.times = (frames / header.window.rate_hz).astype(np.float32)

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = 'default',
        device: str = 'auto',
        samples: int = 50,
        resample_noise: bool = False,
    ) -> 'MotionPredictor':
        """Load "default", another checkpoint that ships, or a file.

        Raises:
            CheckpointError: in one sentence, if the file is missing, truncated, foreign,
                mismatched, or a teacher that needs many steps.
            ValueError: as the constructor.
        """
        checkpoint = load_checkpoint(name_or_path)
        if checkpoint.header.sampling != 'one_step':
            raise CheckpointError(
                f'{name_or_path} is a teacher of {checkpoint.header.ddim_steps} denoising steps; '
                'distil it to one step first'
            )
        return cls(checkpoint, checkpoint.build(), device, samples, resample_noise)

    @torch.inference_mode()
    def predict(self, history: ArrayLike) -> Prediction:
        """Predict the motion of one person or several.

        Args:
            history: (H, J, 3) or (P, H, J, 3) metres, z up, at the checkpoint's rate, in any
                gravity-aligned frame; joints in the order of the checkpoint's layout.

        Raises:
            ValueError: if the shape is another or a value is not finite.
        """
        observed = torch.from_numpy(np.array(history, dtype=np.float32))
        if observed.ndim == 3:
            observed = observed[None]
        header = self.checkpoint.header
        expected = (header.window.history_frames, len(header.layout.joints), 3)
        if observed.ndim != 4 or tuple(observed.shape[1:]) != expected:
            raise ValueError(
                f'history of shape {tuple(np.shape(history))} does not fit: expected '
                f'{expected} or (people, {", ".join(map(str, expected))})'
            )
        if not torch.isfinite(observed).all():
            raise ValueError('the history holds values that are not finite: fill gaps first')
        noise = torch.randn_like(self._noise) if self.resample_noise else self._noise
        samples = self._model(observed.to(self.device), noise)  # (P, S, F, J, 3)
        mean = samples.mean(1)
        if not torch.isfinite(mean).all():
            raise RuntimeError('the network returned numbers that are not finite')
        if np.isnan(self.coverage):
            radius = torch.full_like(mean[..., 0], torch.nan)
        else:
            radius = self._scale * spread_of(samples, mean).clamp(min=self._floor_m)
        return Prediction(
            samples.cpu().numpy(),
            mean.cpu().numpy(),
            radius.cpu().numpy(),
            self.coverage,
            self.times,
        )


def _device(name: str) -> torch.device:
    """Return a device that is there."""
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"the device '{name}' is not there: {reason}") from error
    return device
