"""Sampling that the robot does not do: the teacher's many denoising steps."""

from functools import partial
from typing import Any

from torch import Tensor

from motion_predictor.checkpoint import Checkpoint
from motion_predictor.model.diffusion import ddim, ddim_sample, epsilon_from_x0
from motion_predictor.model.one_step import OneStep
from motion_predictor.model.parametrisation import OfficialParametrisation


class MultiStep(OneStep):
    """A predictor that runs a TransFusion through all its DDIM steps.

    Args:
        steps: denoising steps.
        arguments: as `OneStep`.
    """

    def __init__(self, *arguments: Any, steps: int, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.steps = steps

    def denoise(self, noise: Tensor, condition: Tensor, embedded: Tensor | None = None) -> Tensor:
        shape = condition.shape[0], noise.shape[1]
        noise = noise.expand(shape[0], -1, -1, -1).flatten(0, 1)
        condition = condition.repeat_interleave(shape[1], 0)
        return self._sample(noise, condition).unflatten(0, shape)

    def _sample(self, noise: Tensor, condition: Tensor) -> Tensor:
        if isinstance(self.parametrisation, OfficialParametrisation):
            window = self.parametrisation.history_frames, self.parametrisation.future_frames
            return ddim_sample(self.network, condition, noise, *window, steps=self.steps)

        def predict_epsilon(x: Tensor, timesteps: Tensor, alpha_hat: Tensor) -> Tensor:
            output = self.network(x, timesteps, condition)
            return output if self.predicts_noise else epsilon_from_x0(x, output, alpha_hat)

        return ddim(predict_epsilon, noise, self.steps)


def build_sampler(checkpoint: Checkpoint) -> OneStep:
    """Return the module that samples as the checkpoint is meant to be sampled."""
    if checkpoint.header.sampling == 'one_step':
        return checkpoint.build()
    return checkpoint.build(partial(MultiStep, steps=checkpoint.header.ddim_steps))
