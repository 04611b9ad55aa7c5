"""Does the active node's work on each message: read it, predict and publish."""

import threading
import time
from functools import partial

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.node import Node

from motion_predictor.common.problems import one_line
from motion_predictor.common.status import Status
from motion_predictor.msg import MotionQualityArray
from motion_predictor.prediction import Prediction
from motion_predictor.ros.node.clock import NodeClock
from motion_predictor.ros.node.complaints import Complaints
from motion_predictor.ros.node.diagnostics import Condition, Health, facts, judged, shortfall
from motion_predictor.ros.node.inference import Loop
from motion_predictor.ros.node.observer import Observer
from motion_predictor.ros.node.outputs import quality_message, time_message
from motion_predictor.ros.node.receiver import Intake
from motion_predictor.ros.node.scheduling import Precedence
from motion_predictor.ros.node.setup import Setup
from motion_predictor.ros.node.silence import Stopwatch
from motion_predictor.self_check.check import SelfCheck
from motion_predictor.tracking.people import People
from motion_predictor.tracking.scene import Scene

STUCK_S = 1.0
"""A prediction that takes longer than this is a FAULT. A shorter prediction causes STALE_INPUT at
worst."""
READING = 2.0
"""Time from the publication of a message until a Python process has read it, as a multiple of the
time that publishing took. Publishing and reading copy the same numbers. Measured: 2 up to 1 MB
(four people with the frames that are published by default), 3 to 4 for 3 MB and more."""


