"""The `separation_monitor` node: publishes `speed_scale` from predictions and the robot's pose.

The node is not safety-rated. The node publishes 0 as soon as any input is missing, too old or
wrong.
"""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Float64

from motion_predictor.common.problems import one_line
from motion_predictor.common.rigid import Rigid
from motion_predictor.planning.flesh import FleshError, Limbs
from motion_predictor.planning.latest import Latest, Limits, Reason
from motion_predictor.planning.outlook import HorizonError, Outlook
from motion_predictor.planning.robot import Mounted, RobotError, RobotModel
from motion_predictor.planning.separation import Governor, Robot, distances
from motion_predictor.ros.common.lifecycle import ManagedNode, serve
from motion_predictor.ros.common.parameter_table import Parameters
from motion_predictor.ros.common.transforms import Tf
from motion_predictor.ros.consumers.monitor_parameters import PARAMETERS
from motion_predictor.ros.consumers.robot_state import FromJoints, FromTf, RobotState
from motion_predictor.ros.consumers.subscription import Predictions

REPORT_S = 1.0
# ROS time counts as jumped if it moved this much more or less than the monotonic clock since the
# last check, seconds.
JUMP_S = 0.5


class Blocked(Exception):  # noqa: N818 - not an error, but the reason why the robot must stop
    """Raised if the robot must stand still. The text of the error says why."""


