"""The `predictor` node: skeletons in, predicted motion out. It wires; it does no maths."""

import gc
import math
import os
import sys
import threading
from contextlib import ExitStack
from copy import copy
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy._rclpy_pybind11 import RCLError
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data

from motion_predictor.budget import Budget, rungs, survey
from motion_predictor.common.problems import one_line
from motion_predictor.making import Maker
from motion_predictor.msg import MotionQualityArray, PredictedMotionArray
from motion_predictor.predictor import MotionPredictor
from motion_predictor.ros.common.parameter_table import AFRESH, Parameters
from motion_predictor.ros.node.clock import NodeClock
from motion_predictor.ros.node.improvement import Improvement
from motion_predictor.ros.node.inference import InferenceThread
from motion_predictor.ros.node.logs import logged_by
from motion_predictor.ros.node.middleware import carry_large_messages, require_tested
from motion_predictor.ros.node.outputs import MotionOutput
from motion_predictor.ros.node.parameters import PARAMETERS
from motion_predictor.ros.node.pipeline import Pipeline, Setup
from motion_predictor.ros.node.qos import output_qos, overridable
from motion_predictor.ros.node.reader import open_input
from motion_predictor.ros.node.receiver import Intake
from motion_predictor.ros.node.scheduling import Precedence
from motion_predictor.ros.node.watchdog import Watchdog
from motion_predictor.self_check.check import SelfCheck
from motion_predictor.skeleton import known_layouts, read_layouts
from motion_predictor.tracking.people import People

WATCHDOG_PERIOD_S = 0.1
PATIENCE_S = 5.0
KEPT_MESSAGES = 60
"""So many wait while a prediction is made: of two seconds at 30 Hz."""
SWITCH_S = 0.0005
"""After this a thread of Python gives way to one that waits. It is 5 ms as it comes: a quarter of
the budget."""
SURVEY_S = 0.3
"""Time for finding what predictions on the CPU cost: of few people, and in proportion of more."""
CALLBACKS = 3
"""Threads of the executor: a transition, what waits for it to end, and who asks for the state."""
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


