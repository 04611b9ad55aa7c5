"""Faults inside the node and around it: what a consumer sees, and how the node recovers."""

import ctypes
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import shipped_checkpoints
from motion_predictor.engines.choice import Engine
from motion_predictor.msg import PredictedMotionArray
from motion_predictor.ros.node.node import PredictorNode
from motion_predictor.ros.node.reader import Scan
from motion_predictor.tracking.scene import Observation

OK, STALE, FAULT = (
    PredictedMotionArray.OK,
    PredictedMotionArray.STALE_INPUT,
    PredictedMotionArray.FAULT,
)


@pytest.fixture
def walker(bundled: MotionArchive) -> Any:
    return max((bundled.clip(i) for i in range(len(bundled))), key=len)


@pytest.fixture
def node() -> Iterator[PredictorNode]:
    """A predictor in this process, so that a test can break its engine."""
    node = PredictorNode()
    node.set_parameters([Parameter('latency_budget_ms', value=10000.0)])
    node.start()
    yield node
    node.destroy_node()


@pytest.fixture
def cell(node: PredictorNode, planner: Any) -> Any:
    """A planner beside the predictor `node`. The executor of the planner spins both nodes."""
    planner._executor.add_node(node)
    planner.wait_for(lambda: planner.received, 'the predictor publishes')
    planner.received.clear()
    yield planner
    planner._executor.remove_node(node)


def without_numbers(engine: Engine, backend: str) -> Engine:
    """Return an engine whose numbers are not finite."""
    return replace(
        engine,
        backend=backend,
        run=lambda *inputs: tuple(np.nan * result for result in engine.run(*inputs)),
    )


def break_engine(node: PredictorNode, broken: Callable[..., Any]) -> Callable[[], None]:
    """Replace the engine of the node. Return a function that restores the engine."""
    predict = node._setup.predictor.predict
    node._setup.predictor.predict = broken  # type: ignore[method-assign]

    def mend() -> None:
        node._setup.predictor.predict = predict  # type: ignore[method-assign]

    return mend


def test_a_failing_engine_is_a_fault_and_recovers(
    cell: Any, node: PredictorNode, walker: Any
) -> None:
    def fail(history: Any, samples: int) -> None:
        raise RuntimeError('out of memory')

    mend = break_engine(node, fail)
    place = cell.stream_until({'someone': walker}, lambda: FAULT in cell.statuses(), 'a fault')
    assert not cell.predictions('someone')
    cell.wait_for(
        lambda: any('out of memory' in d.status[0].message for d in cell.diagnostics),
        'diagnostics say why',
    )
    mend()
    cell.stream_until(
        {'someone': walker},
        lambda: any(person.status == OK for person in cell.predictions('someone')),
        'a prediction',
        place,
    )


def test_numbers_that_are_not_finite_are_never_published(
    cell: Any, node: PredictorNode, walker: Any
) -> None:
    engine = node._setup.predictor.engine
    node._setup.predictor.engine = without_numbers(engine, 'eager')
    cell.stream({'someone': walker}, seconds=1.0)
    cell.wait_for(lambda: FAULT in cell.statuses(), 'a fault')
    assert not cell.predictions('someone')
    node._setup.predictor.engine = engine


def test_an_engine_that_fails_gives_way_to_eager(
    cell: Any, node: PredictorNode, walker: Any
) -> None:
    node._setup.predictor.engine = without_numbers(node._setup.predictor.engine, 'compiled')
    cell.stream({'someone': walker}, seconds=1.0)
    cell.wait_for(lambda: cell.predictions('someone'), 'a prediction')
    assert FAULT not in cell.statuses()

    def warnings() -> list[DiagnosticStatus]:
        said = [message.status[0] for message in cell.diagnostics]
        return [status for status in said if 'engines that failed: compiled' in status.message]

    cell.wait_for(warnings, 'diagnostics warn')
    assert warnings()[0].level in (DiagnosticStatus.WARN, DiagnosticStatus.STALE)


def test_an_engine_that_asks_to_exit_ends_nothing(
    cell: Any, node: PredictorNode, walker: Any
) -> None:
    def leave(history: Any, samples: int) -> None:
        raise SystemExit('enough')

    mend = break_engine(node, leave)
    place = cell.stream({'someone': walker}, seconds=1.0)
    cell.wait_for(lambda: FAULT in cell.statuses(), 'a fault')
    mend()
    cell.stream({'someone': walker}, seconds=0.8, start=place)
    cell.wait_for(lambda: cell.predictions('someone'), 'a prediction')


