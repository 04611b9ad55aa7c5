"""Checks whether stamps of messages are times of capture, or only times of sending."""

from collections import deque

import numpy as np

KEPT, FEW = 300, 100
PROMPT_MS, SHARE = 2.0, 0.1
"""If this share of the messages arrives sooner after the stamp than this, the stamps are not times
of capture. A camera needs at least about 10 ms to find people in a picture."""


class Stamps:
    """Collects the ages that messages have on arrival: arrival minus stamp."""

    def __init__(self) -> None:
        self._ages_ms: deque[float] = deque(maxlen=KEPT)

    def see(self, age_ms: float) -> None:
        """Add the age of a message on its arrival."""
        self._ages_ms.append(age_ms)

    def doubt(self) -> str:
        """Return a warning if the stamps are probably not times of capture; otherwise empty.

        The warning says how to correct the stamps.
        """
        if len(self._ages_ms) < FEW:
            return ''
        quickest_ms = float(np.quantile(self._ages_ms, SHARE))
        if quickest_ms > PROMPT_MS:
            return ''
        return (
            f'messages arrive {max(0.0, quickest_ms):.1f} ms after their stamp, faster '
            'than any camera delivers: the stamp is probably the time of sending. Stamp '
            'messages with the time of capture, otherwise predictions are late by the '
            'delay of the tracker (for a simulation or a recording this is right)'
        )
