"""The training loop that every stage shares: resumable, with averaged weights."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from motion_predictor_training.config import ConfigError, Optimisation


def training_device() -> torch.device:
    """Return a GPU if there is one."""
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def optimise(
    network: nn.Module,
    loss: Callable[[int], Tensor],
    settings: Optimisation,
    state_path: Path,
    identity: str,
    description: str,
) -> None:
    """Fit a network in place; it ends with its averaged weights, in evaluation mode.

    Killed at any moment, the same call resumes from the last saved state. Each step's randomness
    is seeded by the step alone, so that a resumed run takes the steps an unbroken one would.

    Args:
        network: what is fitted, on the device where that is to happen.
        loss: maps the number of a step to its loss.
        settings: optimiser settings.
        state_path: where the state to resume from is kept; removed by nobody.
        identity: of all that the result depends on; a state of another one is refused.
        description: what the progress bar says.

    Raises:
        ConfigError: if the state is of other settings, data or another teacher.
    """
    device = next(network.parameters()).device
    network.train()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay))
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=settings.learning_rate, total_steps=settings.steps, pct_start=0.1
    )
    stateful: dict[str, Any] = {
        'network': network,
        'average': average,
        'optimiser': optimiser,
        'schedule': schedule,
    }
    first = 0
    if state_path.is_file():
        state = torch.load(state_path, map_location=device, weights_only=True)
        if state.get('identity') != identity:
            raise ConfigError(
                f'{state_path} is of other settings, data or teacher: remove it or write elsewhere'
            )
        first = state['step']
        for name, part in stateful.items():
            part.load_state_dict(state[name])
    recent = 0.0
    for step in (bar := _progress(first, settings.steps, description)):
        torch.manual_seed(settings.seed * 1_000_003 + step)
        with torch.autocast(device.type, torch.bfloat16, settings.precision == 'bfloat16'):
            value = loss(step)
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), settings.gradient_clip)
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
        recent = value.item() if step == first else 0.98 * recent + 0.02 * value.item()
        bar.set_postfix(loss=f'{recent:.4f}')
        if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
            state = {name: part.state_dict() for name, part in stateful.items()}
            save_atomically({'step': step + 1, 'identity': identity, **state}, state_path)
    network.load_state_dict(average.module.state_dict())
    network.eval()


def _progress(first: int, steps: int, description: str) -> 'tqdm[int]':
    return tqdm(range(first, steps), initial=first, total=steps, desc=description, mininterval=5.0)


def save_atomically(state: dict[str, object], path: Path) -> None:
    """Save a training state so that a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix('.draft')
    torch.save(state, draft)
    os.replace(draft, path)
