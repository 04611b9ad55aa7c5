"""Schema of the settings of the `calibrate` stage."""

from typing import Annotated

from pydantic import Field

from motion_predictor_training.config.reading import Count, Probability, Strict


class CalibrationConfig(Strict):
    """Settings of the `calibrate` stage."""

    coverages: Annotated[list[Probability], Field(min_length=1)] = [0.9, 0.95, 0.99, 0.999]
    """Coverages to calibrate for. A coverage is left out if the data are too few for it."""
    stride: Count = 10
    windows_per_person: Count = 300
    samples: Annotated[list[Count], Field(min_length=1)] = [50, 32, 16, 8]
    """Numbers of samples per person to calibrate for. Each number gets its own calibrated sets."""
    speeds: list[Annotated[float, Field(gt=0)]] = [0.3, 1.0, 2.0]
    """Limits between groups of joints, by the speed of the joint, m/s."""
    body_speeds: list[Annotated[float, Field(gt=0)]] = [0.5, 1.0, 2.0]
    """Limits between groups of whole bodies, by the speed of the fastest joint, m/s."""
    paces: list[Annotated[float, Field(gt=0)]] = [0.6]
    """Limits between groups of people by pace, the speed of the root, m/s. Each group gets its own
    margin."""
    not_told_apart: list[str] = []
    """Names of subjects that are several people under one name. To calibrate the familiarity,
    their clips are left out one by one, instead of all together."""
    folds: Annotated[int, Field(ge=2, le=100)] = 6
    """Number of folds of the cross-validation. The people of a fold are left out together."""
    steps: Count = 100
    """Number of optimiser steps that fit the expected error."""