def test_an_inference_thread_that_falls_over_is_a_fault_and_goes_on(
    cell: Any, node: PredictorNode, walker: Any
) -> None:
    killed = [t for t in threading.enumerate() if t.name.startswith('inference')][-1]
    assert killed.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(killed.ident), ctypes.py_object(SystemExit)
    )
    place = cell.stream({'someone': walker}, seconds=1.0)
    cell.wait_for(lambda: FAULT in cell.statuses(), 'a fault')
    cell.stream({'someone': walker}, seconds=0.8, start=place)
    cell.wait_for(lambda: cell.predictions('someone'), 'a prediction')
    cell.diagnostics.clear()
    cell.wait_for(lambda: cell.diagnostics, 'diagnostics')
    values = {pair.key: pair.value for pair in cell.diagnostics[-1].status[0].values}
    assert values['restarts of the inference thread'] == '1'


def test_blocked_callbacks_hold_up_neither_predictions_nor_the_watchdog(
    cell: Any, node: PredictorNode, walker: Any
) -> None:
    place = cell.stream({'someone': walker}, seconds=0.8)
    for pose in walker[place : place + 3]:
        cell.publish(cell.message({'someone': pose}))
    cell.received.clear()
    blocked_s = time.time()
    time.sleep(1.0)  # blocks the thread that spins the node
    freed_s = time.time()
    cell.spin(0.5)
    published = {m.published.sec + 1e-9 * m.published.nanosec: m for m in cell.received}
    meanwhile = [m.status for s, m in published.items() if blocked_s < s < freed_s]
    assert {OK, STALE} == set(meanwhile)
    for published_s, message in published.items():
        age_s = published_s - message.header.stamp.sec - 1e-9 * message.header.stamp.nanosec
        assert message.status != OK or age_s <= 0.5


def test_what_comes_during_a_long_prediction_is_not_lost(
    cell: Any, node: PredictorNode, walker: Any
) -> None:
    place = cell.stream({'someone': walker}, seconds=0.8)
    predict = node._setup.predictor.predict

    def linger(history: Any, samples: int) -> Any:
        mend()
        time.sleep(0.6)
        return predict(history, samples)

    mend = break_engine(node, linger)
    place = cell.stream({'someone': walker}, seconds=0.8, start=place)
    cell.received.clear()
    cell.stream({'someone': walker}, seconds=0.3, start=place)
    assert cell.statuses('someone') == {OK}


