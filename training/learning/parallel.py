"""Shares one training between several processes that `torchrun` starts.

    torchrun --nproc-per-node 2 install/motion_predictor/lib/motion_predictor/train teacher ...

Every process draws the same random batch, but computes only the loss of its own share of the
batch. The gradients of all processes are averaged. So all processes have the same weights as a
single process with the same batch would have. Only the first process writes files and shows
progress. The other processes read the files of the first process, so all processes need the same
file system.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from motion_predictor_training.config import ConfigError

PATIENCE = timedelta(days=7)
"""Longest time that the other processes wait while the first process fills a bank. If the first
process fails, torchrun ends all processes."""


@contextmanager
def processes() -> Iterator[None]:
    """Connect to the other processes if torchrun started this process; else do nothing."""
    if not distributed.is_torchelastic_launched():
        yield
        return
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
    distributed.init_process_group('nccl' if on_gpu else 'gloo', timeout=PATIENCE)
    yield
    distributed.destroy_process_group()


def is_shared() -> bool:
    """Whether several processes share this training."""
    return distributed.is_initialized()


def is_first() -> bool:
    """Whether this process is the one that writes files and shows progress."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def wait_for_all() -> None:
    """Wait until every process has called this function."""
    if distributed.is_initialized():
        distributed.barrier()


@contextmanager
def first_process_first() -> Iterator[None]:
    """Run a block of code in the first process, and only then in the other processes.

    The other processes then find the files that the first process wrote.
    """
    if not is_first():
        wait_for_all()
    yield
    if is_first():
        wait_for_all()


def share(*drawn: Tensor) -> tuple[Tensor, ...]:
    """Return this process's share of the rows of tensors (B, ...).

    The tensors must be the same in all processes. Afterwards each process draws different random
    numbers, for example for dropout.

    Raises:
        ConfigError: if the number of rows is not a multiple of the number of processes.
    """
    if not distributed.is_initialized():
        return drawn
    rank, count = distributed.get_rank(), distributed.get_world_size()
    if len(drawn[0]) % count:
        raise ConfigError(
            f'a batch of {len(drawn[0])} cannot be shared evenly by {count} processes'
        )
    torch.manual_seed(torch.initial_seed() + (rank << 32))
    return tuple(rows.chunk(count)[rank] for rows in drawn)


def average_over_processes(loss: Tensor, network: nn.Module) -> Tensor:
    """Average a network's gradients over processes, in place; return the average loss."""
    if not distributed.is_initialized():
        return loss
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    # As one vector, all gradients are sent in one message instead of hundreds.
    vector = parameters_to_vector([loss, *gradients])
    distributed.all_reduce(vector)
    vector /= distributed.get_world_size()
    vector_to_parameters(vector[1:], gradients)
    return vector[0]
