"""Trains several trials of a search at the same time with Ray, here or on a cluster."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import ray

from motion_predictor_training.tuning.one_trial import Study, sentence, trained
from motion_predictor_training.tuning.results import Trial


class Workers:
    """Processes that train trials, each with one CPU core and an equal share of the GPUs.

    The processes run on the cluster that the environment variable RAY_ADDRESS names, or else on
    this machine. All machines of a cluster need a shared file system with the same paths.

    Args:
        count: number of trials that train at the same time.
        folder: folder in which the processes start.
    """

    def __init__(self, count: int, folder: Path) -> None:
        os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')  # no telemetry
        # A cluster knows its own number of cores.
        cores = None if 'RAY_ADDRESS' in os.environ else count
        here = Path.cwd()
        # Worker processes first import from the current folder, which must not contain our
        # sources.
        os.chdir(folder)
        try:
            ray.init(
                num_cpus=cores,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
        finally:
            os.chdir(here)
        gpus = min(1.0, ray.cluster_resources().get('GPU', 0) / count)
        self._train = ray.remote(num_cpus=1, num_gpus=gpus)(trained)

    def train(self, study: Study, trials: list[Trial]) -> Iterator[Trial]:
        """Train trials, and yield each when it has finished or failed.

        A trial whose process dies repeatedly counts as failed.
        """
        running = {self._train.remote(study, trial): trial for trial in trials}
        while running:
            (result,), _ = ray.wait(list(running))
            trial = running.pop(result)
            try:
                yield ray.get(result)
            except ray.exceptions.RayError as error:
                yield trial.with_(problem=sentence(error))

    def __enter__(self) -> 'Workers':
        return self

    def __exit__(self, *_: object) -> None:
        ray.shutdown()
