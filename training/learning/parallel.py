"""One training run in several processes, as `torchrun` starts them.

    torchrun --nproc-per-node 2 install/motion_predictor/lib/motion_predictor/train teacher ...

Every process makes the same random draw of the whole batch and takes the loss of its own share;
gradients are averaged. So the weights stay alike in all of them, and are those that one process
would reach with the same batch. Only the first process writes files and shows progress; the
others read what it wrote, so all must see one file system.
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
"""While the first process fills a bank the others wait. If it fails, torchrun ends them all."""


@contextmanager
def processes() -> Iterator[None]:
    """Join the other processes if torchrun started this one; else do nothing."""
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
    """Whether other processes take a share of the run."""
    return distributed.is_initialized()


def is_first() -> bool:
    """Whether this is the process that writes files and shows progress."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def wait_for_all() -> None:
    """Return when every process has come here."""
    if distributed.is_initialized():
        distributed.barrier()


@contextmanager
def first_process_first() -> Iterator[None]:
    """Let the first process finish a block, and the others find there what it has written."""
    if not is_first():
        wait_for_all()
    yield
    if is_first():
        wait_for_all()


def share(*drawn: Tensor) -> tuple[Tensor, ...]:
    """Return this process's rows of tensors (B, ...) that every process drew alike.

    What is random from here on, as dropout, differs from one process to the next.

    Raises:
        ConfigError: if the rows cannot be shared evenly.
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
    """Average the gradients of a network in place; return the averaged loss."""
    if not distributed.is_initialized():
        return loss
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    vector = parameters_to_vector([loss, *gradients])  # one message instead of hundreds
    distributed.all_reduce(vector)
    vector /= distributed.get_world_size()
    vector_to_parameters(vector[1:], gradients)
    return vector[0]
