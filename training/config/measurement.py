"""Schema of settings that several configurations contain: which windows are measured."""

from typing import Annotated

from pydantic import Field

from motion_predictor_training.config.reading import Count, Strict


class Measurement(Strict):
    """Settings that say which windows are measured, and with how many samples."""

    samples: Annotated[int, Field(ge=2, le=1000)] = 50
    """Number of samples per window."""
    stride: Count = 30
    """Number of frames between the starts of windows."""
