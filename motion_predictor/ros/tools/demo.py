"""The demo: runs the replay and the predictor as processes, and scores the predictions."""

import argparse
import json
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from tabulate import tabulate

from motion_predictor.archive import ArchiveError, open_archive
from motion_predictor.checkpoint import CheckpointError
from motion_predictor.common.arguments import Parser
from motion_predictor.common.terminal import complain, say, say_written
from motion_predictor.msg import PredictedMotion, PredictedMotionArray, SkeletonArray
from motion_predictor.ros.common.processes import (
    end_on_sigterm,
    isolate,
    listening,
    running,
    seconds,
)
from motion_predictor.ros.tools import monitor_demo, monitor_trial
from motion_predictor.ros.tools.picture import draw
from motion_predictor.ros.tools.replay import add_arguments, choose_clips
from motion_predictor.ros.tools.scoring import HORIZONS_S, Claim, Scorer
from motion_predictor.skeleton import JointMap, common_names_of, known_layouts

START_TIMEOUT_S = 300.0  # the first start on a machine compiles the network
DRAIN_S = 1.0


class ScorerNode(Node):
    """Subscribes to the skeletons and to the predictions, and passes both to a Scorer."""

    def __init__(self) -> None:
        super().__init__('scorer')
        self.scorer = Scorer()
        self.ready = threading.Event()
        """Event that is set when the predictor publishes for the first time."""
        self.newest_truth_s = 0.0
        self.parents: list[int] = []
        self.people: set[str] = set()
        self.statuses: dict[int, int] = {}
        self.ages_ms: list[float] = []
        self.latencies_ms: list[float] = []
        self.arrivals_s: list[float] = []
        self._map: JointMap | None = None
        self._layout = ''
        self.create_subscription(
            SkeletonArray, 'skeletons', self._on_skeletons, qos_profile_sensor_data
        )
        self.create_subscription(
            PredictedMotionArray, 'predicted_motion', self._on_prediction, QoSProfile(depth=10)
        )

    def _on_skeletons(self, message: SkeletonArray) -> None:
        stamp_s = seconds(message.header.stamp)
        if not self._layout or not message.skeletons:
            return
        if self._map is None:
            names = common_names_of(message.joint_names, known_layouts().get(message.layout))
            self._map = JointMap.between(names, known_layouts()[self._layout])
        for skeleton in message.skeletons:
            positions = np.array(skeleton.positions, np.float32).reshape(1, -1, 3)
            self.scorer.saw(skeleton.id, stamp_s, self._map(positions)[0])
        self.newest_truth_s = stamp_s

    def _on_prediction(self, message: PredictedMotionArray) -> None:
        now_s = self.get_clock().now().nanoseconds * 1e-9
        self._layout = message.layout
        self.parents = list(message.parents)
        self.ready.set()
        self.statuses[message.status] = self.statuses.get(message.status, 0) + 1
        shape = (message.num_samples, message.num_frames, message.num_joints, 3)
        times_s = np.asarray(message.times, np.float64)
        stamp_s = seconds(message.header.stamp)
        predicted = [m for m in message.motions if len(m.mean)]
        for motion in predicted:
            self.people.add(motion.id)
            self.scorer.predicted(self._claim(motion, stamp_s, times_s, shape))
        if predicted:
            self.arrivals_s.append(now_s)
            self.ages_ms.append(1000 * (seconds(message.published) - stamp_s))
            self.latencies_ms.append(1000 * (now_s - stamp_s))

    @staticmethod
    def _claim(
        motion: PredictedMotion, stamp_s: float, times_s: Any, shape: tuple[int, ...]
    ) -> Claim:
        return Claim(
            motion.id,
            stamp_s,
            times_s,
            np.array(motion.samples, np.float32).reshape(shape),
            np.array(motion.mean, np.float32).reshape(shape[1:]),
            np.array(motion.radius, np.float32).reshape(shape[1:3]),
        )


def report(node: ScorerNode) -> dict[str, Any]:
    """Return all results of one run of the demo."""
    result: dict[str, Any] = {'people': len(node.people), 'predictions': len(node.ages_ms)}
    if len(node.arrivals_s) > 1:
        span_s = node.arrivals_s[-1] - node.arrivals_s[0]
        result['rate_hz'] = (len(node.arrivals_s) - 1) / span_s
        for name, values in (('age_ms', node.ages_ms), ('latency_ms', node.latencies_ms)):
            p50, p99, top = np.percentile(values, [50, 99, 100])
            result[name] = {'p50': p50, 'p99': p99, 'max': top}
    return result | node.scorer.summary()


