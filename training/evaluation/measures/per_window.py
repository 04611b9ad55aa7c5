"""Figures of every window, to be averaged over groups."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Collected:
    """Small arrays of each window, by name: four kilobytes a window, whatever was predicted.

    Memory is allocated at once: small blocks between large ones would keep the system from getting
    the large ones back.

    Args:
        windows: their number.
    """

    def __init__(self, windows: int) -> None:
        self._windows = windows
        self._filled = 0
        self._arrays: dict[str, NDArray[Any]] = {}

    def add(self, values: dict[str, Tensor]) -> None:
        """Add arrays (B, ...) of the next B windows, real numbers."""
        for name, value in values.items():
            if name not in self._arrays:
                shape = (self._windows, *value.shape[1:])
                self._arrays[name] = np.full(shape, np.nan, np.float32)
            self._arrays[name][self._filled : self._filled + len(value)] = value.numpy()
        self._filled += len(next(iter(values.values())))

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return the values that were collected under a name, (W, ...)."""
        return self._arrays[name]

    def all(self) -> dict[str, NDArray[Any]]:
        """Return everything by name."""
        return self._arrays


def plain(values: Any) -> Any:
    """Return arrays as lists and numbers as those of Python, NaN as None, for JSON."""
    if isinstance(values, dict):
        return {key: plain(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    if isinstance(values, np.ndarray | np.generic):
        return plain(values.tolist())
    return None if isinstance(values, float) and not np.isfinite(values) else values
