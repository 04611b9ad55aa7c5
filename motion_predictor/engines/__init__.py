"""Backends that run the predictor's torch module, one file per backend.

Each backend has a function ``build(module, inputs, path)``, which returns an engine: a function
that is called like the module. Engines take a history on the CPU, and noise and embedded noise on
the device. Engines return deviations, mean and spread on the CPU.

`inputs` are example inputs with many samples, on the module's device. `path` is the file in which
a compiled engine is kept. If an engine cannot be built, `build` raises an error with a readable
message. `eager.build` takes only the module.
"""

from collections.abc import Callable

from torch import Tensor

Result = tuple[Tensor, Tensor, Tensor]
Run = Callable[[Tensor, Tensor, Tensor], Result]
Inputs = tuple[Tensor, Tensor, Tensor]
