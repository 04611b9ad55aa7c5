"""The `predictor` node: reads skeletons and publishes predicted motion."""

import gc
import os
import sys
import threading
from contextlib import ExitStack
from copy import copy
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.executors import MultiThreadedExecutor
from rclpy.lifecycle import LifecycleState
from rclpy.qos import qos_profile_sensor_data

from motion_predictor.budget import Budget
from motion_predictor.common.problems import one_line
from motion_predictor.making import Maker
from motion_predictor.msg import MotionQualityArray, PredictedMotionArray
from motion_predictor.predictor import MotionPredictor
from motion_predictor.ros.common.lifecycle import ManagedNode, Return, serve
from motion_predictor.ros.common.parameter_table import AFRESH, Parameters
from motion_predictor.ros.node.clock import NodeClock
from motion_predictor.ros.node.improvement import Improvement
from motion_predictor.ros.node.inference import InferenceThread
from motion_predictor.ros.node.log_file import CHECKED_S, keep_log_small
from motion_predictor.ros.node.logs import logged_by
from motion_predictor.ros.node.middleware import carry_large_messages, require_tested
from motion_predictor.ros.node.parameters import PARAMETERS
from motion_predictor.ros.node.pipeline import Pipeline
from motion_predictor.ros.node.qos import output_qos, overridable
from motion_predictor.ros.node.reader import open_input
from motion_predictor.ros.node.receiver import Intake
from motion_predictor.ros.node.scheduling import Precedence
from motion_predictor.ros.node.segments import remove_segments_of_the_dead
from motion_predictor.ros.node.setup import (
    CROWD,
    PREFERENCE,
    Setup,
    engine_options,
    load,
    log_setup,
    make_output,
    measure_costs,
    nobody,
)
from motion_predictor.ros.node.watchdog import Watchdog
from motion_predictor.self_check.check import SelfCheck
from motion_predictor.skeleton import known_layouts, read_layouts
from motion_predictor.tracking.people import People

WATCHDOG_PERIOD_S = 0.1
PATIENCE_S = 5.0
KEPT_MESSAGES = 60
"""Number of messages that can wait during a prediction: two seconds at 30 Hz."""
SWITCH_S = 0.0005
"""Time after which a Python thread gives way to a waiting one. Python's default of 5 ms would be a
quarter of the budget."""
CALLBACKS = 3
"""Threads of the executor: one each for a transition, a waiting callback and queries."""


