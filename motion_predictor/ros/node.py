"""The `predictor` node: skeletons in, predicted motion out. It wires; it does no maths."""

import gc
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy._rclpy_pybind11 import RCLError
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions

from motion_predictor.budget import Budget, rungs, survey
from motion_predictor.msg import PredictedMotionArray
from motion_predictor.people import People, Scene, Status
from motion_predictor.predictor import MotionPredictor, Prediction
from motion_predictor.ros.diagnostics import Condition, Health, facts, shortfall
from motion_predictor.ros.inference import InferenceThread, Loop
from motion_predictor.ros.inputs import Scan, open_input
from motion_predictor.ros.intake import Intake
from motion_predictor.ros.middleware import carry_large_messages
from motion_predictor.ros.outputs import MotionOutput
from motion_predictor.ros.parameters import AFRESH, Parameters
from motion_predictor.ros.watchdog import Watchdog
from motion_predictor.skeleton import known_layouts, read_layouts
from motion_predictor.sources.bodies import InputError
from motion_predictor.validation import one_line

WATCHDOG_PERIOD_S = 0.1
PATIENCE_S = 5.0
STUCK_S = 1.0
"""A prediction that takes longer is a fault; until then there is just nothing fresh."""
KEPT_MESSAGES = 60
"""So many wait while a prediction is made: of a second, even when a source is fast."""
SWITCH_S = 0.0005
"""After this a thread of Python gives way to one that waits. It is 5 ms as it comes: a quarter of
the budget."""
SURVEY_S = 2.0
"""Time at configuration for finding what predictions for several people cost."""
REPEAT_PROBLEM_S = 30.0
CROWD = (
    'max_gap_s',
    'forget_after_s',
    'min_observed_fraction',
    'max_speed',
    'reassociate_s',
    'frozen_after_s',
)
"""Parameters whose change starts everyone's history anew."""
PREFERENCE = ('robot_position', 'max_people')
"""Parameters that say who is predicted where there are more."""
Return = TransitionCallbackReturn


