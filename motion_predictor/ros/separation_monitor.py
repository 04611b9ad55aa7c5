"""The `separation_monitor` node: predictions and the robot's state in, `speed_scale` out.

Not safety-rated. It says 0 on everything that is not known to be good.
"""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import ParameterDescriptor
from rclpy._rclpy_pybind11 import RCLError
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64

from motion_predictor.planning.flesh import FleshError, Limbs
from motion_predictor.planning.latest import Limits, Reason
from motion_predictor.planning.outlook import HorizonError
from motion_predictor.planning.robot import RobotError, RobotModel
from motion_predictor.planning.separation import Governor, Robot, distances
from motion_predictor.rigid import Rigid
from motion_predictor.ros.subscription import Predictions
from motion_predictor.validation import one_line

Return = TransitionCallbackReturn
DEFAULTS: dict[str, tuple[Any, str]] = {
    'autostart': (True, 'Configure and activate the node as soon as it starts.'),
    'rate_hz': (30.0, 'How often the scale is computed and published.'),
    'capsules_file': ('', "YAML of the robot's capsules, as config/demo_arm/capsules.yaml."),
    'urdf_file': ('', 'URDF of the robot; empty where all capsules are on the base.'),
    'base_pose': (
        [0.0] * 7,
        "How the robot's base lies in the frame of the predictions (x, y, z, qx, qy, qz, qw); all "
        'zero asks tf.',
    ),
    'limbs_file': ('', 'YAML of limbs, as config/flesh; empty takes those of the layout.'),
    'by_samples': (True, 'Every sample counts; otherwise the mean, inflated by the radius.'),
    'robot_speed': (1.0, 'Metres per second of the fastest point of the robot at full speed.'),
    'reaction_s': (0.1, 'From what is published here to the first braking.'),
    'stop_s': (0.3, 'Time that the robot takes to stop from full speed.'),
    'stop_m': (0.15, 'Distance that it goes meanwhile.'),
    'reach_in_m': (0.0, 'Intrusion distance C.'),
    'uncertainty_m': (0.05, 'Uncertainty of both places, Z_d + Z_r.'),
    'rise_per_s': (0.5, 'How fast the scale may rise; it falls at once.'),
    'hysteresis': (0.1, 'How much more than now must be allowed before it rises.'),
    'hold_s': (0.3, 'And for how long.'),
    'silent_after_s': (0.2, 'Silence of predictions or of joint states after which it is 0.'),
    'max_age_s': (0.2, 'Age of the newest observation after which it is 0.'),
}
REPORT_S = 1.0


class Blocked(Exception):  # noqa: N818 - no error: the reason why the robot stands
    """The robot has to stand still, and why."""