class PredictorNode(ManagedNode):
    """Predicts the motion of all people whom a source sees, and publishes on `predicted_motion`.

    The inference thread takes the messages, predicts on the newest data and publishes. The node's
    executor runs all other callbacks, so that lifecycle managers get answers during a long
    transition. A watchdog thread publishes STALE_INPUT or FAULT when the inference thread cannot
    publish.
    """

    def __init__(self) -> None:
        super().__init__('predictor', ReentrantCallbackGroup())
        self._table = Parameters(self, PARAMETERS, self._objection, self._use)
        self._alone = self._table.alone
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(CHECKED_S, keep_log_small, clock=self._steady)
        self._time = NodeClock(self, self._on_jump)
        self.hung = False
        """Whether a prediction never ended, so that the process must be ended."""
        self._pipeline: Pipeline | None = None
        self._left: People | None = None
        """Tracker of the people at the last deactivation."""
        self._configured, self._active = ExitStack(), ExitStack()
        """Actions that undo the configuration and the activation, also after a failure."""

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> Return:
        """Load and warm up the predictor, and log which model it uses."""
        with self._alone:
            done = super().on_configure(state)
            if done == Return.SUCCESS:
                log_setup(self._setup, self.get_logger())
                gc.collect()
                gc.freeze()  # the loaded objects stay, so garbage collection can skip them
            return done

    def _set_up(self, values: dict[str, Any]) -> None:
        undo = self._configured
        undo.enter_context(logged_by(self.get_logger()))
        require_tested(values['untested_middleware'])
        self._inference = InferenceThread(values['threads'])
        undo.callback(self._inference.stop)
        predictor = self._inference.call(load, values)
        self._costs = self._inference.call(measure_costs, predictor, values)
        nobody(predictor, values)  # wrong values raise an error now, not at activation
        SelfCheck(predictor.times, values['self_correction'])
        layouts = known_layouts()
        if values['layout_folder']:
            layouts |= read_layouts(Path(values['layout_folder']))
        layout = predictor.checkpoint.header.layout
        source, self._message_class = open_input(values, layout, layouts, self)
        undo.callback(source.close)
        publisher = self.create_lifecycle_publisher(
            PredictedMotionArray,
            'predicted_motion',
            output_qos(values['stale_after_s']),
            qos_overriding_options=overridable(),
        )
        undo.callback(self.destroy_lifecycle_publisher, publisher)
        self._quality = self.create_publisher(MotionQualityArray, 'predicted_motion_quality', 1)
        undo.callback(self.destroy_publisher, self._quality)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        undo.callback(self.destroy_publisher, self._diagnostics)
        output, budget = make_output(predictor, values), self._budget(values)
        improvement = Improvement(
            predictor,
            lambda: Maker(engine_options(values), values['threads']),
            lambda: self._survey_again(predictor, values),
            self.get_logger(),
        )
        undo.callback(improvement.stop)
        self._longest_s = values['stale_after_s']
        self._setup = Setup(predictor, source, publisher, values, output, budget, improvement)
        self._table.in_use = True

    def _survey_again(self, predictor: MotionPredictor, values: dict[str, Any]) -> None:
        """Measure again how long predictions take, because the engine has changed."""
        costs = measure_costs(predictor, values)
        with self._alone:
            if self._table.in_use and self._setup.predictor is predictor:
                self._costs = costs
                self._setup.budget = self._budget(self._setup.values)

    def _listen(self) -> None:
        undo, setup = self._active, self._setup
        # A prediction that hung in an earlier activation may still use the old output.
        setup.output = make_output(setup.predictor, setup.values)
        qos = copy(qos_profile_sensor_data)
        qos.depth = KEPT_MESSAGES
        intake = Intake(self, self._message_class, setup.input.topic, qos)
        undo.callback(intake.close)
        people = nobody(setup.predictor, setup.values)
        if self._left is not None:
            people.succeed(self._left, self._time.now_ns())
        pipeline = Pipeline(self, self._time, setup, people, intake)
        self._pipeline = pipeline
        # `undo` works in reverse order: first the inference loop ends, then its watchdog.
        undo.callback(self._watch(pipeline).stop)
        self._inference.run(pipeline.loop)
        undo.callback(self._end, pipeline)
        self._start_reporting(pipeline)
        undo.callback(lambda: self.destroy_timer(self._reporting))
        if setup.input.is_sampled:
            period_s = 1 / setup.values['tf_rate_hz']
            sampling = self.create_timer(period_s, pipeline.sample, clock=self._steady)
            undo.callback(self.destroy_timer, sampling)

    def _watch(self, pipeline: Pipeline) -> Watchdog:
        """Start a watchdog for a pipeline, with a higher priority than the pipeline's thread."""
        priority = self._setup.values['realtime_priority']
        return Watchdog(
            WATCHDOG_PERIOD_S,
            lambda: self._look(pipeline),
            Precedence(min(priority + 1, 99) if priority else 0, warn=self.get_logger().debug),
        )

    def destroy_node(self) -> None:
        """Stop the node in any lifecycle state, and free all its objects."""
        self._stop()
        self._free()
        super().destroy_node()

    def _stop(self) -> None:
        with self._alone:
            if self._pipeline is not None:
                self._left = self._pipeline.observer.people
            self._pipeline = None
            self._active.close()

    def _end(self, pipeline: Pipeline) -> None:
        if not pipeline.loop.end(PATIENCE_S):
            self.hung = True
            self.get_logger().error(f'the running prediction did not end within {PATIENCE_S:g} s')

    def _free(self) -> None:
        with self._alone:
            self._configured.close()
            if self._table.in_use:
                self._table.in_use = False
                del self._inference, self._setup, self._diagnostics, self._quality
                gc.unfreeze()

    # While active

    def _start_reporting(self, pipeline: Pipeline) -> None:
        self._reporting = self.create_timer(
            self._setup.values['diagnostics_period_s'],
            lambda: self._report(pipeline),
            clock=self._steady,
        )

    def _report(self, pipeline: Pipeline) -> None:
        with self._alone:
            if pipeline is self._pipeline:  # false after a transition has ended `pipeline`
                self._diagnostics.publish(pipeline.report())
                self._quality.publish(pipeline.quality())

    def _look(self, pipeline: Pipeline) -> None:
        """Check for the watchdog whether the inference thread works and the input is recent."""
        try:
            if pipeline.loop.has_died():
                self._inference.run(pipeline.loop)
                pipeline.fell_over()
            else:
                pipeline.watch()
        except Exception as error:  # ROS may be shutting down
            if rclpy.ok(context=self.context):
                self.get_logger().error(f'the watchdog failed: {one_line(error)}')

    def _on_jump(self) -> None:
        if self._pipeline is not None:
            self._pipeline.observer.forget()

    # Parameters

    def _budget(self, values: dict[str, Any]) -> Budget:
        return Budget(values['latency_budget_ms'], values['samples'], self._costs)

    def _objection(self, values: dict[str, Any]) -> str:
        """Return why the configured node cannot take these values; empty if it can."""
        predictor = self._setup.predictor
        if values['samples'] > predictor.samples:
            return (
                f'the node was configured for {predictor.samples} samples at most, got '
                f'{values["samples"]}: {AFRESH}'
            )
        if values['stale_after_s'] > self._longest_s:
            return (
                f'subscribers were promised a message every {self._longest_s:g} s at '
                f'least, got stale_after_s {values["stale_after_s"]:g}: {AFRESH}'
            )
        try:
            SelfCheck(predictor.times, values['self_correction'])
            make_output(predictor, values)
            nobody(predictor, values)
        except ValueError as error:
            return str(error)
        return ''

    def _use(self, values: dict[str, Any]) -> None:
        """Apply changed values of parameters at once."""
        setup, pipeline = self._setup, self._pipeline
        changed = {name for name, value in values.items() if value != setup.values[name]}
        setup.values = values
        setup.output = make_output(setup.predictor, values)
        setup.input.min_confidence = values['min_confidence']
        setup.predictor.min_familiarity = values['min_familiarity']
        if changed & {'samples', 'latency_budget_ms'}:
            setup.budget = self._budget(values)
        if pipeline is None:
            return
        pipeline.check.correct(values['self_correction'])
        if changed & {*CROWD}:
            pipeline.observer.begin_afresh(nobody(setup.predictor, values))
        else:
            pipeline.observer.prefer(*(values[name] for name in PREFERENCE))
        if 'diagnostics_period_s' in changed:
            self.destroy_timer(self._reporting)
            self._start_reporting(pipeline)


def main(args: list[str] | None = None) -> Any:
    """Run the node until it is interrupted or shut down."""
    carry_large_messages()
    remove_segments_of_the_dead()
    sys.setswitchinterval(SWITCH_S)
    rclpy.init(args=args)
    node = PredictorNode()
    # `node.start` runs in a thread, so that the node answers service calls while it starts.
    start = threading.Thread(target=node.start, name='autostart', daemon=True).start
    serve(node, MultiThreadedExecutor(CALLBACKS), start)
    if node.hung:
        os._exit(1)  # a normal exit would wait for the hung inference thread
    return 0
