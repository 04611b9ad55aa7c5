"""From what arrives to what is published: what the node does while it is active."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.lifecycle import LifecyclePublisher
from rclpy.node import Node

from motion_predictor.budget import Budget
from motion_predictor.common.problems import one_line
from motion_predictor.common.status import Status
from motion_predictor.msg import MotionQualityArray
from motion_predictor.predictor import MotionPredictor, Prediction
from motion_predictor.ros.node.clock import NodeClock
from motion_predictor.ros.node.diagnostics import Condition, Health, facts, judged, shortfall
from motion_predictor.ros.node.improvement import Improvement
from motion_predictor.ros.node.inference import Loop
from motion_predictor.ros.node.outputs import MotionOutput, quality_message, time_message
from motion_predictor.ros.node.reader import Scan, SkeletonInput
from motion_predictor.ros.node.receiver import Intake
from motion_predictor.ros.node.scheduling import Precedence
from motion_predictor.ros.node.silence import Stopwatch
from motion_predictor.ros.node.stamps import Stamps
from motion_predictor.self_check.check import SelfCheck
from motion_predictor.sources.source import InputError
from motion_predictor.tracking.people import People
from motion_predictor.tracking.scene import Scene

STUCK_S = 1.0
"""A prediction that takes longer is a fault; until then there is just nothing fresh."""
READING = 3.0
"""What a message takes from its publication until a Python process has read it, as a multiple of
what publishing it took: both copy the same numbers. Measured: twice for one person, three to four
times for 3 MB and more."""
REPEAT_PROBLEM_S = 30.0


@dataclass
class Setup:
    """What the node is configured with."""

    predictor: MotionPredictor
    input: SkeletonInput
    publisher: LifecyclePublisher
    values: dict[str, Any]
    """The parameters; like what follows, they may change at any time."""
    output: MotionOutput
    budget: Budget
    improvement: Improvement


class Pipeline:
    """Takes what arrives, predicts on the newest of it and publishes.

    One thread works; a watchdog in another publishes when it cannot, and the parameters may change
    in a third.

    Args:
        node: whose logger and context are used.
        clock: of the node.
        setup: what it is configured with.
        people: to begin with.
        intake: where messages come in.
    """

    def __init__(
        self,
        node: Node,
        clock: NodeClock,
        setup: Setup,
        people: People,
        intake: Intake,
    ) -> None:
        self._precedence = Precedence(
            setup.values['realtime_priority'], partial(self._warn, 'realtime_priority')
        )
        self.loop = Loop(intake, self._work, self._precedence)
        """The work, to be run in the inference thread."""
        self._node = node
        self._clock = clock
        self._setup = setup
        self.people = people
        """Who is there."""
        self._intake = intake
        self._health = Health()
        self.check = SelfCheck(setup.predictor.times, setup.values['self_correction'])
        """What became of the predictions."""
        self._reading = threading.Lock()  # guards the input, which may take its time
        self._lock = threading.Lock()  # guards people and what the last message said
        self._publish_lock = threading.Lock()
        self._fault = ''
        self._logged_s: dict[str, float] = {}
        self._since_usable, self._since_published = Stopwatch(clock), Stopwatch(clock)
        self._stamps = Stamps()
        self._arrived_s = self._age_ms = 0.0
        self._has_news = False
        setup.input.clear()

    # Input

    def _work(self) -> None:
        """Take what has come in and predict on it."""
        for message, info in self._intake.take():
            self._health.count('received')
            # Since the middleware has it, which some middlewares do not say.
            received_s = info['received_timestamp'] / 1e9 or time.time()
            waited_s = max(0.0, time.time() - received_s)
            self._take(partial(self._setup.input.read, message), waited_s)
        if self._has_news:
            self._predict_newest()

    def sample(self) -> None:
        """Take what tf says, and have it predicted on."""
        self._take(self._setup.input.sample)
        if self._has_news:
            self._intake.ring()

    def begin_afresh(self, people: People) -> None:
        """Go on with other people, of whom nothing has been seen yet."""
        with self._lock:
            people.succeed(self.people, self._clock.now_ns())
            self.people = people

    def prefer(self, robot_position: list[float], max_people: int) -> None:
        """Set who is predicted where there are more."""
        with self._lock:
            self.people.prefer(robot_position, max_people)

    def forget(self) -> None:
        """Forget all histories, as when time jumps."""
        with self._reading, self._lock:
            self.people.clear(self._clock.now_ns())
            self._setup.input.clear()

    def _take(self, read: Callable[[int], Scan | None], waited_s: float = 0.0) -> None:
        refusal = ''
        arrived_s = time.monotonic() - waited_s
        self._clock.look()
        with self._reading:
            now_ns = self._clock.now_ns()
            try:
                scan = read(now_ns)
                age_ms = self._age_at_arrival_ms(scan, now_ns, waited_s)
            except Exception as error:  # InputError; or a message that its reader trips over
                scan, refusal = None, str(error) or type(error).__name__
                with self._lock:  # whoever is in the message is there all the same
                    self.people.somebody(getattr(error, 'people', 1), now_ns)
            if scan is not None:
                self._stamps.see(age_ms)
                robot = self._robot_position(now_ns)
                with self._lock:
                    self.people.prefer(robot, self._setup.values['max_people'])
                    self._observe(scan, arrived_s, age_ms, now_ns)
        if refusal:
            self._refuse('message refused', refusal)

    def _observe(self, scan: Scan, arrived_s: float, age_ms: float, now_ns: int) -> None:
        people, unreadable = self.people, scan.rejected.total()
        if people.update(scan.stamp_ns, scan.observations, scan.frame_id, unreadable, now_ns):
            self._has_news = True
            self._since_usable.start()
            self._arrived_s, self._age_ms = arrived_s, age_ms
        if rejected := scan.rejected + people.rejected:
            self._health.reject(rejected)
            people.rejected.clear()
        if people.feed.restarts:
            self._health.count('restarted')
            people.feed.restarts = 0
        for reason, sentence in people.remarks.items():
            self._remark(reason, sentence)
        people.remarks.clear()

    def _robot_position(self, now_ns: int) -> list[float]:
        """Return where the robot stands, as tf says if there is a frame of it."""
        values = self._setup.values
        if values['robot_frame']:
            try:
                return self._setup.input.robot_place(values['robot_frame'], now_ns)
            except InputError as error:
                self._remark('robot_frame', str(error))
        position: list[float] = values['robot_position']
        return position

    def _age_at_arrival_ms(self, scan: Scan | None, now_ns: int, waited_s: float) -> float:
        """Return how old a scan was when it came in.

        Raises:
            InputError: if it was not even captured.
        """
        if scan is None:
            return 0.0
        age_ms = (now_ns - scan.stamp_ns) / 1e6 - 1000 * waited_s
        if age_ms < -1000 * self._setup.values['max_ahead_s']:
            raise InputError(
                f'header.stamp lies {-age_ms / 1000:.3f} s in the future: are the clocks of '
                'source and predictor in step?',
                len(scan.observations) + scan.rejected.total(),
            )
        return age_ms

    # Output

    def _predict_newest(self) -> None:
        try:
            self._predict_and_publish()
            self._fault = ''
        except BaseException as error:  # the engine may raise anything, and the thread goes on
            if rclpy.ok(context=self._node.context):
                sentence = one_line(error)
                self._fault = f'prediction failed: {sentence}'
                self._refuse('prediction failed', sentence)
                self._publish(self._scene_or_nobody(), None, Status.FAULT)

    def _predict_and_publish(self) -> None:
        started_s = time.monotonic()
        with self._lock:
            arrived_s, age_ms, self._has_news = self._arrived_s, self._age_ms, False
            scene = self.people.scene(self._clock.now_ns())
        if scene is None:  # forgotten meanwhile
            return
        windows = [p.window for p in scene.people if p.window is not None]
        late_s = (self._clock.now_ns() - scene.stamp_ns) / 1e9
        if late_s > self._setup.values['max_age_s']:
            self._refuse(
                'observation too old',
                f'the newest observation is {late_s:.3f} s old: is its stamp the time of capture?',
            )
            self._publish(scene, None, Status.STALE_INPUT)
            return
        budget = self._setup.budget
        if not windows:
            budget.rest()
            self._publish(scene, None, Status.OK)
            return
        samples = budget.choose(len(windows))
        prediction = self._predict(np.stack([w.positions for w in windows]), samples)
        if prediction.unfamiliar.any():
            self._health.count('unfamiliar')
        prediction = prediction.widened(np.stack([w.doubt_m for w in windows]))
        predicted = [p for p in scene.people if p.window is not None]
        prediction = self.check.step(scene.stamp_ns, predicted, prediction)
        predicted_s = time.monotonic()
        late = 1000 * (predicted_s - arrived_s) > budget.budget_ms
        worse = late or self._lacks_radius(prediction)
        self._publish(scene, prediction, Status.DEGRADED if worse else Status.OK)
        done_s = time.monotonic()
        took_ms, publish_ms = 1000 * (done_s - arrived_s), 1000 * (done_s - predicted_s)
        budget.record(len(windows), samples, took_ms + READING * publish_ms)
        if took_ms > budget.budget_ms:
            self._health.count('over budget')
        self._health.time(
            age_ms,
            wait_ms=1000 * (started_s - arrived_s),
            inference_ms=1000 * (predicted_s - started_s),
            publish_ms=publish_ms,
        )

    def _lacks_radius(self, prediction: Prediction) -> bool:
        """Whether there is no radius with so few samples, where all of them have one."""
        return bool(np.isnan(prediction.coverage)) and not np.isnan(self._setup.predictor.coverage)

    def _predict(self, histories: NDArray[np.float32], samples: int) -> Prediction:
        """Predict; an engine that fails gives way to a slower one, for good."""
        predictor = self._setup.predictor
        while True:
            try:
                return predictor.predict(histories, samples)
            except Exception as error:
                if not predictor.fall_back(str(error)):
                    raise
                engine = f'{predictor.engine.backend} on {predictor.device}'
                self._warn('engine failed', f'{error}; {engine} takes over')

    def _publish(self, scene: Scene, prediction: Prediction | None, at_least: Status) -> None:
        setup = self._setup
        with self._publish_lock:
            if self.loop.told_to_end:  # what hung until now belongs to an earlier activation
                return
            now_ns = self._clock.now_ns()
            age_s = (now_ns - scene.stamp_ns) / 1e9
            oldest_s, newest_s = setup.values['max_age_s'], -setup.values['max_ahead_s']
            if prediction is not None and not newest_s <= age_s <= oldest_s:
                # It grew old while predicting, or time jumped back.
                prediction, at_least = None, Status.STALE_INPUT
            setup.publisher.publish(setup.output.message(scene, prediction, now_ns, at_least))
            self._since_published.start()
        self._health.count('published')

    def _scene_or_nobody(self) -> Scene:
        """Return everyone last seen, none of them predictable; at time 0 before any input."""
        with self._lock:
            return self.people.listing(self._clock.now_ns()) or Scene(0, '', ())

    # How it is

    def watch(self) -> None:
        """Publish STALE_INPUT or FAULT if nothing else can be said, and let others have a turn."""
        overdue = self._since_published.elapsed_s() > self._setup.values['stale_after_s']
        if self._busy(STUCK_S) or (self._fault and overdue):
            self._publish(self._scene_or_nobody(), None, Status.FAULT)
        elif self._is_stale() or overdue:
            self._publish(self._scene_or_nobody(), None, Status.STALE_INPUT)
        if self.loop.restless_s() > STUCK_S and self._precedence.give_up():
            self._warn(
                'realtime_priority',
                f'predicting has left no time for anything else for {STUCK_S:g} s: the thread is '
                'scheduled like others until it rests',
            )

    def fell_over(self) -> None:
        """Report that the loop ended where it should not have, and goes on."""
        self._fault = f'the inference thread fell over and is up again: {self.loop.error}'
        self._warn('inference thread', self._fault)
        self._health.count('thread restarted')
        self._publish(self._scene_or_nobody(), None, Status.FAULT)

    def report(self) -> DiagnosticArray:
        """Return the diagnostics since the last report."""
        predictor, budget = self._setup.predictor, self._setup.budget
        missing = shortfall(predictor, budget, self._setup.values['backend'])
        if missing:
            self._warn('less than asked for', missing)
        if (publishers := self._intake.publishers()) > 1:
            self._remark(
                'several publishers',
                f'{publishers} publishers send skeletons on this topic: whoever is missing in a '
                'message counts as lost; let one tracker publish, or merge them',
            )
        report = self._health.report(
            self._node.get_fully_qualified_name(),
            predictor.checkpoint.model_id,
            Condition(
                fault=self._busy(STUCK_S) or self._fault,
                silence=self._silence() if self._is_stale() else '',
                shortfall=missing,
            ),
            facts(predictor, budget, self._setup.values['threads'])
            | {'scheduling': str(self._precedence)}
            | self._doubts()
            | {'engine in the making': str(self._setup.improvement)}
            | judged(self.check),
        )
        report.header.stamp = time_message(self._clock.now_ns())
        return report

    def _doubts(self) -> dict[str, str]:
        """Return what may be wrong with the input and cannot be known, as values to show."""
        doubts = {'stamps': self._stamps.doubt(), 'frame': self._setup.input.footing.doubt}
        for name, doubt in doubts.items():
            if doubt:
                self._mention(name, doubt)
        return {name: doubt or 'nothing wrong is known' for name, doubt in doubts.items()}

    def quality(self) -> MotionQualityArray:
        """Return how well everybody was predicted lately."""
        predictor, check = self._setup.predictor, self.check
        return quality_message(
            check.report(),
            check.horizons_s,
            predictor.checkpoint.model_id,
            predictor.coverage,
            self._clock.now_ns(),
        )

    def _busy(self, longest_s: float) -> str:
        """Return what to say of work that takes longer, nothing if none does."""
        busy_s = self.loop.busy_s()
        if busy_s <= longest_s:
            return ''
        return f'the prediction in hand has taken {busy_s:.1f} s so far'

    def _silence(self) -> str:
        """Return why nothing usable comes: a prediction takes long, or the source is silent."""
        if busy := self._busy(self._setup.values['stale_after_s']):
            return busy
        mismatched = self._intake.mismatched()
        why = f'; publishers that do not match in type or QoS: {mismatched}' if mismatched else ''
        return f'no usable input{why}'

    def _is_stale(self) -> bool:
        return self._since_usable.elapsed_s() > self._setup.values['stale_after_s']

    def _refuse(self, reason: str, sentence: str) -> None:
        self._health.reject(Counter([reason]), sentence)
        self._warn(reason, sentence)

    def _remark(self, reason: str, sentence: str) -> None:
        """Say what is wrong with the input and what to do, beside what was counted."""
        self._health.remark(sentence)
        self._warn(reason, sentence)

    def _warn(self, reason: str, sentence: str) -> None:
        """Log a warning, but not the same reason again and again."""
        now_s = time.monotonic()
        if now_s - self._logged_s.get(reason, -REPEAT_PROBLEM_S) >= REPEAT_PROBLEM_S:
            self._logged_s[reason] = now_s
            self._node.get_logger().warning(f'{reason}: {sentence}')

    def _mention(self, reason: str, sentence: str) -> None:
        """Log once what may be wrong."""
        if reason not in self._logged_s:
            self._logged_s[reason] = time.monotonic()
            self._node.get_logger().info(f'{reason}: {sentence}')
