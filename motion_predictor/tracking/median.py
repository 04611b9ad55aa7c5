"""A median that is faster than `np.median` for few values."""

import numpy as np
from numpy.typing import NDArray


def median(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the median of N values over the first axis (...).

    Args:
        values: at least one value, without NaN (N, ...).
    """
    ordered = np.sort(values, axis=0)
    count = len(ordered)
    middle: NDArray[np.floating] = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return middle