class SeparationMonitor(ManagedNode):
    """Publishes the share of full speed at which the robot can still stop in time."""

    def __init__(self) -> None:
        super().__init__('separation_monitor')
        self._table = Parameters(self, PARAMETERS)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer: Any = None

    def _set_up(self, values: dict[str, Any]) -> None:
        if not values['capsules_file']:
            raise RobotError(
                "set the parameter 'capsules_file' to the file of the robot's capsules"
            )
        self._mounted = Mounted(Path(values['capsules_file']))
        self._model: RobotModel | None = None
        if values['urdf_file'] or set(self._mounted.frames) == {self._mounted.base}:
            urdf = Path(values['urdf_file']).read_text() if values['urdf_file'] else ''
            self._model = RobotModel(Path(values['capsules_file']), urdf)
        else:
            Tf(self)  # Tf raises an error now if tf2_ros is not installed
        pose = values['base_pose']
        self._known = Rigid.of_pose(pose).inverse if any(pose) else None
        names = ('reaction_s', 'stop_s', 'stop_m', 'reach_in_m', 'uncertainty_m')
        self._robot = Robot(values['robot_speed'], **{name: values[name] for name in names})
        self._values = values
        self._span_s = self._robot.reaction_s + self._robot.stop_s
        self._scale = self.create_publisher(Float64, 'speed_scale', 1)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._table.in_use = True

    def _listen(self) -> None:
        # No earlier input is kept, so the robot stands still until all inputs have arrived.
        values = self._values
        self._governor = Governor(values['rise_per_s'], values['hysteresis'], values['hold_s'])
        self._counts: Counter[str] = Counter()
        self._reason = self._reported = ''
        self._reported_s = 0.0
        self._frame = ''
        self._looked: tuple[float, float] | None = None
        self._limbs: tuple[tuple[str, ...], Limbs] | None = None
        silent_after_s = values['silent_after_s']
        self._predictions = Predictions(
            self,
            Limits(
                silent_after_s,
                values['max_age_s'],
                reach_s=self._span_s,
                reachable_ok=True,
                unpredicted_m_per_s=values['unpredicted_speed'],
                max_transform_age_s=silent_after_s,
            ),
        )
        self._state: RobotState
        if self._model is None:
            self._state = FromTf(self._mounted, self._predictions.transform)
        else:
            self._state = FromJoints(self, self._model, silent_after_s)
        self._timer = self.create_timer(1 / values['rate_hz'], self._tick, clock=self._steady)

    def _stop(self) -> None:
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
            self._predictions.close()
            self._state.close()
            self._scale.publish(Float64(data=0.0))

    def _free(self) -> None:
        if self._table.in_use:
            self._table.in_use = False
            self.destroy_publisher(self._scale)
            self.destroy_publisher(self._diagnostics)

    def _tick(self) -> None:
        now_s = time.monotonic()
        self._facts: dict[str, str] = {}
        try:
            allowed, self._reason = self._allowed(), ''
        except Blocked as reason:
            allowed, self._reason = 0.0, str(reason)
        except Exception as error:  # after any error the robot must stop
            allowed, self._reason = 0.0, f'computing the scale failed: {one_line(error)}'
        scale = self._governor.update(allowed, now_s)
        self._scale.publish(Float64(data=scale))
        if self._reason:
            self._counts[self._reason.split(':')[0]] += 1
        self._facts |= {'allowed': f'{allowed:.2f}', 'speed scale': f'{scale:.2f}'}
        if self._reason != self._reported or now_s - self._reported_s > REPORT_S:
            self._report(now_s)

    def _allowed(self) -> float:
        """Return the share of full speed at which the robot can stop before it reaches people.

        Raises:
            Blocked: if the allowed share of full speed cannot be computed.
        """
        jumped_s = self._jumped_s()
        if abs(jumped_s) > JUMP_S:  # all known positions are from before the jump
            raise Blocked(f'clock: ROS time jumped by {jumped_s:.1f} s')
        try:
            capsules = self._state.capsules()
        except RobotError as error:
            raise Blocked(str(error)) from error
        latest = self._people()
        if not latest:
            raise Blocked(f'{latest.reason.name.lower().replace("_", " ")}: {latest.reason.value}')
        outlook = latest.outlook
        self._facts = {'people': str(len(outlook.people)), 'age (s)': f'{outlook.age_s:.3f}'}
        if outlook.unpredicted:
            self._facts['not predicted'] = ', '.join(person.id for person in outlook.unpredicted)
        if unfamiliar := [person.id for person in outlook.people if person.unfamiliar]:
            self._facts['unfamiliar'] = ', '.join(unfamiliar)
        if latest.is_nobody:
            return 1.0
        try:
            by_samples = self._values['by_samples']
            limbs = self._limbs_of(outlook)
            times, apart = distances(outlook, capsules, self._span_s, limbs, by_samples)
        except (FleshError, HorizonError) as error:
            raise Blocked(f'the distance to people is unknown: {error}') from error
        self._facts |= {'least distance (m)': f'{apart.min():.3f}'}
        return self._robot.allowed(times, apart)

    def _jumped_s(self) -> float:
        """Return how far ROS time jumped against the monotonic clock since the last check."""
        now = self.get_clock().now().nanoseconds * 1e-9, time.monotonic()
        before, self._looked = self._looked or now, now
        return (now[0] - before[0]) - (now[1] - before[1])

    def _people(self) -> Latest:
        """Return the predictions in the robot's base frame, or the reason why there are none.

        Raises:
            Blocked: if `base_pose` is given, but the frame of the predictions has changed.
        """
        if self._known is None:
            return self._predictions.latest_in(self._state.base)
        latest = self._predictions.latest()
        if latest:
            frame = latest.outlook.frame_id
            self._frame = self._frame or frame
            if frame != self._frame:
                raise Blocked(
                    f"no transform: base_pose is given in '{self._frame}', the first frame "
                    f"of the predictions, but they now come in '{frame}'"
                )
        return latest.moved(self._known, self._state.base)

    def _limbs_of(self, outlook: Outlook) -> Limbs:
        """Return the limbs of people.

        The file of limbs is read again only if the list of joints changes.
        """
        path, names = self._values['limbs_file'], outlook.joint_names
        if not path:
            return Limbs.for_outlook(outlook)
        if self._limbs is None or self._limbs[0] != names:
            self._limbs = names, Limbs.read(Path(path), names)
        return self._limbs[1]

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
    """Run the separation monitor until it is interrupted or shut down."""
    rclpy.init(args=args)
    node = SeparationMonitor()
    serve(node, SingleThreadedExecutor(), node.start)
    return 0