def print_report(result: dict[str, Any]) -> None:
    """Print the results of the demo as tables."""
    timing = ['people', 'predictions', 'rate_hz', 'scored predictions']
    say(tabulate([[result.get(name) for name in timing]], timing, 'github', '.1f'))
    rows = [
        [title, *(result[key][p] for p in ('p50', 'p99', 'max'))]
        for key, title in (
            ('age_ms', 'age when published (ms)'),
            ('latency_ms', 'capture to subscriber (ms)'),
        )
        if key in result
    ]
    say('\n' + tabulate(rows, ['', 'p50', 'p99', 'max'], 'github', '.1f'))
    if not result['scored predictions']:
        say('\nno prediction could be scored: nobody was in view for long enough')
        return
    kinds = ('mean', 'standing still', 'nearest sample')
    rows = [
        [
            f'{h:g} s',
            *(100 * result[f'{kind} at {h:g} s'] for kind in kinds),
            f'{100 * result[f"in balls at {h:g} s"]:.0f} %',
        ]
        for h in HORIZONS_S
        if f'mean at {h:g} s' in result
    ]
    header = ['ahead', *(f'{kind} (cm)' for kind in kinds), 'in balls']
    say('\n' + tabulate(rows, header, 'github', '.1f'))
    say(
        'Distances of joints from where they then were. "Standing still" assumes that people stay '
        'where they are.'
    )


def _predictor(arguments: argparse.Namespace) -> list[str]:
    """Return the command-line arguments of the predictor."""
    chosen = [f'{name}:={getattr(arguments, name)}' for name in ('checkpoint', 'backend')]
    return ['--ros-args', *(part for value in chosen for part in ('-p', value))]


def _replay(arguments: argparse.Namespace) -> list[str]:
    """Return the command-line arguments of the replay."""
    play = ['clip', 'rate', 'people', 'drop_joints', 'drop_frames', 'noise_m', 'seed']
    options = [f'--{name.replace("_", "-")}={getattr(arguments, name)}' for name in play]
    return [arguments.archive, *options]


def watch(arguments: argparse.Namespace) -> None:
    """Run the replay and the predictor until an interrupt. The caller serves the view's page."""
    with (
        running('predictor', *_predictor(arguments)) as predictor,
        running('replay', *_replay(arguments), '--loop') as replay,
    ):
        while predictor.poll() is None and replay.poll() is None:
            time.sleep(0.2)


def run(arguments: argparse.Namespace) -> ScorerNode:
    """Replay the clips, predict and score. Returns when the replay has ended.

    Raises:
        RuntimeError: if the predictor does not start, or ends early.
    """
    node = ScorerNode()
    with listening(node), running('predictor', *_predictor(arguments)) as predictor:
        if not node.ready.wait(START_TIMEOUT_S):
            raise RuntimeError(f'the predictor did not publish within {START_TIMEOUT_S:g} s')
        with running('replay', *_replay(arguments)) as replay:
            while replay.poll() is None:
                node.scorer.score_due(node.newest_truth_s)
                time.sleep(0.05)
                if predictor.poll() is not None:
                    raise RuntimeError(
                        f'the predictor ended early with status {predictor.returncode}'
                    )
        time.sleep(DRAIN_S)
        node.scorer.score_due(node.newest_truth_s)
    return node


def _offline(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Compute the demo of the separation monitor in this process, and return the exit status."""
    if not arguments.monitor or arguments.view:
        parser.error('--offline needs --monitor and does not work with --view')
    try:
        monitor_demo.show(monitor_trial.run(arguments), arguments.out)
    except (ArchiveError, CheckpointError) as error:
        complain('demo', error)
        return 2
    return 0


def main() -> int:
    """Run the demo. If the demo fails, print one sentence to stderr and return status 1 or 2."""
    parser = Parser(
        prog='demo',
        description='Replay motion, predict it, and score the predictions.',
    )
    parser.add_argument('--checkpoint', default='default', help='"default" or a file')
    parser.add_argument(
        '--backend', default='auto', help='engine of the predictor (eager: no compiler)'
    )
    parser.add_argument(
        '--out', type=Path, default=Path('demo'), help='folder to write the results to'
    )
    parser.add_argument(
        '--monitor', action='store_true', help='instead, show how an arm gives way to the people'
    )
    parser.add_argument(
        '--offline',
        action='store_true',
        help='with --monitor: compute it without starting processes',
    )
    parser.add_argument(
        '--view', action='store_true', help='show it in the browser, until interrupted'
    )
    add_arguments(parser)
    arguments = parser.parse_args()
    try:
        choose_clips(open_archive(arguments.archive), arguments.clip)
    except ArchiveError as error:
        complain('demo', error)
        return 2
    if arguments.offline:
        return _offline(arguments, parser)
    isolate()
    end_on_sigterm()
    rclpy.init()
    try:
        with running('view') if arguments.view else nullcontext():
            if arguments.monitor:
                monitor_demo.show(monitor_demo.run(arguments), arguments.out)
                return 0
            if arguments.view:
                watch(arguments)
                return 0
            node = run(arguments)
    except RuntimeError as error:
        complain('demo', error)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0 if arguments.view else 1  # an interrupt is the normal end of --view
    finally:
        rclpy.try_shutdown()
    result = report(node)
    print_report(result)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / 'report.json').write_text(json.dumps(result, indent=2) + '\n')
    if node.scorer.examples:
        draw(node.scorer.examples, node.parents, arguments.out / 'prediction.gif')
        say_written(arguments.out / 'prediction.gif')
    say_written(arguments.out / 'report.json')
    return 0