class SeparationMonitor(LifecycleNode):
    """Publishes the share of full speed at which the robot can still stop in time."""

    def __init__(self) -> None:
        super().__init__('separation_monitor')
        for name, (default, description) in DEFAULTS.items():
            descriptor = ParameterDescriptor(description=description)
            self.declare_parameter(name, default, descriptor)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer: Any = None

    def start(self) -> None:
        """Configure and activate if the parameters ask for it."""
        if self.get_parameter('autostart').value and self.trigger_configure() == Return.SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> Return:
        """Read the robot and make what listens and publishes."""
        values = {name: self.get_parameter(name).value for name in DEFAULTS}
        try:
            self._set_up(values)
        except (ValueError, OSError) as error:
            self.get_logger().error(f'cannot configure: {one_line(error)}')
            return Return.FAILURE
        return Return.SUCCESS

    def _set_up(self, values: dict[str, Any]) -> None:
        if not values['capsules_file']:
            raise RobotError("parameter 'capsules_file' says where the robot's capsules are")
        urdf = Path(values['urdf_file']).read_text() if values['urdf_file'] else ''
        self._model = RobotModel(Path(values['capsules_file']), urdf)
        pose = values['base_pose']
        self._known = Rigid.of_pose(pose).inverse if any(pose) else None
        names = ('reaction_s', 'stop_s', 'stop_m', 'reach_in_m', 'uncertainty_m')
        self._robot = Robot(values['robot_speed'], **{name: values[name] for name in names})
        if not all(values[n] >= 0 for n in (*names, 'robot_speed')) or not values['rate_hz'] > 0:
            raise RobotError('speeds, times and distances are not negative, and rate_hz is more')
        self._values = values
        self._span_s = self._robot.reaction_s + self._robot.stop_s
        self._scale = self.create_publisher(Float64, 'speed_scale', 1)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)

    def on_activate(self, state: LifecycleState) -> Return:
        """Start listening and publishing; the robot stands until all is known to be good."""
        values = self._values
        self._governor = Governor(values['rise_per_s'], values['hysteresis'], values['hold_s'])
        self._counts: Counter[str] = Counter()
        self._reason = self._reported = ''
        self._reported_s = 0.0
        self._facts: dict[str, str] = {}
        self._joints: dict[str, float] = {}
        self._joints_s = float('-inf')
        limits = Limits(values['silent_after_s'], values['max_age_s'], reach_s=self._span_s)
        self._predictions = Predictions(self, limits)
        self._states = self.create_subscription(
            JointState, 'joint_states', self._on_joints, qos_profile_sensor_data
        )
        self._timer = self.create_timer(1 / values['rate_hz'], self._tick, clock=self._steady)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> Return:
        """Say 0 for the last time and stop."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> Return:
        """Let go of the publishers."""
        self.destroy_publisher(self._scale)
        self.destroy_publisher(self._diagnostics)
        return Return.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> Return:
        """End from any state."""
        self._stop()
        return Return.SUCCESS

    def on_error(self, state: LifecycleState) -> Return:
        """Stand still; the node can be configured again."""
        self._stop()
        return Return.SUCCESS

    def _stop(self) -> None:
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
            self._predictions.close()
            self.destroy_subscription(self._states)
            self._scale.publish(Float64(data=0.0))

    def _on_joints(self, message: JointState) -> None:
        self._joints |= dict(zip(message.name, message.position, strict=False))
        if set(message.name) & set(self._model.joint_names):
            self._joints_s = time.monotonic()

    def _tick(self) -> None:
        now_s = time.monotonic()
        try:
            allowed, self._reason = self._allowed(now_s), ''
        except Blocked as reason:
            allowed, self._reason = 0.0, str(reason)
        except Exception as error:  # whatever it is, it is not known to be good
            allowed, self._reason = 0.0, f'it fell over: {one_line(error)}'
        scale = self._governor.update(allowed, now_s)
        self._scale.publish(Float64(data=scale))
        if self._reason:
            self._counts[self._reason.split(':')[0]] += 1
        self._facts |= {'allowed': f'{allowed:.2f}', 'speed scale': f'{scale:.2f}'}
        if self._reason != self._reported or now_s - self._reported_s > REPORT_S:
            self._report(now_s)

    def _allowed(self, now_s: float) -> float:
        """Return the share of full speed that people allow.

        Raises:
            Blocked: if that is not known.
        """
        model, values = self._model, self._values
        if model.joint_names and now_s - self._joints_s > values['silent_after_s']:
            raise Blocked('the robot is silent: no joint states come')
        try:
            capsules = model.at(self._joints)
        except RobotError as error:
            raise Blocked(f'the robot is not known: {error}') from error
        latest = self._predictions.latest_in(model.base, known=self._known)
        if not latest:
            raise Blocked(f'{latest.reason.name.lower().replace("_", " ")}: {latest.reason.value}')
        outlook = latest.outlook
        self._facts = {'people': str(len(outlook.people)), 'age (s)': f'{outlook.age_s:.3f}'}
        if latest.is_nobody:
            return 1.0
        try:
            limbs = None
            if values['limbs_file']:
                limbs = Limbs.read(Path(values['limbs_file']), outlook.joint_names)
            times, apart = distances(outlook, capsules, self._span_s, limbs, values['by_samples'])
        except (FleshError, HorizonError) as error:
            raise Blocked(f'people cannot be measured: {error}') from error
        self._facts |= {'least distance (m)': f'{apart.min():.3f}'}
        return self._robot.allowed(times, apart)

    def _report(self, now_s: float) -> None:
        self._reported, self._reported_s = self._reason, now_s
        status = DiagnosticStatus(name=f'{self.get_fully_qualified_name()}: separation')
        status.level = DiagnosticStatus.ERROR if self._reason else DiagnosticStatus.OK
        status.message = self._reason or 'watching'
        if self._reason.startswith((Reason.SILENT.name.lower(), Reason.STALE.name.lower())):
            status.level = DiagnosticStatus.STALE
        values = self._facts | {f'stopped: {why}': str(n) for why, n in self._counts.items()}
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted or shut down."""
    rclpy.init(args=args)
    node = SeparationMonitor()
    try:
        node.start()
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RCLError:
        if rclpy.ok():  # otherwise it was interrupted while it published
            raise
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
