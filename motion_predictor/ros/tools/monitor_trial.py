"""The demo of the separation monitor, computed in one process and in simulated time.

Every run gives the same results, even on a busy machine. The motion of the arms starts at several
phases, because the results depend on where an arm is when somebody comes near.
"""

import argparse
import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from motion_predictor.archive import ArchiveError, MotionArchive, open_archive
from motion_predictor.planning.flesh import Limbs
from motion_predictor.planning.latest import Inbox, Limits
from motion_predictor.planning.separation import Governor, Robot, distances
from motion_predictor.predictor import MotionPredictor
from motion_predictor.ros.node.outputs import MotionOutput
from motion_predictor.ros.node.parameters import PARAMETERS
from motion_predictor.ros.tools.replay import choose_clips, poses
from motion_predictor.ros.tools.rival_arms import (
    PREDICTED,
    SILENT_S,
    RivalArms,
    arm_model,
    arm_robot,
    place_of,
    starts_s,
)
from motion_predictor.self_check.check import SelfCheck
from motion_predictor.tracking.people import People
from motion_predictor.tracking.scene import Observation
from motion_predictor.uncertainty.reach import BODY_M_S

DELAY_S = 0.02
"""Age of an observation when its prediction arrives: the whole default latency budget."""
PERIOD_S = 0.02
STARTS = 4
BEFORE_S = 2.0
"""Time at the start during which nobody is there."""


class Moment(NamedTuple):
    """One frame of the replay: the poses that the tracker sees, and the prediction from them."""

    time_s: float
    """time of capture"""
    poses: dict[str, NDArray[np.float32]]
    """pose (J, 3) of each person by id, metres"""
    message: Any
    """prediction from this frame, a PredictedMotionArray"""


def moments(
    archive: MotionArchive, clips: list[int], predictor: MotionPredictor, rate_hz: float
) -> Iterator[Moment]:
    """Yield all frames of all clips, clip by clip. Each clip counts as a new person.

    Raises:
        ArchiveError: if the archive does not have the predictor's layout.
    """
    header = predictor.checkpoint.header
    if archive.layout.joint_names != header.layout.joint_names:
        raise ArchiveError(
            f"the archive's layout is {archive.layout.name}, the predictor's {header.layout.name}"
        )
    values: dict[str, Any] = {parameter.name: parameter.default for parameter in PARAMETERS}
    output = MotionOutput(
        predictor.checkpoint,
        values['frame_stride'],
        values['frame_times'],
        True,
        predictor.coverage,
        predictor.samples,
        values['max_speed'],
    )
    check = SelfCheck(predictor.times, values['self_correction'])
    people = People(header.layout, header.window.rate_hz, header.window.history_frames)
    frames: list[dict[str, NDArray[np.float32]]] = [{}] * round(BEFORE_S * rate_hz)
    frames += [dict([one]) for one in poses(archive, clips, rate_hz, loop=False)]
    for index, seen in enumerate(tqdm(frames, 'predict', leave=False, disable=None)):
        stamp_ns = round((1 + index / rate_hz) * 1e9)
        people.update(stamp_ns, [Observation(*one) for one in seen.items()], 'map')
        scene = people.scene(stamp_ns)
        assert scene is not None  # after `update`, the scene is known
        predicted = [person for person in scene.people if person.window is not None]
        windows = [person.window for person in predicted if person.window is not None]
        prediction = None
        if windows:
            prediction = predictor.predict(np.stack([w.positions for w in windows]))
            prediction = prediction.widened(np.stack([w.doubt_m for w in windows]))
            prediction = check.step(stamp_ns, predicted, prediction)
        published_ns = stamp_ns + round(DELAY_S * 1e9)
        message = output.message(scene, prediction, published_ns)
        yield Moment(stamp_ns * 1e-9, seen, copy.deepcopy(message))


def fare(
    said: Sequence[Moment], arms: RivalArms, robot: Robot, limbs: Limbs, title: str = ''
) -> dict[str, dict[str, float]]:
    """Simulate the arms beside people, and return the results of each arm."""
    span_s = robot.reaction_s + robot.stop_s
    inbox = Inbox(Limits(SILENT_S, 0.2, 0.1, span_s, 0.5, True, BODY_M_S))
    governor = Governor()
    first = next(index for index, moment in enumerate(said) if moment.poses)
    governor.scale = 1.0
    arms.begin(governor.scale)
    coming, arriving = list(said[first:]), list(said[first - 1 :])
    ticks = np.arange(said[first].time_s, said[-1].time_s, PERIOD_S).tolist()
    for now_s in tqdm(ticks, title, leave=False, disable=None):
        while coming and coming[0].time_s <= now_s:
            arms.see(coming.pop(0).poses, limbs, now_s)
        while arriving and arriving[0].time_s + DELAY_S <= now_s:
            moment = arriving.pop(0)
            inbox.put(moment.message, moment.time_s + DELAY_S)
        latest = inbox.latest(round(now_s * 1e9), now_s).moved(arms.to_base, 'base')
        allowed = 0.0
        if latest:
            capsules = arms.arms[PREDICTED].capsules
            allowed = robot.allowed(*distances(latest.outlook, capsules, span_s, limbs))
        arms.step(governor.update(allowed, now_s), now_s, PERIOD_S)
    return arms.report()


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compute the demo of the separation monitor, and return the results of each arm.

    Each result is a mean over all starting phases, except the least distance, which is a minimum.

    Raises:
        ArchiveError: if the archive does not have the predictor's layout.
    """
    archive = open_archive(arguments.archive)
    torch.set_num_threads(1)  # as in the predictor node
    predictor = MotionPredictor.load(arguments.checkpoint, device='cpu', backend='eager')
    clips = choose_clips(archive, arguments.clip)
    said = list(moments(archive, clips, predictor, arguments.rate))
    limbs = Limbs.of(archive.layout.name, tuple(archive.joint_names))
    model, place = arm_model(), place_of(archive, clips)
    robot = arm_robot(model)
    runs = [
        fare(said, RivalArms(place, model, robot, start_s), robot, limbs, f'start {start_s:g} s')
        for start_s in starts_s(STARTS)
    ]
    result = {}
    for name in runs[0]:
        rows = {key: [run[name][key] for run in runs] for key in runs[0][name]}
        result[name] = {
            key: float(min(values) if key.startswith('least') else np.mean(values))
            for key, values in rows.items()
        } | {'most time lost (%)': max(rows['time lost (%)'])}
    return result
