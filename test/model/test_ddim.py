"""The grids of DDIM, tested with the exact denoiser of a known distribution."""

import pytest
import torch

from motion_predictor.model.diffusion import Grid, ddim, ddim_timesteps, epsilon_from_x0

MEAN, DEVIATION = 2.0, 0.5


def sampled_mean(steps: int, grid: Grid) -> float:
    """Return the mean of samples of N(MEAN, DEVIATION^2), drawn with the exact denoiser."""

    def predict_epsilon(x: torch.Tensor, _: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        gain = a.sqrt() * DEVIATION**2 / (a * DEVIATION**2 + 1 - a)
        return epsilon_from_x0(x, MEAN + gain * (x - a.sqrt() * MEAN), a)

    noise = torch.randn(4096, 1, 1, generator=torch.Generator().manual_seed(0)).double()
    return ddim(predict_epsilon, noise, steps, grid=grid).mean().item()


def test_grids_are_as_published() -> None:
    assert ddim_timesteps(10) == [1, 101, 201, 301, 401, 501, 601, 701, 801, 901]
    assert ddim_timesteps(10, 'trailing') == [99, 199, 299, 399, 499, 599, 699, 799, 899, 999]
    assert ddim_timesteps(3, 'trailing') == [332, 666, 999]
    assert ddim_timesteps(1, 'trailing') == [999] and ddim_timesteps(1) == [1]


@pytest.mark.parametrize('steps', [2, 10])
def test_few_leading_steps_miss_the_mean_and_trailing_ones_do_not(steps: int) -> None:
    leading, trailing = sampled_mean(steps, 'leading'), sampled_mean(steps, 'trailing')
    assert abs(trailing - MEAN) < 0.02 < 0.03 < abs(leading - MEAN)
