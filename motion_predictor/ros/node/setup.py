"""Makes the node's objects from its parameters: predictor, output, tracker of people."""

import math
from dataclasses import dataclass
from typing import Any

from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.lifecycle import LifecyclePublisher

from motion_predictor.budget import Budget, rungs, survey
from motion_predictor.predictor import MotionPredictor
from motion_predictor.ros.node.improvement import Improvement
from motion_predictor.ros.node.outputs import MotionOutput
from motion_predictor.ros.node.reader import SkeletonInput
from motion_predictor.ros.node.scheduling import Precedence
from motion_predictor.tracking.people import People

SURVEY_S = 0.15
"""Time for measuring predictions on the CPU. This time suffices for a few people. The times for
more people are extrapolated in proportion."""
CROWD = (
    'max_gap_s',
    'forget_after_s',
    'min_observed_fraction',
    'max_speed',
    'reassociate_s',
    'frozen_after_s',
)
"""Parameters whose change restarts the histories of all people."""
PREFERENCE = ('robot_position', 'max_people')
"""Parameters that choose the people to predict if there are more than max_people."""


@dataclass
class Setup:
    """The objects that the node makes from its parameters."""

    predictor: MotionPredictor
    input: SkeletonInput
    publisher: LifecyclePublisher
    values: dict[str, Any]
    """Values of the parameters. This attribute and the following ones may change at any time."""
    output: MotionOutput
    budget: Budget
    improvement: Improvement


def load(values: dict[str, Any]) -> MotionPredictor:
    """Return the predictor that the parameters describe."""
    return MotionPredictor.load(
        values['checkpoint'],
        values['device'],
        values['samples'],
        values['resample_noise'],
        values['backend'],
        coverage=values['coverage'],
        min_familiarity=values['min_familiarity'],
        make_engines=False,
    )


def engine_options(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the parameters that decide which inference engine is used."""
    names = {'checkpoint': 'name_or_path'} | {n: n for n in ('device', 'samples', 'backend')}
    return {keyword: values[name] for name, keyword in names.items()}


def make_output(predictor: MotionPredictor, values: dict[str, Any]) -> MotionOutput:
    """Return the object that turns predictions into messages."""
    return MotionOutput(
        predictor.checkpoint,
        values['frame_stride'],
        values['frame_times'],
        values['publish_samples'],
        predictor.coverage,
        values['samples'],
        values['max_speed'],
    )


def nobody(predictor: MotionPredictor, values: dict[str, Any]) -> People:
    """Return a tracker `People` that has seen nobody yet."""
    header = predictor.checkpoint.header
    return People(
        layout=header.layout,
        rate_hz=header.window.rate_hz,
        frames=header.window.history_frames,
        **{name: values[name] for name in CROWD + PREFERENCE},
    )


def measure_costs(
    predictor: MotionPredictor, values: dict[str, Any]
) -> dict[tuple[int, int], float]:
    """Warm up the predictor, and return its time per prediction by (people, samples), ms.

    On a GPU the time is measured for each number of people up to `max_people`. Each number of
    people needs its own CUDA graph (recorded operations of the GPU). The measurement records all
    these graphs, so that no later prediction waits for a recording.
    """

    def rehearse(people: int, samples: int) -> None:
        # Measure with the real-time priority that predictions have later. Without real-time
        # priority, the measured times are far too long on a busy machine.
        with Precedence(values['realtime_priority'], warn=lambda refused: None):
            predictor.rehearse(people, samples)

    return survey(
        run=rehearse,
        people=values['max_people'],
        ladder=rungs(values['samples']),
        limit_s=SURVEY_S if predictor.device.type == 'cpu' else math.inf,
    )


def log_setup(setup: Setup, logger: RcutilsLogger) -> None:
    """Log the model in use. Warn if it has no radius for some of the numbers of samples."""
    predictor, budget = setup.predictor, setup.budget
    checkpoint, engine = predictor.checkpoint, predictor.engine
    window = checkpoint.header.window
    logger.info(
        f'{checkpoint.model_id} on {predictor.device}, {engine.backend} in '
        f'{engine.precision}: {budget.ladder[0]} futures of '
        f'{window.future_frames / window.rate_hz:g} s for {checkpoint.header.layout.name}'
    )
    calibration = checkpoint.header.calibration
    uncalibrated = [n for n in budget.ladder if not calibration or calibration.rung(n) is None]
    if uncalibrated:
        logger.warning(
            f'radius and coverage will be NaN with {", ".join(map(str, uncalibrated))} '
            'samples: the checkpoint is not calibrated for these numbers'
        )
