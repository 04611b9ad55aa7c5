"""The `predictor` node: skeletons in, predicted motion out. It wires; it does no maths."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray
from rclpy._rclpy_pybind11 import RCLError
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile, qos_profile_sensor_data

from motion_predictor.msg import PredictedMotionArray
from motion_predictor.people import People, Scene, Status
from motion_predictor.predictor import MotionPredictor, Prediction
from motion_predictor.ros.diagnostics import Health
from motion_predictor.ros.inference import InferenceThread
from motion_predictor.ros.inputs import Scan, open_input
from motion_predictor.ros.outputs import MotionOutput
from motion_predictor.ros.parameters import Parameters
from motion_predictor.skeleton import Layout, known_layouts, read_layouts
from motion_predictor.sources.bodies import InputError

WATCHDOG_PERIOD_S = 0.1
PATIENCE_S = 5.0
STUCK_S = 1.0
"""A prediction that takes longer is a fault; until then there is just nothing fresh."""
WARM_UP_CALLS = 3
REPEAT_PROBLEM_S = 5.0
Return = TransitionCallbackReturn


class PredictorNode(LifecycleNode):
    """Predicts the motion of everyone a source shows and publishes it on `predicted_motion`.

    Callbacks parse and append. The inference thread predicts on the newest data and publishes; a
    watchdog on the steady clock publishes STALE_INPUT or FAULT when it cannot.
    """

    def __init__(self) -> None:
        super().__init__('predictor')
        self._table = Parameters(self)
        self._lock = threading.Lock()  # guards people and what the last message said
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
        self._inference: InferenceThread | None = None

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
        inference = InferenceThread()
        try:
            values = self._table.read()
            predictor = inference.call(_load, values)
            checkpoint = predictor.checkpoint
            layout, window = checkpoint.header.layout, checkpoint.header.window
            self._input, self._message_class = open_input(
                values, layout, _layouts(values['layout_folder']), self
            )
            self._output = MotionOutput(
                checkpoint, values['frame_stride'], values['publish_samples'], predictor.coverage
            )
        except Exception as error:  # ours, or whatever the device raises
            inference.stop()
            self.get_logger().error(f'cannot configure: {error}')
            return Return.FAILURE
        self._values = values
        self._inference, self._predictor = inference, predictor
        self._publisher = self.create_lifecycle_publisher(
            PredictedMotionArray, 'predicted_motion', QoSProfile(depth=1)
        )
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._table.locked = True
        self.get_logger().info(
            f'{checkpoint.model_id} on {predictor.device}: {values["samples"]} futures '
            f'of {window.future_frames / window.rate_hz:g} s for {layout.name}'
        )
        if np.isnan(predictor.coverage):
            self.get_logger().warning(
                'radius and coverage are NaN: the checkpoint is not calibrated for '
                f'{predictor.samples} samples'
            )
        return Return.SUCCESS

    def on_activate(self, state: LifecycleState) -> Return:
        """Start listening and predicting."""
        values = self._values
        window = self._predictor.checkpoint.header.window
        self._people = People(
            rate_hz=window.rate_hz,
            frames=window.history_frames,
            max_gap_s=values['max_gap_s'],
            forget_after_s=values['forget_after_s'],
            min_observed_fraction=values['min_observed_fraction'],
            max_people=values['max_people'],
        )
        self._health = Health()
        self._fault = ''
        self._problem_logged_s = -REPEAT_PROBLEM_S
        self._usable_s = self._published_s = time.monotonic()
        self._arrived_s: float | None = None
        self._age_ms = 0.0
        result = super().on_activate(state)
        self._input.clear()
        self._subscription = self.create_subscription(
            self._message_class,
            self._input.topic,
            self._on_message,
            qos_profile_sensor_data,
        )
        self._periodic = [
            self.create_timer(WATCHDOG_PERIOD_S, self._watch, clock=self._steady),
            self.create_timer(values['diagnostics_period_s'], self._report, clock=self._steady),
        ]
        if self._input.is_sampled:
            period_s = 1 / values['tf_rate_hz']
            self._periodic.append(self.create_timer(period_s, self._sample, clock=self._steady))
        return result

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

    def _stop(self) -> None:
        if self._people is None or self._inference is None:
            return
        for timer in self._periodic:
            self.destroy_timer(timer)
        self.destroy_subscription(self._subscription)
        with self._lock:
            self._people = None
        if not self._inference.drain(PATIENCE_S):
            self.hung = True
            self.get_logger().error(f'the prediction in hand did not end within {PATIENCE_S:g} s')

    def _free(self) -> None:
        if self._inference is None:
            return
        self._inference.stop()
        self._inference = None
        self.destroy_lifecycle_publisher(self._publisher)
        self.destroy_publisher(self._diagnostics)
        self._input.close()
        del self._predictor, self._input, self._output
        self._table.locked = False

    # Input

    def _on_message(self, message: Any) -> None:
        self._health.count('received')
        self._take(lambda now_ns: self._input.read(message, now_ns))

    def _sample(self) -> None:
        self._take(self._input.sample)

    def _take(self, read: Callable[[int], Scan | None]) -> None:
        arrived_s = time.monotonic()
        now_ns = self.get_clock().now().nanoseconds
        try:
            scan = read(now_ns)
            if scan is None:
                return
            age_ms = (now_ns - scan.stamp_ns) / 1e6
            if age_ms < -1000 * self._values['max_ahead_s']:
                raise InputError(
                    f'header.stamp lies {-age_ms / 1000:.3f} s in the future: are the clocks of '
                    'source and predictor in step?'
                )
        except InputError as error:
            self._refuse('message refused', str(error))
            return
        with self._lock:
            people = self._people
            if people is None:
                return
            unreadable = sum(scan.rejected.values())
            fresh = people.update(scan.stamp_ns, scan.observations, scan.frame_id, unreadable)
            rejected = scan.rejected + people.rejected
            people.rejected.clear()
            restarts, people.restarts = people.restarts, 0
            if fresh:
                self._usable_s = self._arrived_s = arrived_s
                self._age_ms = age_ms
        self._health.reject(rejected)
        if restarts:
            self._health.count('restarted')
        if fresh and self._inference is not None:
            self._inference.ask(self._predict_newest)

    def _refuse(self, reason: str, sentence: str) -> None:
        self._health.reject(Counter([reason]), sentence)
        now_s = time.monotonic()
        if now_s - self._problem_logged_s >= REPEAT_PROBLEM_S:
            self._problem_logged_s = now_s
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
        except Exception as error:  # the engine may raise anything, and the node must say so
            if rclpy.ok(context=self.context):
                self._fault = f'prediction failed: {error}'
                self._refuse('prediction failed', str(error))
                self._publish(self._scene_or_nobody(), None, Status.FAULT)

    def _predict_and_publish(self) -> None:
        started_s = time.monotonic()
        with self._lock:
            people, arrived_s, age_ms = self._people, self._arrived_s, self._age_ms
            scene = people.scene() if people is not None else None
        if scene is None or arrived_s is None:
            return
        windows = [p.window.positions for p in scene.people if p.window is not None]
        late_s = (self.get_clock().now().nanoseconds - scene.stamp_ns) / 1e9
        if late_s > self._values['max_age_s']:
            self._refuse(
                'observation too old',
                f'the newest observation is {late_s:.3f} s old: is its stamp the time of capture?',
            )
            self._publish(scene, None, Status.STALE_INPUT)
            return
        prediction = self._predictor.predict(np.stack(windows)) if windows else None
        predicted_s = time.monotonic()
        self._publish(scene, prediction, Status.OK)
        done_s = time.monotonic()
        health = self._health
        health.time('age at arrival', age_ms)
        health.time('wait', 1000 * (started_s - arrived_s))
        if windows:
            health.time('inference', 1000 * (predicted_s - started_s))
            health.time('publish', 1000 * (done_s - predicted_s))
            health.time('message to message', 1000 * (done_s - arrived_s))
            if 1000 * (done_s - arrived_s) > self._values['latency_budget_ms']:
                health.count('over budget')

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
            scene = self._people.scene() if self._people is not None else None
        if scene is None:
            return Scene(0, '', ())
        people = tuple(replace(person, window=None) for person in scene.people)
        return replace(scene, people=people)

    # Watchdog

    def _is_stale(self) -> bool:
        return time.monotonic() - self._usable_s > self._values['stale_after_s']

    def _watch(self) -> None:
        overdue = time.monotonic() - self._published_s > self._values['stale_after_s']
        if self._stuck() or (self._fault and overdue):
            self._publish(self._scene_or_nobody(), None, Status.FAULT)
        elif self._is_stale() or overdue:
            self._publish(self._scene_or_nobody(), None, Status.STALE_INPUT)

    def _stuck(self) -> str:
        """Return what to say of a prediction that takes too long, nothing if there is none."""
        busy_s = self._inference.busy_s() if self._inference is not None else 0.0
        return (
            f'the prediction in hand has taken {busy_s:.1f} s so far' if busy_s > STUCK_S else ''
        )

    def _report(self) -> None:
        facts = {
            'model': self._predictor.checkpoint.model_id,
            'device': str(self._predictor.device),
            'samples': str(self._predictor.samples),
        }
        report = self._health.report(
            self.get_fully_qualified_name(),
            self._predictor.checkpoint.model_id,
            self._values['diagnostics_period_s'],
            self._stuck() or self._fault,
            self._is_stale(),
            facts,
        )
        report.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(report)


def _load(values: dict[str, Any]) -> MotionPredictor:
    """Return the predictor that the parameters ask for, warmed up.

    To be called in the thread that will predict: the number of threads holds for the caller.
    """
    torch.set_num_threads(values['threads'])
    predictor = MotionPredictor.load(
        values['checkpoint'], values['device'], values['samples'], values['resample_noise']
    )
    header = predictor.checkpoint.header
    still = np.zeros((header.window.history_frames, len(header.layout.joints), 3))
    for _ in range(WARM_UP_CALLS):
        predictor.predict(still)
    return predictor


def _layouts(folder: str) -> dict[str, Layout]:
    """Return the layouts that messages may name: those that ship, and those in a folder."""
    return known_layouts() | (read_layouts(Path(folder)) if folder else {})


def main(args: list[str] | None = None) -> Any:
    """Run the node until it is interrupted or shut down."""
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
        node._stop()
        node.destroy_node()
        rclpy.try_shutdown()
        if node.hung:
            os._exit(1)  # Python would wait for the thread that never ends
    return 0
