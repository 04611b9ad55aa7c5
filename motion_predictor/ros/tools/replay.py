"""The `replay` node: publishes a motion archive as skeletons, as a tracker would."""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.utilities import remove_ros_args

from motion_predictor.archive import ArchiveError, MotionArchive, open_archive
from motion_predictor.common.arguments import Parser, number, whole
from motion_predictor.common.terminal import complain
from motion_predictor.msg import Skeleton, SkeletonArray
from motion_predictor.ros.common.processes import until_interrupted
from motion_predictor.ros.node.outputs import flat

SIDE_BY_SIDE_M = 2.0


@dataclass(frozen=True)
class Corruption:
    """Random errors like the errors of a real tracker.

    Each joint is missing with a probability, each person is missed with a probability, and all
    coordinates have noise.
    """

    drop_joints: float
    drop_frames: float
    noise_m: float

    def apply(
        self, pose: NDArray[np.float32], generator: np.random.Generator
    ) -> NDArray[np.float32] | None:
        """Return the pose (J, 3) with tracker errors; None if the tracker misses the person."""
        if generator.random() < self.drop_frames:
            return None
        noisy = pose + generator.standard_normal(pose.shape).astype(np.float32) * self.noise_m
        noisy[generator.random(len(pose)) < self.drop_joints] = np.nan
        return noisy


def poses(
    archive: MotionArchive, clips: list[int], rate_hz: float, loop: bool
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the id and the pose (J, 3) of a person at a fixed rate, one clip after the other.

    Each clip has its own id, so each clip counts as a new person.
    """
    turn = 0
    while True:
        for index in clips:
            clip = archive.clip(index)
            # A clip of one frame also gives one pose.
            end_s = max(len(clip) - 1, 0.5) / archive.rate_hz
            for time_s in np.arange(0, end_s, 1 / rate_hz):
                place = time_s * archive.rate_hz
                left = int(place)
                share = np.float32(place - left)
                pose = clip[left] * (1 - share) + clip[left + 1] * share if share else clip[left]
                yield f'{archive.clip_names[index] or index}#{turn}', pose
        turn += 1
        if not loop:
            return


Play = Callable[[MotionArchive, list[int], float, bool], Iterator[tuple[str, NDArray[np.float32]]]]
"""A function like `poses` that yields the poses of one person."""


class ReplayNode(Node):
    """Publishes one or several people at a fixed rate, stamped with the time of publication."""

    def __init__(
        self, archive: MotionArchive, arguments: argparse.Namespace, play: Play = poses
    ) -> None:
        super().__init__('replay')
        self.published = 0
        self._arguments = arguments
        self._layout = archive.layout.name
        self._joint_names = list(archive.joint_names)
        self._publisher = self.create_publisher(
            SkeletonArray, 'skeletons', qos_profile_sensor_data
        )
        self._generator = np.random.default_rng(arguments.seed)
        self._corruption = Corruption(
            arguments.drop_joints, arguments.drop_frames, arguments.noise_m
        )
        clips = choose_clips(archive, arguments.clip)
        self._people = {
            person: play(
                archive,
                clips[person % len(clips) :] + clips[: person % len(clips)],
                arguments.rate,
                arguments.loop,
            )
            for person in range(arguments.people)
        }

    def play(self, seconds: float = math.inf) -> None:
        """Publish until the archive ends, `seconds` have passed or the node is shut down."""
        period_s = 1 / self._arguments.rate
        due_s = time.monotonic()
        until_s = due_s + seconds
        nobody = not self._people  # with 0 people, empty messages are published without end
        while rclpy.ok() and due_s < until_s and (self._people or nobody):
            self._publish()
            due_s += period_s
            rclpy.spin_once(self, timeout_sec=0)
            time.sleep(max(0.0, due_s - time.monotonic()))

    def _publish(self) -> None:
        message = SkeletonArray(layout=self._layout, joint_names=self._joint_names)
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = self._arguments.frame
        for person in list(self._people):
            try:
                person_id, pose = next(self._people[person])
            except StopIteration:
                del self._people[person]
                continue
            reported = self._corruption.apply(pose, self._generator)
            if reported is not None:
                reported[:, 1] += person * SIDE_BY_SIDE_M
                message.skeletons.append(
                    Skeleton(id=f'{person}/{person_id}', positions=flat(reported))
                )
        self._publisher.publish(message)
        self.published += 1


def choose_clips(archive: MotionArchive, wanted: str) -> list[int]:
    """Return the indices of the clips that `all`, a name or a number chooses.

    Raises:
        ArchiveError: if the archive has no clip of this name or number.
    """
    if wanted == 'all':
        return list(range(len(archive)))
    if wanted in archive.clip_names:
        return [archive.clip_names.index(wanted)]
    if wanted.isdecimal() and int(wanted) < len(archive):
        return [int(wanted)]
    raise ArchiveError(
        f"the archive has {len(archive)} clips, none of them named or numbered '{wanted}'"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the replay, which the replay node and the demo share."""
    parser.add_argument('archive', nargs='?', default='bundled', help='"bundled" or a .npz file')
    parser.add_argument('--clip', default='all', help='name or number of one clip')
    parser.add_argument(
        '--rate', type=number(0.001, 1000), default=30.0, help='messages per second'
    )
    parser.add_argument('--people', type=whole(0, 20), default=1,
                        help='people side by side, each on another clip (0: nobody)')  # fmt: skip
    parser.add_argument(
        '--drop-joints', type=number(0, 1), default=0.0, help='share of joints missing'
    )
    parser.add_argument(
        '--drop-frames',
        type=number(0, 1),
        default=0.0,
        help='share of frames in which a person is missing',
    )
    parser.add_argument(
        '--noise-m',
        type=float,
        default=0.0,
        help='standard deviation of noise on every coordinate, in metres',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of drop-outs and noise')


def parse(command_line: list[str]) -> argparse.Namespace:
    """Return the parsed command line, or end the process with status 2."""
    parser = Parser(prog='replay', description='Play a motion archive as skeletons.')
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument('--frame', default='map', help='frame_id of the messages')
    add_arguments(parser)
    return parser.parse_args(command_line)


def main(args: list[str] | None = None) -> int:
    """Play an archive. For an unusable archive, print one sentence to stderr and return 2."""
    command_line = sys.argv if args is None else ['replay', *args]
    arguments = parse(remove_ros_args(command_line)[1:])
    rclpy.init(args=command_line)
    with until_interrupted():
        try:
            ReplayNode(open_archive(arguments.archive), arguments).play()
        except ArchiveError as error:
            complain('replay', error)
            return 2
    return 0
