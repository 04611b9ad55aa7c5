"""What the `calibrate` stage can be told."""

from typing import Annotated

from pydantic import Field

from motion_predictor_training.config.reading import Count, Probability, Strict


class CalibrationConfig(Strict):
    """The `calibrate` stage."""

    coverages: Annotated[list[Probability], Field(min_length=1)] = [0.9, 0.95, 0.99, 0.999]
    """Those of them that the data carries are calibrated."""
    stride: Count = 10
    windows_per_person: Count = 300
    held_out: list[str] = []
    """Subjects of the archives trained on whom the network was not trained on."""
    samples: Annotated[list[Count], Field(min_length=1)] = [50, 32, 16, 8]
    """Numbers of samples per person, each with sets of its own."""
    speeds: list[Annotated[float, Field(gt=0)]] = [0.3, 1.0, 2.0]
    """m/s, that part the groups of a joint's own speed."""
    body_speeds: list[Annotated[float, Field(gt=0)]] = [0.5, 1.0, 2.0]
    """m/s, that part the groups of the fastest joint's speed, for the whole body."""
    paces: list[Annotated[float, Field(gt=0)]] = [0.6]
    """m/s, that part the groups of the root's speed, each of which gets a margin of its own."""
    not_told_apart: list[str] = []
    """Subjects that are several people: of what is familiar they are left out clip by clip."""
    folds: Annotated[int, Field(ge=2, le=100)] = 6
    """People are left out in so many lots."""
    steps: Count = 100
    """Of the fit of the expected error."""
