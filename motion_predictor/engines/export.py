"""Exports the module as a torch graph that works for any number of people and samples."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from motion_predictor.engines import Inputs


@contextmanager
def torchs_own_warnings_ignored() -> Iterator[None]:
    """Hide deprecation warnings that torch raises about its own code."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter('ignore', category)
        yield


def free_sizes(most_people: int, most_samples: int) -> Any:
    """Return the sizes that torch.export must leave free: numbers of people and of samples."""
    people = {0: Dim('people', min=1, max=most_people)}
    samples = {0: Dim('samples', min=1, max=most_samples)}
    return people, samples, samples


def export(module: nn.Module, inputs: Inputs, free: Any) -> ExportedProgram:
    """Return the graph of a module, traced with example inputs.

    The inputs must hold at least two people and two samples. The exporter would treat a size of
    one as constant.
    """
    with torch.no_grad():
        return torch.export.export(module, inputs, dynamic_shapes=free, strict=False)
