"""The diffusion process: noise schedules, DDIM sampling, and completion.

Completion puts the observed frames back into a motion that the network has changed.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from motion_predictor.model.dct import dct_matrix

NOISE_STEPS = 1000


def cosine_schedule(noise_steps: int = NOISE_STEPS, offset: float = 0.008) -> Tensor:
    """Return alpha_hat (noise_steps,) of the cosine schedule, float64 (arXiv 2102.09672).

    The beta of each step is clipped to [0, 0.999], as in TransFusion. Then alpha_hat is the
    cumulative product of 1 - beta.
    """
    t = torch.linspace(0, 1, noise_steps + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * torch.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(0, 0.999)
    return torch.cumprod(1 - betas, dim=0)


def linear_schedule(noise_steps: int = NOISE_STEPS) -> Tensor:
    """Return alpha_hat (noise_steps,) of a linear schedule, float64 (arXiv 2006.11239).

    The betas rise from 1e-4 to 0.02.
    """
    betas = torch.linspace(1e-4, 0.02, noise_steps, dtype=torch.float64)
    return torch.cumprod(1 - betas, dim=0)


NoiseSchedule = Literal['cosine', 'linear']
SCHEDULES: dict[NoiseSchedule, Callable[[], Tensor]] = {
    'cosine': cosine_schedule,
    'linear': linear_schedule,
}


Grid = Literal['leading', 'trailing']


def ddim_timesteps(
    steps: int, grid: Grid = 'leading', noise_steps: int = NOISE_STEPS
) -> list[int]:
    """Return the timesteps of DDIM in ascending order.

    Sampling starts at the last timestep, from pure noise. The grids `leading` and `trailing` end
    at different timesteps. With `leading`, as in TransFusion, the last timestep is 901 of 1,000
    for ten steps, and smaller for fewer steps. At the last timestep of `leading`, a training
    example still shows some motion, but sampling starts from noise alone. With `trailing`, the
    last timestep is 999. At timestep 999, a training example shows no motion, as in sampling (Lin
    et al., arXiv 2305.08891).

    Raises:
        ValueError: if steps is not in 1..noise_steps // 2.
    """
    if not 1 <= steps <= noise_steps // 2:
        raise ValueError(f'DDIM takes 1 to {noise_steps // 2} steps, got {steps}')
    if grid == 'trailing':
        return [round(noise_steps * k / steps) - 1 for k in range(1, steps + 1)]
    return [t + 1 for t in range(0, noise_steps, noise_steps // steps)][:steps]


def x0_from_epsilon(x: Tensor, epsilon: Tensor, alpha_hat: Tensor) -> Tensor:
    """Return the clean coefficients x0 of noised coefficients x, given their noise epsilon."""
    return (x - (1 - alpha_hat).sqrt() * epsilon) / alpha_hat.sqrt()


def epsilon_from_x0(x: Tensor, x0: Tensor, alpha_hat: Tensor) -> Tensor:
    """Return the noise epsilon of noised coefficients x, given their clean coefficients x0."""
    return (x - alpha_hat.sqrt() * x0) / (1 - alpha_hat).sqrt()


def add_noise(x0: Tensor, noise: Tensor, alpha_hat: Tensor) -> Tensor:
    """Return coefficients x0 with noise of the level alpha_hat, which is broadcast to x0."""
    return alpha_hat.sqrt() * x0 + (1 - alpha_hat).sqrt() * noise


def completion_matrices(
    history_frames: int, future_frames: int, coefficients: int
) -> tuple[Tensor, Tensor]:
    """Return the two matrices of the completion, `known` and `unknown` (K, K), float64.

    ``completed = known @ condition + unknown @ estimate``. The completed motion has the observed
    frames of the condition and the future frames of the estimate, truncated to K coefficients.
    """
    dct = dct_matrix(history_frames + future_frames, coefficients)
    observed, future = dct[:, :history_frames], dct[:, history_frames:]
    return observed @ observed.T, future @ future.T


def ddim(
    predict_epsilon: Callable[[Tensor, Tensor, Tensor], Tensor],
    noise: Tensor,
    steps: int,
    complete: Callable[[int, Tensor, Tensor], Tensor] | None = None,
    schedule: NoiseSchedule = 'cosine',
    grid: Grid = 'leading',
) -> Tensor:
    """Run deterministic DDIM (eta = 0) from pure noise.

    Args:
        predict_epsilon: function that returns the noise in x (B, K, D), given x, the timesteps
            (B,) and alpha_hat (scalar).
        noise: coefficients with which sampling starts, (B, K, D).
        steps: number of denoising steps.
        complete: function that returns the changed x after each step, given the index of the
            step, x and the alpha_hat of x. If `complete` is None, x is not changed.
        schedule: name of the noise schedule.
        grid: name of the spacing of the timesteps; see `ddim_timesteps`.

    Returns:
        The denoised coefficients (B, K, D).
    """
    alpha_hat = SCHEDULES[schedule]().to(noise)
    sequence = ddim_timesteps(steps, grid)
    x = noise
    for index, (t, t_next) in enumerate(
        zip(reversed(sequence), reversed([0, *sequence[:-1]]), strict=True)
    ):
        timesteps = torch.full((len(x),), t, device=x.device)
        epsilon = predict_epsilon(x, timesteps, alpha_hat[t])
        x = add_noise(x0_from_epsilon(x, epsilon, alpha_hat[t]), epsilon, alpha_hat[t_next])
        if complete is not None:
            x = complete(index, x, alpha_hat[t_next])
    return x


@torch.no_grad()
def ddim_sample(
    network: Callable[[Tensor, Tensor, Tensor], Tensor],
    condition: Tensor,
    noise: Tensor,
    history_frames: int,
    future_frames: int,
    steps: int,
    completion_noise: Tensor | None = None,
) -> Tensor:
    """Sample as the official TransFusion does, with a completion after every step.

    Args:
        network: function that returns the noise in x (B, K, D), given x, the timesteps (B,) and
            the condition (B, K, D).
        condition: DCT of the history padded with its last frame, (B, K, D) or (K, D).
        noise: coefficients with which sampling starts, (B, K, D).
        history_frames: number of observed frames, H.
        future_frames: number of predicted frames, F.
        steps: number of DDIM steps.
        completion_noise: noise that is added to the condition at each completion,
            (steps, B, K, D). If `completion_noise` is None, this noise is drawn at random.

    Returns:
        The coefficients (B, K, D) of the whole motion, observed and future.
    """
    condition = condition.expand_as(noise)
    matrices = completion_matrices(history_frames, future_frames, noise.shape[-2])
    known, unknown = (matrix.to(noise) for matrix in matrices)

    def complete(index: int, x: Tensor, alpha_hat: Tensor) -> Tensor:
        fresh = torch.randn_like(x) if completion_noise is None else completion_noise[index]
        return known @ add_noise(condition, fresh, alpha_hat) + unknown @ x

    return ddim(lambda x, t, _: network(x, t, condition), noise, steps, complete)
