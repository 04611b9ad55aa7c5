"""The diffusion process: noise schedules, DDIM and completion of the observed frames."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from motion_predictor.model.dct import dct_matrix

NOISE_STEPS = 1000


def cosine_schedule(noise_steps: int = NOISE_STEPS, offset: float = 0.008) -> Tensor:
    """Return alpha_hat (noise_steps,), float64 (Nichol and Dhariwal, arXiv 2102.09672).

    As in TransFusion, each beta is clipped to [0, 0.999] before the product.
    """
    t = torch.linspace(0, 1, noise_steps + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * torch.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(0, 0.999)
    return torch.cumprod(1 - betas, dim=0)


def linear_schedule(noise_steps: int = NOISE_STEPS) -> Tensor:
    """Return alpha_hat (noise_steps,), float64, of betas from 1e-4 to 0.02 (arXiv 2006.11239)."""
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
    """Return the ascending timesteps of DDIM. Sampling starts at the last one, from pure noise.

    With `leading`, as in TransFusion, the network was trained with some motion left at that
    timestep: it is 901 of 1,000 for ten steps, and smaller for fewer steps. With `trailing` it is
    999, at which no motion is left (Lin et al., arXiv 2305.08891).

    Raises:
        ValueError: if steps is not in 1..noise_steps // 2.
    """
    if not 1 <= steps <= noise_steps // 2:
        raise ValueError(f'DDIM takes 1 to {noise_steps // 2} steps, got {steps}')
    if grid == 'trailing':
        return [round(noise_steps * k / steps) - 1 for k in range(1, steps + 1)]
    return [t + 1 for t in range(0, noise_steps, noise_steps // steps)][:steps]


def x0_from_epsilon(x: Tensor, epsilon: Tensor, alpha_hat: Tensor) -> Tensor:
    """Return the clean coefficients of x, given the noise in it."""
    return (x - (1 - alpha_hat).sqrt() * epsilon) / alpha_hat.sqrt()


def epsilon_from_x0(x: Tensor, x0: Tensor, alpha_hat: Tensor) -> Tensor:
    """Return the noise in x, given its clean coefficients."""
    return (x - alpha_hat.sqrt() * x0) / (1 - alpha_hat).sqrt()


def add_noise(x0: Tensor, noise: Tensor, alpha_hat: Tensor) -> Tensor:
    """Return x0 diffused to the level of alpha_hat (broadcast against x0)."""
    return alpha_hat.sqrt() * x0 + (1 - alpha_hat).sqrt() * noise


def completion_matrices(
    history_frames: int, future_frames: int, coefficients: int
) -> tuple[Tensor, Tensor]:
    """Return the two (K, K) float64 matrices of the completion.

    ``completed = known @ condition + unknown @ estimate``. In the time domain, the result has the
    observed frames of the condition and the future frames of the estimate. It is then truncated to
    K coefficients again.
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
        predict_epsilon: returns the noise in x (B, K, D), given x, the timesteps (B,) and
            alpha_hat (scalar).
        noise: (B, K, D), where sampling starts.
        steps: number of denoising steps.
        complete: changes x after each step, given the step's index, x and the alpha_hat of x.
        schedule: noise schedule.
        grid: spacing of the timesteps; see `ddim_timesteps`.

    Returns:
        (B, K, D) coefficients.
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
    """Sample as the official TransFusion does: predict noise, and complete after every step.

    Args:
        network: returns the noise in x (B, K, D), given x, timesteps (B,) and condition (B, K, D).
        condition: (B, K, D) or (K, D), the DCT of the history padded with its last frame.
        noise: (B, K, D), where sampling starts.
        history_frames: H, number of observed frames.
        future_frames: F, number of predicted frames.
        steps: number of DDIM steps.
        completion_noise: (steps, B, K, D), the noise that is added to the condition at each
            completion. None: it is drawn at random.

    Returns:
        (B, K, D) coefficients of the whole motion, observed and future.
    """
    condition = condition.expand_as(noise)
    matrices = completion_matrices(history_frames, future_frames, noise.shape[-2])
    known, unknown = (matrix.to(noise) for matrix in matrices)

    def complete(index: int, x: Tensor, alpha_hat: Tensor) -> Tensor:
        fresh = torch.randn_like(x) if completion_noise is None else completion_noise[index]
        return known @ add_noise(condition, fresh, alpha_hat) + unknown @ x

    return ddim(lambda x, t, _: network(x, t, condition), noise, steps, complete)