def test_what_is_sampled_is_predicted_on_without_any_message(
    cell: Any, node: PredictorNode, walker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    poses = iter(walker)

    def sample(now_ns: int) -> Scan:
        return Scan(now_ns, 'map', [Observation('someone', next(poses))])

    monkeypatch.setattr(node._setup.input, 'sample', sample)
    assert node._pipeline is not None
    for _ in range(25):
        node._pipeline.sample()
        cell.spin(1 / 30)
    cell.wait_for(lambda: cell.predictions('someone'), 'a prediction')


def test_a_stuck_engine_is_stale_and_then_a_fault(
    cell: Any, node: PredictorNode, walker: Any
) -> None:
    predict = node._setup.predictor.predict
    assert node._pipeline is not None
    precedence = node._pipeline._precedence
    usual, stuck = str(precedence), []

    def stick(history: Any, samples: int) -> Any:
        time.sleep(2.0)
        stuck.append(str(precedence))
        return predict(history, samples)

    mend = break_engine(node, stick)
    place = cell.stream({'someone': walker}, seconds=2.0)
    assert {STALE, FAULT} <= cell.statuses()
    late = [m for m in cell.received if any(len(p.mean) for p in m.motions)]
    assert not late, 'what took two seconds is too old to be published as fresh'
    mend()
    cell.wait_for(lambda: stuck, 'the end of it')
    assert set(stuck) == {'ordinary'}, 'it may be computing for ever'
    for _ in range(20):  # the thread takes its priority back after a pause
        place = cell.stream({'someone': walker}, seconds=0.3, start=place)
        if str(precedence) == usual:
            break
    assert str(precedence) == usual


def test_a_prediction_that_hangs_is_a_fault_after_another_activation_too(
    cell: Any, node: PredictorNode, walker: Any
) -> None:
    freed = threading.Event()
    predict = node._setup.predictor.predict

    def hang(history: Any, samples: int) -> Any:
        freed.wait()
        return predict(history, samples)

    mend = break_engine(node, hang)
    place = cell.stream({'someone': walker}, seconds=0.8)
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert node.hung
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    cell.received.clear()
    cell.wait_for(lambda: FAULT in cell.statuses(), 'a fault')
    assert not cell.predictions('someone')
    mend()
    freed.set()
    cell.stream({'someone': walker}, seconds=0.8, start=place)
    cell.wait_for(lambda: cell.predictions('someone'), 'a prediction')


def test_reading_that_hangs_is_a_fault_and_the_node_can_be_deactivated(
    cell: Any, node: PredictorNode, walker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = threading.Event()
    place = cell.stream({'someone': walker}, seconds=0.8)
    with monkeypatch.context() as patch:
        patch.setattr(node._setup.input, 'read', lambda message, now_ns: freed.wait() and None)
        cell.stream({'someone': walker}, seconds=0.2, start=place)
        cell.wait_for(lambda: FAULT in cell.statuses(), 'a fault')
        assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert node.hung
    freed.set()
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    cell.stream({'someone': walker}, seconds=0.8, start=place)
    cell.received.clear()
    cell.stream({'someone': walker}, seconds=0.3, start=place + 48)
    assert cell.statuses('someone') == {OK}


def test_whoever_cannot_be_read_does_not_count_as_nobody(cell: Any, walker: Any) -> None:
    """During sustained bad input the status is never OK, for known and for unknown people."""
    place = cell.stream({'known': walker}, seconds=0.8)
    cell.spin(0.2)  # wait for the answer to the last good message
    for nameless in (True, False):
        cell.received.clear()
        for _ in range(45):
            message = cell.message({'known': walker[place]})
            if nameless:
                message.skeletons[0].id = ''
            else:
                message.skeletons[0].positions = [float('nan')] * 66
            cell.publish(message)
            cell.spin(1 / 30)
        assert cell.received
        assert cell.statuses() == {STALE}


def test_a_person_of_whom_too_little_is_left_is_stale_within_a_moment(
    cell: Any, walker: Any
) -> None:
    place = cell.stream({'someone': walker}, seconds=0.8)
    cell.wait_for(lambda: cell.predictions('someone'), 'a prediction')
    rootless = walker.copy()
    rootless[:, :12] = np.nan
    cell.received.clear()
    cell.stream({'someone': rootless}, seconds=0.6, start=place)
    assert STALE in cell.statuses('someone')
    stale = [m for m in cell.received if m.motions[0].status == STALE]
    assert all(not len(m.motions[0].mean) for m in stale)
    assert cell.received[-1].status == STALE


def test_fewer_samples_in_time_are_no_degradation(
    cell: Any, node: PredictorNode, walker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node._setup.budget, 'choose', lambda people: 8)
    cell.stream_until({'someone': walker}, lambda: cell.predictions('someone'), 'a prediction')
    message = next(m for m in cell.received if any(len(p.mean) for p in m.motions))
    assert (message.status, message.drawn_samples, message.wanted_samples) == (OK, 8, 50)
    assert (np.array(message.motions[0].radius) > 0).all()


def test_a_prediction_without_its_radius_is_degraded(
    cell: Any, node: PredictorNode, walker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node._setup.budget, 'choose', lambda people: 1)
    cell.stream_until({'someone': walker}, lambda: cell.predictions('someone'), 'a prediction')
    message = next(m for m in cell.received if any(len(p.mean) for p in m.motions))
    assert message.status == PredictedMotionArray.DEGRADED
    assert np.isnan(message.motions[0].radius).all()


def test_a_transition_that_is_not_allowed_leaves_the_node_alive(planner: Any, start: Any) -> None:
    process = start('predictor', '--ros-args', '-p', 'samples:=2')
    planner.wait_for(lambda: planner.received, 'it runs')
    assert not planner.transition('configure')
    assert not planner.transition('activate')
    assert planner.state() == 'active'
    assert process.popen.poll() is None


@pytest.mark.parametrize('ending', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_node_cleanly(planner: Any, start: Any, ending: int) -> None:
    process = start('predictor', '--ros-args', '-p', 'samples:=2')
    planner.wait_for(lambda: planner.received, 'it runs')
    process.popen.send_signal(ending)
    process.popen.wait(timeout=20)
    assert 'Traceback' not in process.output


def test_skeletons_in_another_frame_than_the_fixed_one_are_refused(
    planner: Any, start: Any, walker: Any
) -> None:
    process = start('predictor', '--ros-args', '-p', 'samples:=2', '-p', 'fixed_frame:=cell')
    planner.wait_for(lambda: planner.received, 'it runs')
    planner.stream({'someone': walker}, seconds=0.8)
    assert planner.statuses() == {STALE}
    planner.wait_for(
        lambda: "come in frame 'map', but fixed_frame is 'cell'" in process.output, 'it says so'
    )


def test_a_checkpoint_that_is_replaced_or_deleted_while_in_use_has_no_effect(
    planner: Any, start: Any, walker: Any, tmp_path: Path
) -> None:
    path = tmp_path / 'mine.safetensors'
    shutil.copy(shipped_checkpoints()['default'], path)
    start('predictor', '--ros-args', '-p', 'samples:=2', '-p', f'checkpoint:={path}')
    planner.wait_for(lambda: planner.received, 'it runs')
    place = planner.stream({'someone': walker}, seconds=0.8)
    for meddle in (lambda: path.write_bytes(b'nothing'), path.unlink):
        meddle()
        planner.received.clear()
        place = planner.stream({'someone': walker}, seconds=0.8, start=place)
        planner.wait_for(lambda: planner.predictions('someone'), 'predictions go on')
        assert planner.statuses() == {OK}
