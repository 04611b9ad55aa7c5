"""What is kept of every window, to be averaged over whichever windows a group has."""

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Collected:
    """Small arrays of each window, by name: a kilobyte or two a window, whatever was predicted."""

    def __init__(self) -> None:
        self._parts: dict[str, list[NDArray[Any]]] = defaultdict(list)

    def add(self, values: dict[str, Tensor]) -> None:
        """Add arrays (B, ...) of the next B windows; real numbers are kept in single precision."""
        for name, value in values.items():
            self._parts[name].append(
                (value.float() if value.is_floating_point() else value).numpy()
            )

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return what was collected under a name, (W, ...)."""
        return np.concatenate(self._parts[name])

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def all(self) -> dict[str, NDArray[Any]]:
        """Return everything by name."""
        return {name: self[name] for name in self._parts}


def plain(values: Any) -> Any:
    """Return arrays as lists and numbers as those of Python, NaN as None, for JSON."""
    if isinstance(values, dict):
        return {key: plain(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    if isinstance(values, np.ndarray | np.generic):
        return plain(values.tolist())
    return None if isinstance(values, float) and not np.isfinite(values) else values
