"""Runs one trial of a search: measures a student's latency, trains it, measures its accuracy."""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from motion_predictor.checkpoint import Checkpoint
from motion_predictor.common.problems import first_problem, one_line
from motion_predictor_training.config import DistilConfig, TuneConfig
from motion_predictor_training.learning.distill import distil
from motion_predictor_training.tuning.latency import measure_latencies, untrained
from motion_predictor_training.tuning.proposals import with_values
from motion_predictor_training.tuning.pruning import (
    Hopeless,
    Rung,
    halfway_m,
    measured,
    require_hope,
)
from motion_predictor_training.tuning.results import Trial


@dataclass(frozen=True)
class Study:
    """The configuration of a search, and the files that it uses."""

    config: TuneConfig
    teacher: Path
    train: Path
    validation: Path
    folder: Path

    @property
    def bank(self) -> Path:
        """Return the folder of the bank that all trials share."""
        return self.folder / 'bank'

    def student(self, trial: Trial) -> DistilConfig:
        """Return the training configuration of a trial's student, or raise ValidationError."""
        return with_values(
            self.config.base, trial.values | {'optimisation.steps': self.config.steps}
        )

    def untrained(self, trial: Trial, teacher: Checkpoint) -> Checkpoint:
        """Return a trial's student with random weights, or raise ValidationError."""
        return untrained(teacher, self.student(trial).network, self.config.latency.samples)


def timed(study: Study, teacher: Checkpoint, trial: Trial) -> Trial:
    """Measure the latency of a trial's student.

    The trial fails if the latency exceeds the budget.

    Only the fastest prediction is compared with the budget, so that other load on the machine does
    not exclude a good student.
    """
    config = study.config
    try:
        (latency,) = measure_latencies([study.untrained(trial, teacher)], config.latency)
    except Exception as error:  # a failed trial must not end the search
        return trial.with_(problem=sentence(error))
    if latency.least_ms > config.latency_budget_ms:
        problem = (
            f'even its fastest prediction took {latency.least_ms:.1f} ms, more than the '
            f'budget of {config.latency_budget_ms:g} ms'
        )
        return trial.with_(latency=latency, problem=problem)
    return trial.with_(latency=latency)


def trained(study: Study, trial: Trial) -> Trial:
    """Train a trial's student, or resume its training, and measure it on the validation data.

    Pruning may stop the training early.
    """
    config, folder = study.config, study.folder / 'trials' / f'{trial.number:03d}'
    out = folder / 'student.safetensors'
    rung = partial(Rung, config, study.validation, trial.bar_m, folder)
    watch = rung if config.pruning else None
    try:
        # An earlier run may have been killed after it had measured the early score, but before it
        # stopped the trial.
        require_hope(halfway_m(folder), trial.bar_m)
        distil(study.student(trial), study.teacher, study.train, out, study.bank, watch)
        score_m, figures = measured(out, config, study.validation)
    except Hopeless:
        trial = trial.with_(pruned=True)
    except Exception as error:  # a failed trial must not end the search
        return trial.with_(problem=sentence(error))
    else:
        if not math.isfinite(score_m):
            return trial.with_(problem=f'its score {score_m} is not finite')
        trial = trial.with_(score_m=score_m, figures=figures)
    # The training state is as large as several students.
    out.with_suffix('.state').unlink(missing_ok=True)
    return trial.with_(halfway_m=halfway_m(folder))


def sentence(error: Exception) -> str:
    """Return the message of an error as one line."""
    if isinstance(error, ValidationError):
        return first_problem(error)
    return one_line(error)