class PredictorNode(LifecycleNodeMixin, Node):
    """Predicts the motion of everyone a source shows and publishes it on `predicted_motion`.

    The inference thread takes the messages, predicts on the newest data and publishes. The node's
    executor serves the rest, so that managers are answered while a transition takes its time; a
    watchdog on the steady clock publishes STALE_INPUT or FAULT when the thread cannot.
    """

    def __init__(self) -> None:
        Node.__init__(self, 'predictor')
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self._alone = threading.RLock()
        """Held by whatever changes what the node is, or uses what a transition may take away."""
        self._table = Parameters(self, PARAMETERS, self._objection, self._use, self._alone)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._time = NodeClock(self, self._on_jump)
        self.hung = False
        """Whether a prediction never ended; then only ending the process helps."""
        self._pipeline: Pipeline | None = None
        self._left: People | None = None
        """Who was there when the node was last deactivated."""
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
        with self._alone:
            return self._configure()

    def _configure(self) -> Return:
        for name in self._table.unknown():
            self.get_logger().warning(f"there is no parameter '{name}'; it has no effect")
        try:
            self._set_up(self._table.read())
        except Exception as error:  # ours, or whatever the device or the middleware raises
            self._free()
            self.get_logger().error(f'cannot configure: {one_line(error)}')
            return Return.FAILURE
        predictor, budget = self._setup.predictor, self._setup.budget
        checkpoint, engine = predictor.checkpoint, predictor.engine
        window = checkpoint.header.window
        self.get_logger().info(
            f'{checkpoint.model_id} on {predictor.device}, {engine.backend} in '
            f'{engine.precision}: {budget.ladder[0]} futures of '
            f'{window.future_frames / window.rate_hz:g} s for {checkpoint.header.layout.name}'
        )
        calibration = checkpoint.header.calibration
        uncalibrated = [n for n in budget.ladder if not calibration or calibration.rung(n) is None]
        if uncalibrated:
            why = 'the checkpoint is not calibrated for them'
            if checkpoint.is_outdated:
                why = 'its calibration is of an older kind, `train calibrate` makes a new one'
            self.get_logger().warning(
                'radius and coverage will be NaN with '
                f'{", ".join(map(str, uncalibrated))} samples: {why}'
            )
        gc.collect()
        gc.freeze()  # what was loaded stays, and need not be searched again and again
        return Return.SUCCESS

    def _set_up(self, values: dict[str, Any]) -> None:
        """Make what the parameters ask for, or raise if it cannot be made."""
        undo = self._configured
        undo.enter_context(logged_by(self.get_logger()))
        require_tested(values['untested_middleware'])
        self._inference = InferenceThread(values['threads'])
        undo.callback(self._inference.stop)
        predictor = self._inference.call(_load, values)
        self._costs = self._inference.call(_survey, predictor, values)
        _nobody(predictor, values)  # refuses now what it would refuse later
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
        output, budget = _output(predictor, values), self._budget(values)
        improvement = Improvement(
            predictor,
            lambda: Maker(_engine_options(values), values['threads']),
            lambda: self._survey_again(predictor, values),
            self.get_logger(),
        )
        undo.callback(improvement.stop)
        self._longest_s = values['stale_after_s']
        self._setup = Setup(predictor, source, publisher, values, output, budget, improvement)
        self._table.in_use = True

    def _survey_again(self, predictor: MotionPredictor, values: dict[str, Any]) -> None:
        """Find what predictions cost with another engine."""
        costs = _survey(predictor, values)
        with self._alone:
            if self._table.in_use and self._setup.predictor is predictor:
                self._costs = costs
                self._setup.budget = self._budget(self._setup.values)

    def on_activate(self, state: LifecycleState) -> Return:
        """Start listening and predicting."""
        with self._alone:
            try:
                self._listen()
            except Exception as error:  # whatever the middleware raises
                self._stop()
                self.get_logger().error(f'cannot activate: {one_line(error)}')
                return Return.FAILURE
            return super().on_activate(state)

    def _listen(self) -> None:
        """Subscribe, and start what works on what comes in and what looks after that."""
        undo, setup = self._active, self._setup
        # Of its own: what hung in an earlier activation may still read the message that it fills.
        setup.output = _output(setup.predictor, setup.values)
        qos = copy(qos_profile_sensor_data)
        qos.depth = KEPT_MESSAGES
        intake = Intake(self, self._message_class, setup.input.topic, qos)
        undo.callback(intake.close)
        people = _nobody(setup.predictor, setup.values)
        if self._left is not None:
            people.succeed(self._left, self._time.now_ns())
        pipeline = Pipeline(self, self._time, setup, people, intake)
        self._pipeline = pipeline
        undo.callback(self._watch(pipeline).stop)  # when all else has ended
        self._inference.run(pipeline.loop)
        undo.callback(self._end, pipeline)
        self._start_reporting(pipeline)
        undo.callback(lambda: self.destroy_timer(self._reporting))
        if setup.input.is_sampled:
            period_s = 1 / setup.values['tf_rate_hz']
            sampling = self.create_timer(period_s, pipeline.sample, clock=self._steady)
            undo.callback(self.destroy_timer, sampling)

    def _watch(self, pipeline: Pipeline) -> Watchdog:
        """Look after a pipeline, before all that it does."""
        priority = self._setup.values['realtime_priority']
        return Watchdog(
            WATCHDOG_PERIOD_S,
            lambda: self._look(pipeline),
            Precedence(min(priority + 1, 99) if priority else 0, warn=self.get_logger().debug),
        )

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
        with self._alone:
            if self._pipeline is not None:
                self._left = self._pipeline.people
            self._pipeline = None
            self._active.close()

    def _end(self, pipeline: Pipeline) -> None:
        if not pipeline.loop.end(PATIENCE_S):
            self.hung = True
            self.get_logger().error(f'the prediction in hand did not end within {PATIENCE_S:g} s')

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
            if pipeline is self._pipeline:  # a transition may just have ended it
                self._diagnostics.publish(pipeline.report())
                self._quality.publish(pipeline.quality())

    def _look(self, pipeline: Pipeline) -> None:
        """Do what the watchdog is there for."""
        try:
            if pipeline.loop.has_died():
                self._inference.run(pipeline.loop)
                pipeline.fell_over()
            else:
                pipeline.watch()
        except Exception as error:  # as when everything is being shut down
            if rclpy.ok(context=self.context):
                self.get_logger().error(f'the watchdog tripped: {one_line(error)}')

    def _on_jump(self) -> None:
        if self._pipeline is not None:
            self._pipeline.forget()

    # Parameters

    def _budget(self, values: dict[str, Any]) -> Budget:
        return Budget(values['latency_budget_ms'], values['samples'], self._costs)

    def _objection(self, values: dict[str, Any]) -> str:
        """Return why these values cannot be used as the node is configured, or nothing."""
        predictor = self._setup.predictor
        if values['samples'] > predictor.samples:
            return (
                f'{values["samples"]} samples are more than the {predictor.samples} that the node '
                f'was configured for: {AFRESH}'
            )
        if values['stale_after_s'] > self._longest_s:
            return (
                f'stale_after_s of {values["stale_after_s"]:g} is longer than the '
                f'{self._longest_s:g} after which subscribers were promised a message: {AFRESH}'
            )
        try:
            SelfCheck(predictor.times, values['self_correction'])
            _output(predictor, values)
            _nobody(predictor, values)
        except ValueError as error:
            return str(error)
        return ''

    def _use(self, values: dict[str, Any]) -> None:
        """Take changed values at once."""
        setup, pipeline = self._setup, self._pipeline
        changed = {name for name, value in values.items() if value != setup.values[name]}
        setup.values = values
        setup.output = _output(setup.predictor, values)
        setup.input.min_confidence = values['min_confidence']
        setup.predictor.min_familiarity = values['min_familiarity']
        if changed & {'samples', 'latency_budget_ms'}:
            setup.budget = self._budget(values)
        if pipeline is None:
            return
        pipeline.check.correct(values['self_correction'])
        if changed & {*CROWD}:
            pipeline.begin_afresh(_nobody(setup.predictor, values))
        else:
            pipeline.prefer(*(values[name] for name in PREFERENCE))
        if 'diagnostics_period_s' in changed:
            self.destroy_timer(self._reporting)
            self._start_reporting(pipeline)


