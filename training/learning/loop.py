"""The training loop of all stages, which can resume, run in parallel and average weights."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, StepLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from motion_predictor_training.config import ConfigError, Optimisation
from motion_predictor_training.files import replaced
from motion_predictor_training.learning.graphs import captured
from motion_predictor_training.learning.parallel import (
    average_over_processes,
    is_first,
    is_shared,
    wait_for_all,
)
from motion_predictor_training.learning.progress import Progress

LOG_EVERY = 10
"""Number of steps between entries of the log."""
DECAY = 0.8
"""Factor by which a stepwise learning rate decays, as in TransFusion's published training."""


class Watch(Protocol):
    """Measures the averaged weights during training, at regular intervals."""

    every: int
    """Number of steps between measurements. The weights after the last step are measured too."""

    def __call__(self, network: nn.Module, step: int) -> dict[str, float]:
        """Measure the network and return figures to log.

        If the watch raises an exception, the training ends.
        """


class DivergedError(ValueError):
    """The loss or a gradient is infinite or NaN."""


def training_device() -> torch.device:
    """Return the device to train on: a GPU if there is one, else the CPU."""
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def optimise(
    network: nn.Module,
    loss: Callable[[], Tensor],
    settings: Optimisation,
    state_path: Path,
    identity: str,
    description: str,
    watch: Watch | None = None,
    alike: bool = True,
) -> None:
    """Train a network in place.

    At the end, the network has the averaged weights and is in evaluation mode.

    After an interruption, call this function again with the same arguments: the training resumes
    from the last saved state. Before each step, the random numbers are seeded with the number of
    the step. Because of these seeds, a resumed training takes the same steps as an uninterrupted
    one. Under torchrun every process calls this function (see `parallel`).

    Args:
        network: network on the device that trains, with the same weights in every process.
        loss: function that returns the loss of a step, averaged over this process's share of the
            batch. `loss` must draw all its random numbers from torch.
        settings: settings of the optimiser.
        state_path: file for the training state, from which a training resumes. The state file is
            kept when the training ends. The TensorBoard log is a folder beside the state file,
            with the same name but the ending `.logs`.
        identity: hash of all settings and data that affect the result. A state file that was
            written with another hash is refused.
        description: title of the progress bar.
        watch: measures the averaged weights at regular intervals, if given.
        alike: whether every step runs the same operations. If so, a GPU can record one step as a
            CUDA graph, and replay this graph in every step.

    Raises:
        ConfigError: if the training state was made with other settings, other data or another
            teacher.
        DivergedError: if the loss or a gradient is infinite or NaN. The last saved training state
            is kept.
    """
    device = next(network.parameters()).device
    network.train()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay))
    average.eval()
    optimisers = _optimisers(network, settings)
    schedules = [_schedule(optimiser, settings) for optimiser in optimisers]
    stateful: dict[str, Any] = {'network': network, 'average': average}
    for k, (optimiser, schedule) in enumerate(zip(optimisers, schedules, strict=True)):
        stateful |= {f'optimiser_{k}': optimiser, f'schedule_{k}': schedule}
    first = 0
    if state_path.is_file():
        state = torch.load(state_path, map_location=device, weights_only=True)
        if state.get('identity') != identity:
            raise ConfigError(
                f'{state_path} was made with other settings, data or teacher: remove it or '
                'write elsewhere'
            )
        first = state['step']
        for name, part in stateful.items():
            part.load_state_dict(state[name])

    def gradients() -> Tensor:
        """Return the loss of a step, and add its gradients to the network."""
        total = torch.zeros((), device=device)
        for part in range(settings.accumulate):
            # Each process continues from its own seed, which it got from `share`.
            if part and is_shared():
                torch.manual_seed(torch.initial_seed() % 2**32 + settings.steps * part)
            with torch.autocast(device.type, torch.bfloat16, settings.precision == 'bfloat16'):
                value = loss() / settings.accumulate
            value.backward()
            total += value.detach()
        return total

    if device.type == 'cuda' and alike and not is_shared():
        step_gradients = captured(gradients, network)
    else:

        def step_gradients() -> Tensor:
            network.zero_grad()
            return gradients()

    # The first process overwrites the state file, so all processes must have read it.
    wait_for_all()
    losses: list[Tensor] = []  # losses of the steps since the last log entry
    began = time.monotonic()
    logs = state_path.with_suffix('.logs')
    with Progress(logs, first, settings.steps, description) as progress:
        for step in range(first, settings.steps):
            torch.manual_seed(settings.seed * 1_000_003 + step)
            losses.append(average_over_processes(step_gradients(), network))
            clip = math.inf if settings.gradient_clip is None else settings.gradient_clip
            norm = nn.utils.clip_grad_norm_(network.parameters(), clip)
            for optimiser, schedule in zip(optimisers, schedules, strict=True):
                optimiser.step()
                schedule.step()
            average.update_parameters(network)
            progress.advance()

            done = step + 1
            last = done == settings.steps
            save = last or done % settings.save_every == 0
            if (save or done % LOG_EVERY == 0) and not torch.isfinite(losses[-1] + norm):
                raise DivergedError(
                    f'the loss is {losses[-1].item()} after {done} steps: lower '
                    f'optimisation.learning_rate, and remove {state_path} to start again'
                )
            if last or done % LOG_EVERY == 0:
                figures = {
                    'loss': torch.stack(losses).mean().item(),
                    'gradient_norm': norm.item(),
                    'learning_rate': float(schedules[0].get_last_lr()[0]),
                    'steps_per_s': len(losses) / (time.monotonic() - began),
                }
                progress.report(done, figures, shown=('loss',))
                losses.clear()
                began = time.monotonic()
            if watch and is_first() and (last or done % watch.every == 0):
                figures = watch(average.module, done)
                progress.report(done, figures, shown=tuple(figures))
            if save and is_first():
                progress.flush()
                state = {name: part.state_dict() for name, part in stateful.items()}
                with replaced(state_path) as draft:
                    torch.save({'step': done, 'identity': identity, **state}, draft)
    # The weights of the last step are kept, not the weights with the best validation figure. Near
    # the end the learning rate is low and the weights are an average, so the validation figure
    # varies mostly by chance. Choosing the weights by the validation figure would also fit the
    # weights to the validation people, on whom the radius may be calibrated later.
    network.load_state_dict(average.module.state_dict())
    network.eval()


