"""Windows that a checkpoint is measured on: a section that several configurations share."""

from typing import Annotated

from pydantic import Field

from motion_predictor_training.config.reading import Count, Strict


class Measurement(Strict):
    """Which windows of an archive are measured, and with how many samples."""

    samples: Annotated[int, Field(ge=2, le=1000)] = 50
    """Samples drawn for each window."""
    stride: Count = 30
    """Frames between the starts of the windows."""