class PredictorNode(LifecycleNode):
    """Predicts the motion of everyone a source shows and publishes it on `predicted_motion`.

    The inference thread takes the messages, predicts on the newest data and publishes. Its
    executor serves the rest; a watchdog on the steady clock publishes STALE_INPUT or FAULT when it
    cannot.
    """

    def __init__(self) -> None:
        super().__init__('predictor')
        self._table = Parameters(self, self._objection, self._use)
        self._lock = threading.Lock()  # guards input, people and what the last message said
        self._publish_lock = threading.Lock()
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._jump = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
            ),
            post_callback=self._on_clock_jump,
        )
        self.hung = False
        """Whether a prediction never ended; then only ending the process helps."""
        self._people: People | None = None
        self._loop: Loop | None = None
        self._configured, self._active = ExitStack(), ExitStack()
        """What to undo of what a transition has done so far, however it ends."""

    # Lifecycle

    def start(self) -> None:
        """Configure and activate if the parameters ask for it."""
        if not self.get_parameter('autostart').value:
            return
        if self.trigger_configure() == Return.SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> Return:
        """Read the parameters, load and warm up the predictor."""
        for name in self._table.unknown():
            self.get_logger().warning(f"there is no parameter '{name}'; it has no effect")
        undo = self._configured
        try:
            values = self._table.read()
            inference = InferenceThread(values['threads'])
            undo.callback(inference.stop)
            predictor = inference.call(_load, values)
            self._predictor = predictor
            self._costs = inference.call(_survey, predictor, values)
            self._prepare(values)
            undo.callback(self._input.close)
            self._publisher = self.create_lifecycle_publisher(
                PredictedMotionArray,
                'predicted_motion',
                QoSProfile(depth=1),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            undo.callback(self.destroy_lifecycle_publisher, self._publisher)
            self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
            undo.callback(self.destroy_publisher, self._diagnostics)
        except Exception as error:  # ours, or whatever the device or the middleware raises
            self._free()
            self.get_logger().error(f'cannot configure: {one_line(error)}')
            return Return.FAILURE
        self._inference = inference
        checkpoint = predictor.checkpoint
        window = checkpoint.header.window
        self._table.in_use = True
        self.get_logger().info(
            f'{checkpoint.model_id} on {predictor.device}, {predictor.engine.backend} in '
            f'{predictor.engine.precision}: {values["samples"]} futures of '
            f'{window.future_frames / window.rate_hz:g} s for {checkpoint.header.layout.name}'
        )
        uncalibrated = [n for n in self._budget.ladder if checkpoint.radius_scale(n) is None]
        if uncalibrated:
            self.get_logger().warning(
                'radius and coverage will be NaN with '
                f'{", ".join(map(str, uncalibrated))} samples: the checkpoint is not calibrated '
                'for them'
            )
        gc.collect()
        gc.freeze()  # what was loaded stays, and need not be searched again and again
        return Return.SUCCESS

    def on_activate(self, state: LifecycleState) -> Return:
        """Start listening and predicting."""
        self._people = self._nobody(self._values)
        self._health = Health()
        self._fault = ''
        self._logged_s: dict[str, float] = {}
        self._usable_s = self._published_s = time.monotonic()
        self._arrived_s = self._age_ms = 0.0
        self._has_news = False
        self._input.clear()
        try:
            self._listen()
        except Exception as error:  # whatever the middleware raises
            self._stop()
            self.get_logger().error(f'cannot activate: {one_line(error)}')
            return Return.FAILURE
        return super().on_activate(state)

    def _listen(self) -> None:
        """Subscribe and start the timers."""
        undo = self._active
        qos = copy(qos_profile_sensor_data)
        qos.depth = KEPT_MESSAGES
        intake = Intake(self, self._message_class, self._input.topic, qos)
        undo.callback(intake.close)
        self._loop = Loop(intake, lambda: self._work(intake))
        self._inference.run(self._loop)
        undo.callback(self._end_loop)
        undo.callback(Watchdog(WATCHDOG_PERIOD_S, self._look).stop)
        self._start_reporting()
        undo.callback(lambda: self.destroy_timer(self._reporting))
        if self._input.is_sampled:
            period_s = 1 / self._values['tf_rate_hz']
            sampling = self.create_timer(
                period_s, lambda: self._sample(intake), clock=self._steady
            )
            undo.callback(self.destroy_timer, sampling)

    def on_deactivate(self, state: LifecycleState) -> Return:
        """Stop listening; what was observed is forgotten."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> Return:
        """Free the predictor; the parameters can be changed again."""
        self._free()
        return Return.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> Return:
        """End from any state."""
        self._stop()
        self._free()
        return Return.SUCCESS

    def on_error(self, state: LifecycleState) -> Return:
        """Free what an error in a transition left behind; the node can be configured again."""
        self._stop()
        self._free()
        return Return.SUCCESS

    def destroy_node(self) -> None:
        """End from any state, and let go of everything."""
        self._stop()
        self._free()
        super().destroy_node()

    def _stop(self) -> None:
        with self._lock:
            self._people = None
        self._active.close()

    def _end_loop(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None and not loop.end(PATIENCE_S):
            self.hung = True
            self.get_logger().error(f'the prediction in hand did not end within {PATIENCE_S:g} s')

    def _free(self) -> None:
        self._configured.close()
        if not self._table.in_use:
            return
        self._table.in_use = False
        del self._inference, self._predictor, self._input, self._output
        del self._publisher, self._diagnostics
        gc.unfreeze()

    # Parameters

    def _prepare(self, values: dict[str, Any]) -> None:
        """Make all that follows from values, or raise if it cannot be made."""
        layouts = known_layouts()
        if values['layout_folder']:
            layouts |= read_layouts(Path(values['layout_folder']))
        layout = self._predictor.checkpoint.header.layout
        self._output = self._output_for(values)
        self._budget = self._budget_for(values)
        self._nobody(values)  # refuses now what it would refuse later
        self._input, self._message_class = open_input(values, layout, layouts, self)
        self._values = values

    def _output_for(self, values: dict[str, Any]) -> MotionOutput:
        return MotionOutput(
            self._predictor.checkpoint,
            values['frame_stride'],
            values['publish_samples'],
            self._predictor.coverage,
        )

    def _budget_for(self, values: dict[str, Any]) -> Budget:
        return Budget(values['latency_budget_ms'], values['samples'], self._costs)

    def _nobody(self, values: dict[str, Any]) -> People:
        """Return people none of whom has been seen."""
        header = self._predictor.checkpoint.header
        return People(
            layout=header.layout,
            rate_hz=header.window.rate_hz,
            frames=header.window.history_frames,
            **{name: values[name] for name in CROWD + PREFERENCE},
        )

    def _start_reporting(self) -> None:
        period_s = self._values['diagnostics_period_s']
        self._reporting = self.create_timer(period_s, self._report, clock=self._steady)

    def _objection(self, values: dict[str, Any]) -> str:
        """Return why these values cannot be used as the node is configured, or nothing."""
        if values['samples'] > self._predictor.samples:
            return (
                f'{values["samples"]} samples are more than the {self._predictor.samples} that '
                f'the node was configured for: {AFRESH}'
            )
        try:
            self._output_for(values)
            self._nobody(values)
        except ValueError as error:
            return str(error)
        return ''

    def _use(self, values: dict[str, Any]) -> None:
        """Take changed values at once."""
        changed = {name for name, value in values.items() if value != self._values[name]}
        self._values = values
        self._output = self._output_for(values)
        self._input.min_confidence = values['min_confidence']
        if changed & {'samples', 'latency_budget_ms'}:
            self._budget = self._budget_for(values)
        if self._people is None:
            return
        with self._lock:
            if changed & {*CROWD}:
                self._people = self._nobody(values)
            else:
                self._people.prefer(*(values[name] for name in PREFERENCE))
        if 'diagnostics_period_s' in changed:
            self.destroy_timer(self._reporting)
            self._start_reporting()

    # Input

    def _work(self, intake: Intake) -> None:
        """Take what has come in and predict on it."""
        for message, info in intake.take():
            self._health.count('received')
            # Since the middleware has it, which some middlewares do not say.
            received_s = info['received_timestamp'] / 1e9 or time.time()
            waited_s = max(0.0, time.time() - received_s)
            self._take(partial(self._input.read, message), waited_s)
        if self._has_news:
            self._predict_newest()

    def _sample(self, intake: Intake) -> None:
        self._take(self._input.sample)
        if self._has_news:
            intake.ring()

    def _take(self, read: Callable[[int], Scan | None], waited_s: float = 0.0) -> None:
        arrived_s = time.monotonic() - waited_s
        now_ns = self.get_clock().now().nanoseconds
        with self._lock:
            people = self._people
            if people is None:
                return
            try:
                scan = read(now_ns)
                if scan is None:
                    return
                age_ms = (now_ns - scan.stamp_ns) / 1e6
                if age_ms < -1000 * self._values['max_ahead_s']:
                    raise InputError(
                        f'header.stamp lies {-age_ms / 1000:.3f} s in the future: are the clocks '
                        'of source and predictor in step?'
                    )
            except Exception as error:  # InputError; or a message that its reader trips over
                self._refuse('message refused', str(error) or type(error).__name__)
                return
            unreadable = sum(scan.rejected.values())
            fresh = people.update(scan.stamp_ns, scan.observations, scan.frame_id, unreadable)
            rejected = scan.rejected + people.rejected
            people.rejected.clear()
            restarts, people.restarts = people.restarts, 0
            if fresh:
                self._has_news = True
                self._usable_s = time.monotonic()
                self._arrived_s = arrived_s
                self._age_ms = age_ms
        self._health.reject(rejected)
        if restarts:
            self._health.count('restarted')

    def _refuse(self, reason: str, sentence: str) -> None:
        self._health.reject(Counter([reason]), sentence)
        self._warn(reason, sentence)

    def _warn(self, reason: str, sentence: str) -> None:
        """Log a warning, but not the same reason again and again."""
        now_s = time.monotonic()
        if now_s - self._logged_s.get(reason, -REPEAT_PROBLEM_S) >= REPEAT_PROBLEM_S:
            self._logged_s[reason] = now_s
            self.get_logger().warning(f'{reason}: {sentence}')

    def _on_clock_jump(self, jump: TimeJump) -> None:
        with self._lock:
            if self._people is not None:
                self._people.clear()
                self._input.clear()

    # Output

    def _predict_newest(self) -> None:
        try:
            self._predict_and_publish()
            self._fault = ''
        except BaseException as error:  # the engine may raise anything, and the thread goes on
            if rclpy.ok(context=self.context):
                sentence = one_line(error)
                self._fault = f'prediction failed: {sentence}'
                self._refuse('prediction failed', sentence)
                self._publish(self._scene_or_nobody(), None, Status.FAULT)

    def _predict_and_publish(self) -> None:
        started_s = time.monotonic()
        with self._lock:
            people, arrived_s, age_ms = self._people, self._arrived_s, self._age_ms
            scene = people.scene() if people is not None else None
            self._has_news = False
        if scene is None:
            return
        windows = [p.window for p in scene.people if p.window is not None]
        late_s = (self.get_clock().now().nanoseconds - scene.stamp_ns) / 1e9
        if late_s > self._values['max_age_s']:
            self._refuse(
                'observation too old',
                f'the newest observation is {late_s:.3f} s old: is its stamp the time of capture?',
            )
            self._publish(scene, None, Status.STALE_INPUT)
            return
        if not windows:
            self._budget.rest()
            self._publish(scene, None, Status.OK)
            return
        budget = self._budget
        samples = budget.choose(len(windows))
        prediction = self._predict(np.stack([w.positions for w in windows]), samples)
        prediction = prediction.widened(np.stack([w.doubt_m for w in windows]))
        predicted_s = time.monotonic()
        late = 1000 * (predicted_s - arrived_s) > budget.budget_ms
        less = late or samples < budget.ladder[0]
        self._publish(scene, prediction, Status.DEGRADED if less else Status.OK)
        done_s = time.monotonic()
        if not budget.record(len(windows), samples, 1000 * (done_s - arrived_s)):
            self._health.count('over budget')
        self._health.time(
            age_ms,
            wait_ms=1000 * (started_s - arrived_s),
            inference_ms=1000 * (predicted_s - started_s),
            publish_ms=1000 * (done_s - predicted_s),
        )

    def _predict(self, histories: NDArray[np.float32], samples: int) -> Prediction:
        """Predict; an engine that fails gives way to a slower one, once and for all."""
        try:
            return self._predictor.predict(histories, samples)
        except Exception as error:
            if not self._predictor.fall_back(str(error)):
                raise
            backend = self._predictor.engine.backend
            self._warn('engine failed', f'{error}; {backend} takes over')
            return self._predictor.predict(histories, samples)

    def _publish(self, scene: Scene, prediction: Prediction | None, at_least: Status) -> None:
        with self._publish_lock:
            now_ns = self.get_clock().now().nanoseconds
            age_s = (now_ns - scene.stamp_ns) / 1e9
            values = self._values
            if (
                prediction is not None
                and not -values['max_ahead_s'] <= age_s <= values['max_age_s']
            ):
                # It grew old while predicting, or time jumped back.
                prediction, at_least = None, Status.STALE_INPUT
            self._publisher.publish(self._output.message(scene, prediction, now_ns, at_least))
            self._published_s = time.monotonic()
        self._health.count('published')

    def _scene_or_nobody(self) -> Scene:
        """Return everyone last seen, none of them predictable; at time 0 before any input."""
        with self._lock:
            scene = self._people.listing() if self._people is not None else None
        return scene if scene is not None else Scene(0, '', ())

    # Watchdog

    def _look(self) -> None:
        try:
            self._watch()
        except Exception as error:  # as when everything is being shut down
            if rclpy.ok(context=self.context):
                self._warn('watchdog', one_line(error))

    def _is_stale(self) -> bool:
        return time.monotonic() - self._usable_s > self._values['stale_after_s']

    def _watch(self) -> None:
        if self._loop is not None and self._loop.has_died():
            self._fault = 'the inference thread fell over; it is up again'
            self._warn('inference thread', self._fault)
            self._health.count('thread restarted')
            self._inference.run(self._loop)
            self._publish(self._scene_or_nobody(), None, Status.FAULT)
            return
        overdue = time.monotonic() - self._published_s > self._values['stale_after_s']
        if self._stuck() or (self._fault and overdue):
            self._publish(self._scene_or_nobody(), None, Status.FAULT)
        elif self._is_stale() or overdue:
            self._publish(self._scene_or_nobody(), None, Status.STALE_INPUT)

    def _stuck(self) -> str:
        """Return what to say of a prediction that takes too long, nothing if there is none."""
        busy_s = self._loop.busy_s() if self._loop is not None else 0.0
        return (
            f'the prediction in hand has taken {busy_s:.1f} s so far' if busy_s > STUCK_S else ''
        )

    def _report(self) -> None:
        predictor, budget = self._predictor, self._budget
        missing = shortfall(predictor, budget)
        if missing:
            self._warn('less than asked for', missing)
        report = self._health.report(
            self.get_fully_qualified_name(),
            predictor.checkpoint.model_id,
            Condition(
                fault=self._stuck() or self._fault,
                silence='no usable input' if self._is_stale() else '',
                shortfall=missing,
            ),
            facts(predictor, budget, self._values['threads']),
        )
        report.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(report)


def _load(values: dict[str, Any]) -> MotionPredictor:
    """Return the predictor that the parameters ask for."""
    return MotionPredictor.load(
        values['checkpoint'],
        values['device'],
        values['samples'],
        values['resample_noise'],
        values['backend'],
    )


def _survey(predictor: MotionPredictor, values: dict[str, Any]) -> dict[tuple[int, int], float]:
    """Warm the predictor up and return what its predictions cost."""
    return survey(
        warm_up=lambda people, samples: predictor.warm_up([people], [samples]),
        run=predictor.rehearse,
        people=values['max_people'],
        ladder=rungs(values['samples']),
        limit_s=SURVEY_S,
    )


def main(args: list[str] | None = None) -> Any:
    """Run the node until it is interrupted or shut down."""
    carry_large_messages()
    sys.setswitchinterval(SWITCH_S)
    rclpy.init(args=args)
    node = PredictorNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        node.start()
        while rclpy.ok():
            try:
                executor.spin()
            except RCLError as error:  # Jazzy raises it for a transition that is not allowed
                if rclpy.ok():
                    node.get_logger().error(str(error))
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
        if node.hung:
            os._exit(1)  # Python would wait for the thread that never ends
    return 0
