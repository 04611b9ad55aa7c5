"""One training run in several processes, as `torchrun` starts them.

    torchrun --nproc-per-node 2 install/motion_predictor/lib/motion_predictor/train teacher ...

Every process draws the same random batch and computes the loss of its own share. The gradients are
averaged. So the weights are the same in all processes, and the same as in a single process with
the same batch. Only the first process writes files and shows progress. The others read what it has
written, so all must see the same file system.
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
"""How long others wait while the first process fills a bank. If it fails, torchrun ends all."""


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
    """Wait until every process has called this."""
    if distributed.is_initialized():
        distributed.barrier()


@contextmanager
def first_process_first() -> Iterator[None]:
    """Run a block in the first process first. The others then find what it has written."""
    if not is_first():
        wait_for_all()
    yield
    if is_first():
        wait_for_all()


def share(*drawn: Tensor) -> tuple[Tensor, ...]:
    """Return this process's share of the rows of tensors (B, ...), which are the same in all.

    Random numbers that are drawn afterwards, for example for dropout, differ between processes.

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