def _optimisers(network: nn.Module, settings: Optimisation) -> list[torch.optim.Optimizer]:
    """Return AdamW and, if `matrix_learning_rate` is set, Muon for weight matrices inside blocks.

    Muon (Jordan et al. 2024) changes a weight matrix equally strongly in all directions. With the
    same batches, Muon reached in 1,000 steps the accuracy that AdamW reached in 1,500.

    Raises:
        ConfigError: if torch is too old for Muon.
    """
    matrices: dict[str, nn.Parameter] = {}
    rate = settings.matrix_learning_rate
    if rate is not None:
        if not hasattr(torch.optim, 'Muon'):
            raise ConfigError(
                'optimisation.matrix_learning_rate needs Muon, which torch '
                f'{torch.__version__} does not have: install torch 2.9 or newer, or set it '
                'to null'
            )
        matrices = {
            name: weights
            for name, weights in network.named_parameters()
            if weights.ndim == 2 and any(part.isdigit() for part in name.split('.'))
        }
    others = [weights for name, weights in network.named_parameters() if name not in matrices]
    decay = settings.weight_decay
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(others, lr=settings.learning_rate, weight_decay=decay, fused=True)
    ]
    if rate is not None and matrices:
        optimisers.append(torch.optim.Muon(matrices.values(), lr=rate, weight_decay=decay))
    return optimisers


def _schedule(optimiser: torch.optim.Optimizer, settings: Optimisation) -> LRScheduler:
    if settings.decay_every is None:
        return OneCycleLR(
            optimiser,
            max_lr=optimiser.defaults['lr'],
            total_steps=settings.steps,
            pct_start=0.101,  # 0.1 with ten steps makes OneCycleLR divide by zero
        )
    return StepLR(optimiser, settings.decay_every, DECAY)