class Pipeline:
    """Reads the messages that arrive, predicts from the newest observation and publishes.

    One thread reads, predicts and publishes. A watchdog in a second thread publishes a status when
    the first thread cannot publish. Parameters may change in a third thread.

    Args:
        node: node that provides the logger and the ROS context.
        clock: clock of the node.
        setup: objects that the node's parameters describe.
        people: tracker of all people who are present.
        intake: subscription to the messages of the source.
    """

    def __init__(
        self,
        node: Node,
        clock: NodeClock,
        setup: Setup,
        people: People,
        intake: Intake,
    ) -> None:
        self._health = Health()
        self._complaints = Complaints(self._health, node.get_logger())
        self._precedence = Precedence(
            setup.values['realtime_priority'], partial(self._complaints.warn, 'realtime_priority')
        )
        self.observer = Observer(clock, setup, people, self._health, self._complaints)
        """Tracks the people who are there."""
        self.loop = Loop(intake, self._work, self._precedence)
        """The loop that the inference thread must run."""
        self._node = node
        self._clock = clock
        self._setup = setup
        self._intake = intake
        self.check = SelfCheck(setup.predictor.times, setup.values['self_correction'])
        """Compares predictions with the motion that followed."""
        self._publish_lock = threading.Lock()
        self._fault = ''
        self._since_published = Stopwatch(clock)

    # Input

    def _work(self) -> None:
        """Read all new messages and predict from the newest observation."""
        for message, received_ns in self._intake.take():
            # received_ns is 0 if the middleware does not report it.
            self.observer.read(message, received_ns / 1e9 or time.time())
        if self.observer.has_news:
            self._predict_newest()

    def sample(self) -> None:
        """Read the people from tf, and wake the loop so that it predicts them."""
        self.observer.sample()
        if self.observer.has_news:
            self._intake.ring()

    # Output

    def _predict_newest(self) -> None:
        try:
            self._predict_and_publish()
            self._fault = ''
        except BaseException as error:  # an engine may raise any error; the thread must continue
            if rclpy.ok(context=self._node.context):
                sentence = one_line(error)
                self._fault = f'prediction failed: {sentence}'
                self._complaints.refuse('prediction failed', sentence)
                self._publish(self.observer.scene_or_nobody(), None, Status.FAULT)

    def _predict_and_publish(self) -> None:
        started_s = time.monotonic()
        news = self.observer.news()
        scene = news.scene
        if scene is None:
            return
        windows = [p.window for p in scene.people if p.window is not None]
        late_s = (self._clock.now_ns() - scene.stamp_ns) / 1e9
        if late_s > self._setup.values['max_age_s']:
            self._complaints.refuse(
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
        late = 1000 * (predicted_s - news.arrived_s) > budget.budget_ms
        worse = late or self._lacks_radius(prediction)
        self._publish(scene, prediction, Status.DEGRADED if worse else Status.OK)
        done_s = time.monotonic()
        took_ms, publish_ms = 1000 * (done_s - news.arrived_s), 1000 * (done_s - predicted_s)
        budget.record(len(windows), samples, took_ms + READING * publish_ms)
        if took_ms > budget.budget_ms:
            self._health.count('over budget')
        self._health.time(
            news.age_ms,
            wait_ms=1000 * (started_s - news.arrived_s),
            inference_ms=1000 * (predicted_s - started_s),
            publish_ms=publish_ms,
        )

    def _lacks_radius(self, prediction: Prediction) -> bool:
        """Whether the radius is missing because too few samples were drawn.

        A checkpoint may be calibrated for the configured number of samples, but not for a smaller
        number.
        """
        return bool(np.isnan(prediction.coverage)) and not np.isnan(self._setup.predictor.coverage)

    def _predict(self, histories: NDArray[np.float32], samples: int) -> Prediction:
        """Predict. If the engine fails, a slower engine replaces it."""
        predictor = self._setup.predictor
        while True:
            try:
                return predictor.predict(histories, samples)
            except Exception as error:
                if not predictor.fall_back(str(error)):
                    raise
                engine = f'{predictor.engine.backend} on {predictor.device}'
                self._complaints.warn('engine failed', f'{error}; {engine} takes over')

    def _publish(self, scene: Scene, prediction: Prediction | None, at_least: Status) -> None:
        setup = self._setup
        with self._publish_lock:
            # True if the node was deactivated while this prediction hung.
            if self.loop.told_to_end:
                return
            now_ns = self._clock.now_ns()
            age_s = (now_ns - scene.stamp_ns) / 1e9
            oldest_s, newest_s = setup.values['max_age_s'], -setup.values['max_ahead_s']
            if prediction is not None and not newest_s <= age_s <= oldest_s:
                # The observation grew too old during the prediction, or time jumped back.
                prediction, at_least = None, Status.STALE_INPUT
            setup.publisher.publish(setup.output.message(scene, prediction, now_ns, at_least))
            self._since_published.start()
        self._health.count('published')

    # State of the pipeline, for the watchdog and for diagnostics

    def watch(self) -> None:
        """Publish STALE_INPUT or FAULT if no prediction can be published.

        If the loop has not paused for `STUCK_S`, also give up the real-time priority of the
        inference thread until this thread has caught up.
        """
        overdue = self._since_published.elapsed_s() > self._setup.values['stale_after_s']
        if self._busy(STUCK_S) or (self._fault and overdue):
            self._publish(self.observer.scene_or_nobody(), None, Status.FAULT)
        elif self.observer.is_stale() or overdue:
            self._publish(self.observer.scene_or_nobody(), None, Status.STALE_INPUT)
        if self.loop.restless_s() > STUCK_S and self._precedence.give_up():
            self._complaints.warn(
                'realtime_priority',
                f'predictions have left no idle time for {STUCK_S:g} s: their thread gives '
                'up its real-time priority until it has caught up',
            )

    def fell_over(self) -> None:
        """Report that the inference loop failed and was restarted."""
        self._fault = f'the inference thread failed and was restarted: {self.loop.error}'
        self._complaints.warn('inference thread', self._fault)
        self._health.count('thread restarted')
        self._publish(self.observer.scene_or_nobody(), None, Status.FAULT)

    def report(self) -> DiagnosticArray:
        """Return the diagnostics for the time since the last report."""
        predictor, budget = self._setup.predictor, self._setup.budget
        missing = shortfall(predictor, budget, self._setup.values['backend'])
        if missing:
            self._complaints.warn('less than asked for', missing)
        if (publishers := self._intake.publishers()) > 1:
            self._complaints.remark(
                'several publishers',
                f'{publishers} publishers send skeletons on this topic, and people who are '
                'missing in one message count as lost: let one tracker publish, or merge '
                'them',
            )
        report = self._health.report(
            self._node.get_fully_qualified_name(),
            predictor.checkpoint.model_id,
            Condition(
                fault=self._busy(STUCK_S) or self._fault,
                silence=self._silence() if self.observer.is_stale() else '',
                shortfall=missing,
            ),
            facts(predictor, budget, self._setup.values['threads'])
            | {'scheduling': str(self._precedence)}
            | self.observer.doubts()
            | {'engine in the making': str(self._setup.improvement)}
            | judged(self.check),
        )
        report.header.stamp = time_message(self._clock.now_ns())
        return report

    def quality(self) -> MotionQualityArray:
        """Return the message that says how well each person was predicted lately."""
        predictor, check = self._setup.predictor, self.check
        return quality_message(
            check.report(),
            check.horizons_s,
            predictor.checkpoint.model_id,
            predictor.coverage,
            self._clock.now_ns(),
        )

    def _busy(self, longest_s: float) -> str:
        """Return a sentence if a prediction has run for longer than `longest_s`; else empty."""
        busy_s = self.loop.busy_s()
        if busy_s <= longest_s:
            return ''
        return f'the running prediction has taken {busy_s:.1f} s so far'

    def _silence(self) -> str:
        """Return why no usable input comes: a prediction takes long, or the source is silent."""
        if busy := self._busy(self._setup.values['stale_after_s']):
            return busy
        mismatched = self._intake.mismatched()
        why = f'; publishers with another type or QoS: {mismatched}' if mismatched else ''
        return f'no usable input{why}'
