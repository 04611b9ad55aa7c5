"""Backends that run the predictor's module, one file each.

Each has ``build(module, inputs, path)``, which returns a callable like the module: from a history
on the CPU, and noise with what the network makes of it on the device, to samples, mean and spread
on the CPU. `inputs` are an example of many samples on the module's device, `path` is where a
compiled artefact is kept. What cannot be built raises; the message is for people to read.
"""

from collections.abc import Callable

from torch import Tensor

Result = tuple[Tensor, Tensor, Tensor]
Run = Callable[[Tensor, Tensor, Tensor], Result]
Inputs = tuple[Tensor, Tensor, Tensor]
