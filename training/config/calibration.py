"""Settings of the `calibrate` stage."""

from typing import Annotated

from pydantic import Field

from motion_predictor_training.config.reading import Count, Probability, Strict


class CalibrationConfig(Strict):
    """The `calibrate` stage."""

    coverages: Annotated[list[Probability], Field(min_length=1)] = [0.9, 0.95, 0.99, 0.999]
    """Coverages to calibrate, as far as there are enough data."""
    stride: Count = 10
    windows_per_person: Count = 300
    samples: Annotated[list[Count], Field(min_length=1)] = [50, 32, 16, 8]
    """Numbers of samples per person. Each has sets of its own."""
    speeds: list[Annotated[float, Field(gt=0)]] = [0.3, 1.0, 2.0]
    """Limits between the groups of a joint's own speed, m/s."""
    body_speeds: list[Annotated[float, Field(gt=0)]] = [0.5, 1.0, 2.0]
    """Limits between the groups for the whole body, by the speed of its fastest joint, m/s."""
    paces: list[Annotated[float, Field(gt=0)]] = [0.6]
    """Limits between the groups of the root's speed, m/s. Each group has a margin of its own."""
    not_told_apart: list[str] = []
    """Subjects that stand for several people: for familiarity they are left out clip by clip."""
    folds: Annotated[int, Field(ge=2, le=100)] = 6
    """Number of folds. The people of a fold are left out together."""
    steps: Count = 100
    """Number of steps in which the expected error is fitted."""
