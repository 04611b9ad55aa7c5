"""Sampling methods for research only: the many steps of a teacher, and other precisions."""

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from motion_predictor.checkpoint import Checkpoint
from motion_predictor.model.diffusion import Grid, ddim, ddim_sample, epsilon_from_x0
from motion_predictor.model.one_step import OneStep
from motion_predictor.model.parametrisation import (
    CompletedParametrisation,
    OfficialParametrisation,
)

Precision = Literal['float32', 'bfloat16']


class MultiStep(OneStep):
    """A predictor that runs a TransFusion network through all its DDIM steps.

    Args:
        steps: number of denoising steps.
        grid: method that chooses the timesteps of the denoising steps; see `ddim_timesteps`.
        arguments: positional arguments of `OneStep`.
        keywords: keyword arguments of `OneStep`.
    """

    def __init__(self, *arguments: Any, steps: int, grid: Grid, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.steps, self.grid = steps, grid
        # The official model is sampled by `ddim_sample`, which puts the observed history into the
        # motion after each step.
        if isinstance(self.parametrisation, OfficialParametrisation):
            of = self.parametrisation
            self.parametrisation = CompletedParametrisation(
                of.history_frames, of.future_frames, len(of.dct)
            )

    def _denoise(self, noise: Tensor, condition: Tensor, embedded: Tensor) -> Tensor:
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

        return ddim(
            predict_epsilon, noise, self.steps, schedule=self.noise_schedule, grid=self.grid
        )


class Reduced(OneStep):
    """A one-step predictor that runs the network in bfloat16 and all other steps in float32."""

    def denoise(self, *arguments: Any, **keywords: Any) -> Tensor:
        with torch.autocast(self.alpha_hat.device.type, torch.bfloat16):
            return super().denoise(*arguments, **keywords).float()


def build_sampler(checkpoint: Checkpoint, precision: Precision = 'float32') -> OneStep:
    """Return a predictor that samples by the method that the checkpoint names.

    Args:
        checkpoint: checkpoint of a teacher or a one-step model.
        precision: precision of the network of a one-step model. A teacher always uses float32.
    """
    if checkpoint.header.sampling == 'one_step':
        return checkpoint.build(Reduced if precision == 'bfloat16' else OneStep)
    header = checkpoint.header
    return checkpoint.build(partial(MultiStep, steps=header.ddim_steps, grid=header.ddim_grid))