def _load(values: dict[str, Any]) -> MotionPredictor:
    """Return the predictor that the parameters ask for."""
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


def _engine_options(values: dict[str, Any]) -> dict[str, Any]:
    """Return what the engine that the parameters ask for depends on."""
    names = {'checkpoint': 'name_or_path'} | {n: n for n in ('device', 'samples', 'backend')}
    return {keyword: values[name] for name, keyword in names.items()}


def _output(predictor: MotionPredictor, values: dict[str, Any]) -> MotionOutput:
    """Return what makes messages of the predictor's results."""
    return MotionOutput(
        predictor.checkpoint,
        values['frame_stride'],
        values['frame_times'],
        values['publish_samples'],
        predictor.coverage,
        values['samples'],
        values['max_speed'],
    )


def _nobody(predictor: MotionPredictor, values: dict[str, Any]) -> People:
    """Return people none of whom has been seen."""
    header = predictor.checkpoint.header
    return People(
        layout=header.layout,
        rate_hz=header.window.rate_hz,
        frames=header.window.history_frames,
        **{name: values[name] for name in CROWD + PREFERENCE},
    )


def _survey(predictor: MotionPredictor, values: dict[str, Any]) -> dict[tuple[int, int], float]:
    """Warm the predictor up and return what its predictions cost.

    On a GPU for everybody who may come: what is captured there for so many people must not be
    captured while somebody waits for a prediction.
    """

    def rehearse(people: int, samples: int) -> None:
        # Scheduled as when it counts: on a busy machine it takes many times as long otherwise.
        with Precedence(values['realtime_priority'], warn=lambda refused: None):
            predictor.rehearse(people, samples)

    return survey(
        warm_up=lambda people, samples: predictor.warm_up([people], [samples]),
        run=rehearse,
        people=values['max_people'],
        ladder=rungs(values['samples']),
        limit_s=SURVEY_S if predictor.device.type == 'cpu' else math.inf,
    )


def main(args: list[str] | None = None) -> Any:
    """Run the node until it is interrupted or shut down."""
    carry_large_messages()
    sys.setswitchinterval(SWITCH_S)
    rclpy.init(args=args)
    node = PredictorNode()
    executor = MultiThreadedExecutor(CALLBACKS)
    executor.add_node(node)
    # Aside, so that services answer meanwhile.
    threading.Thread(target=node.start, name='autostart', daemon=True).start()
    try:
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
