"""Figures of every window, to be averaged over groups."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Collected:
    """Small arrays of each window, by name. They take four kilobytes per window.

    Memory is allocated for all windows at once. Small blocks between large ones would keep the
    process from returning the large ones to the system.

    Args:
        windows: number of windows W.
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
        """Return the values that were collected under a name (W, ...)."""
        return self._arrays[name]

    def all(self) -> dict[str, NDArray[Any]]:
        """Return everything by name."""
        return self._arrays


def plain(values: Any) -> Any:
    """Return values for JSON: arrays as lists, numpy's numbers as Python's, and NaN as None."""
    if isinstance(values, dict):
        return {key: plain(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    if isinstance(values, np.ndarray | np.generic):
        return plain(values.tolist())
    return None if isinstance(values, float) and not np.isfinite(values) else values
