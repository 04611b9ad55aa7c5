"""The predictor under a lifecycle manager that works like Nav2's."""

import signal
from pathlib import Path
from typing import Any

import pytest
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.duration import Duration
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import LivelinessPolicy, QoSProfile

from motion_predictor.checkpoint import Checkpoint
from motion_predictor.msg import PredictedMotionArray
from motion_predictor.ros.common.spelling import is_yes
from motion_predictor.ros.node.middleware import MiddlewareError, require_tested
from motion_predictor.ros.node.qos import LEASE_S

SLOWLY_S = 240.0
"""Time for the compiler on a busy machine."""
UP = (
    (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
    (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
)
DOWN = (
    (Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE),
    (Transition.TRANSITION_CLEANUP, State.PRIMARY_STATE_UNCONFIGURED),
)
SHUT_DOWN = ((Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, State.PRIMARY_STATE_FINALIZED),)


class Manager:
    """Requests transitions, and checks the state after each."""

    def __init__(self, planner: Any) -> None:
        self._planner = planner

    def change(self, steps: tuple[tuple[int, int], ...]) -> None:
        for transition, state in steps:
            request = ChangeState.Request(transition=Transition(id=transition))
            done = self._planner.call(ChangeState, '/predictor/change_state', request)
            assert done.success
            assert self.state() == state

    def state(self) -> int:
        request = GetState.Request()
        response = self._planner.call(GetState, '/predictor/get_state', request)
        return int(response.current_state.id)


def test_a_manager_brings_it_up_pauses_resets_and_shuts_down(planner: Any, start: Any) -> None:
    process = start('predictor', '--ros-args', '-p', 'autostart:=false', '-p', 'samples:=2')
    manager = Manager(planner)
    manager.change(UP)
    planner.wait_for(lambda: planner.received, 'it publishes')
    manager.change(DOWN[:1])  # pause
    manager.change(UP[1:])  # resume
    manager.change(DOWN)  # reset
    manager.change(UP)
    manager.change(DOWN + SHUT_DOWN)
    assert process.stop() == 0
    assert 'Traceback' not in process.output


def test_it_answers_while_it_configures(planner: Any, start: Any) -> None:
    start('predictor', '--ros-args', '-p', 'autostart:=false', '-p', 'samples:=2')
    client = planner.create_client(ChangeState, '/predictor/change_state')
    planner.wait_for(client.service_is_ready, 'the service is there')
    manager, seen = Manager(planner), []
    assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    done = client.call_async(request)
    while not done.done():
        seen.append(manager.state())
    assert done.result().success
    assert State.TRANSITION_STATE_CONFIGURING in seen
    assert manager.state() == State.PRIMARY_STATE_INACTIVE


def test_the_first_start_predicts_at_once_and_takes_the_engine_over(
    planner: Any, start: Any, tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))  # an empty cache of engines
    checkpoint = tmp_path / 'tiny.safetensors'
    tiny.save(checkpoint)
    process = start(
        'predictor', '--ros-args', '-p', 'samples:=2', '-p', f'checkpoint:={checkpoint}'
    )

    def told(key: str, value: str) -> bool:
        return any(
            pair.key == key and pair.value.startswith(value)
            for d in planner.diagnostics
            for status in d.status
            for pair in status.values
        )

    planner.wait_for(lambda: planner.received, 'it publishes')
    planner.wait_for(lambda: told('engine', 'eager'), 'eager predicts')
    planner.wait_for(lambda: told('engine in the making', 'compiled'), 'another is made')
    planner.wait_for(lambda: told('engine', 'compiled'), 'it is taken over', SLOWLY_S)
    planner.wait_for(lambda: told('engine in the making', 'none'), 'all is made')
    assert 'for this machine in the background' in process.output
    assert 'compiled in ' in process.output and 'predicts from now on' in process.output


def test_silence_and_death_are_told_by_the_middleware(planner: Any, start: Any) -> None:
    late: list[Any] = []
    living: list[int] = []
    second = Duration(seconds=1)
    planner.create_subscription(
        PredictedMotionArray,
        'predicted_motion',
        lambda message: None,
        QoSProfile(
            depth=1,
            deadline=second,
            liveliness=LivelinessPolicy.AUTOMATIC,
            liveliness_lease_duration=Duration(seconds=LEASE_S),
        ),
        event_callbacks=SubscriptionEventCallbacks(
            deadline=late.append, liveliness=lambda event: living.append(event.alive_count)
        ),
    )
    process = start('predictor', '--ros-args', '-p', 'samples:=2')
    planner.wait_for(lambda: planner.received and 1 in living, 'it publishes and lives')
    process.popen.send_signal(signal.SIGSTOP)
    planner.wait_for(lambda: late, 'silence is told')
    process.popen.send_signal(signal.SIGCONT)
    planner.received.clear()
    planner.wait_for(lambda: planner.received, 'it goes on')
    living.clear()
    process.popen.kill()
    planner.wait_for(lambda: 0 in living, 'its death is told')


def test_a_longer_silence_than_promised_is_refused(planner: Any, start: Any) -> None:
    start('predictor', '--ros-args', '-p', 'samples:=2')
    planner.wait_for(lambda: planner.received, 'it runs')
    assert planner.set_parameter('stale_after_s', 0.2).successful
    result = planner.set_parameter('stale_after_s', 2.0)
    assert not result.successful
    assert 'every 0.3 s at least, got stale_after_s 2' in result.reason


def test_other_middlewares_are_refused_by_name() -> None:
    require_tested(False, 'rmw_fastrtps_cpp')
    require_tested(True, 'rmw_zenoh_cpp')
    for name in ('rmw_cyclonedds_cpp', 'rmw_zenoh_cpp'):
        with pytest.raises(MiddlewareError, match=name):
            require_tested(False, name)


@pytest.mark.parametrize('text', ['true', 'True', 'YES', 'on', ' 1 '])
def test_yes_in_any_spelling(text: str) -> None:
    assert is_yes(text)


def test_no_in_any_spelling_and_nothing_else() -> None:
    assert not any(is_yes(text) for text in ('false', 'False', 'no', 'OFF', '0'))
    with pytest.raises(ValueError, match="'maybe' is neither true nor false"):
        is_yes('maybe')
