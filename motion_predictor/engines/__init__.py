"""Backends that run the predictor's module, one file each.

Each has ``build(module, inputs, path)``, which returns a callable like the module. It takes a
history on the CPU, and noise and embedded noise on the device. It returns deviations, mean and
spread on the CPU. `inputs` are an example with many samples on the module's device. `path` is the
file of a compiled artefact. If it cannot be built, it raises an error with a readable message.
"""

from collections.abc import Callable

from torch import Tensor

Result = tuple[Tensor, Tensor, Tensor]
Run = Callable[[Tensor, Tensor, Tensor], Result]
Inputs = tuple[Tensor, Tensor, Tensor]
