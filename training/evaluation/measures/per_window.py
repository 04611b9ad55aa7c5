"""Keeps the figures of every window, so that they can be averaged over any group later."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Collected:
    """Small arrays of each window, by name. All arrays together take four kilobytes per window.

    Memory for all windows is allocated at once. Many small allocations between large tensors would
    keep the process from returning the memory of these tensors to the system.

    Args:
        windows: number W of windows that will be added.
    """

    def __init__(self, windows: int) -> None:
        self._windows = windows
        self._filled = 0
        self._arrays: dict[str, NDArray[Any]] = {}

    def add(self, values: dict[str, Tensor]) -> None:
        """Add arrays of real numbers (B, ...) for the next B windows."""
        for name, value in values.items():
            if name not in self._arrays:
                shape = (self._windows, *value.shape[1:])
                self._arrays[name] = np.full(shape, np.nan, np.float32)
            self._arrays[name][self._filled : self._filled + len(value)] = value.numpy()
        self._filled += len(next(iter(values.values())))

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return the array with this name, which has a value for each window (W, ...)."""
        return self._arrays[name]

    def all(self) -> dict[str, NDArray[Any]]:
        """Return all collected arrays by name."""
        return self._arrays


def plain(values: Any) -> Any:
    """Convert values for JSON: arrays to lists, numpy's numbers to Python's, and NaN to None."""
    if isinstance(values, dict):
        return {key: plain(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    if isinstance(values, np.ndarray | np.generic):
        return plain(values.tolist())
    return None if isinstance(values, float) and not np.isfinite(values) else values
