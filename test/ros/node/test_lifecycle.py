"""Lifecycle, parameters and clocks of the predictor, through its services."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ament_index_python.packages import get_package_share_directory

from motion_predictor.archive import MotionArchive
from motion_predictor.msg import PredictedMotionArray
from motion_predictor.ros.node.parameters import PARAMETERS


@pytest.fixture
def walker(bundled: MotionArchive) -> Any:
    return max((bundled.clip(i) for i in range(len(bundled))), key=len)


def parameters(**values: Any) -> list[str]:
    """Return the command line arguments that set parameters of a node."""
    return ['--ros-args', *(part for n, v in values.items() for part in ('-p', f'{n}:={v}'))]


def test_every_transition_any_number_of_times(planner: Any, start: Any, walker: Any) -> None:
    process = start('predictor', *parameters(autostart='false', samples=2))
    planner.wait_for_node()
    assert planner.state() == 'unconfigured'
    for turn in range(2):
        for transition, state in (
            ('configure', 'inactive'),
            ('activate', 'active'),
            ('deactivate', 'inactive'),
            ('activate', 'active'),
        ):
            assert planner.transition(transition)
            assert planner.state() == state
        planner.stream({f'turn {turn}': walker}, seconds=0.9)
        planner.wait_for(lambda turn=turn: planner.predictions(f'turn {turn}'), 'a prediction')
        assert planner.transition('deactivate')
        planner.spin(0.3)
        planner.received.clear()
        planner.stream({f'turn {turn}': walker}, seconds=0.5)
        assert not planner.received, 'an inactive node publishes nothing'
        assert planner.transition('cleanup')
        assert planner.state() == 'unconfigured'
    assert planner.transition('shutdown')
    assert planner.state() == 'finalized'
    assert process.stop() == 0
    assert 'Traceback' not in process.output


@pytest.mark.parametrize(
    ('policy', 'transition', 'state'),
    [
        ('/predicted_motion.publisher', 'configure', 'unconfigured'),
        ('/skeletons.subscription', 'activate', 'inactive'),
    ],
)
def test_a_bad_quality_of_service_is_a_sentence_and_the_node_stays(
    planner: Any, start: Any, policy: str, transition: str, state: str
) -> None:
    process = start(
        'predictor',
        *parameters(samples=2, **{f'qos_overrides.{policy}.reliability': 'relaible'}),
    )
    planner.wait_for_node()
    planner.wait_for(lambda: f'cannot {transition}: ' in process.output, 'it says so')
    assert planner.state() == state
    if state == 'inactive':
        assert planner.transition('cleanup')
    assert planner.transition('shutdown')


@pytest.mark.parametrize(
    ('name', 'bad', 'good', 'sentence'),
    [
        ('samples', 5000, 4, "parameter 'samples' must be an integer from 1 to 1000, got 5000"),
        ('max_gap_s', '"much"', 0.3, "parameter 'max_gap_s' must be a number"),
        ('checkpoint', '/nowhere.safetensors', 'default', 'there is no checkpoint'),
        ('device', 'abacus', 'cpu', "the device 'abacus' is not available"),
        ('frame_stride', 1000, 4, "'frame_stride' must be at most the 120"),
        ('frame_times', '[9.0]', [0.5, 1.0], "'frame_times' must lie within the 120"),
        ('layout_folder', '{folder}', '""', 'is not a valid layout'),
    ],
)
def test_a_bad_parameter_fails_configure_and_the_node_stays_usable(
    planner: Any, start: Any, tmp_path: Path, name: str, bad: Any, good: Any, sentence: str
) -> None:
    (tmp_path / 'wrong.yaml').write_text('name: wrong\njoints: {a: , b: nobody}\n')
    bad = str(bad).format(folder=tmp_path)
    process = start('predictor', *parameters(**{name: bad}))
    planner.wait_for(lambda: 'cannot configure' in process.output, 'an error')
    assert sentence in process.output
    assert 'Traceback' not in process.output
    planner.wait_for_node()
    assert planner.state() == 'unconfigured'
    assert not planner.transition('configure')
    assert planner.state() == 'unconfigured'
    assert planner.set_parameter(name, yaml.safe_load(str(good))).successful
    assert planner.transition('configure')
    assert planner.transition('activate')
    planner.wait_for(lambda: planner.received, 'it publishes')


def test_an_unknown_parameter_is_named(planner: Any, start: Any) -> None:
    process = start('predictor', *parameters(sample=10))
    planner.wait_for(lambda: planner.received, 'it runs all the same')
    assert "there is no parameter 'sample'" in process.output


def test_parameters_in_use_are_refused_with_a_reason(planner: Any, start: Any) -> None:
    start('predictor', *parameters(samples=2))
    planner.wait_for(lambda: planner.received, 'it runs')
    result = planner.set_parameter('checkpoint', 'accurate')
    assert not result.successful
    assert 'checkpoint is in use' in result.reason
    assert planner.transition('deactivate')
    assert planner.transition('cleanup')
    assert planner.set_parameter('checkpoint', 'accurate').successful
    assert not planner.set_parameter('samples', 0).successful


def test_every_parameter_is_described_and_equals_the_file(planner: Any, start: Any) -> None:
    share = Path(get_package_share_directory('motion_predictor'))
    content = yaml.safe_load((share / 'config' / 'predictor.yaml').read_text())
    in_file = content['/**']['ros__parameters']
    assert in_file == {parameter.name: parameter.default for parameter in PARAMETERS}
    assert {n: type(v) for n, v in in_file.items()} == {
        parameter.name: type(parameter.default) for parameter in PARAMETERS
    }
    start('predictor', '--ros-args', '--params-file', str(share / 'config' / 'predictor.yaml'))
    planner.wait_for(lambda: planner.received, 'it runs with the file')
    names = [parameter.name for parameter in PARAMETERS]
    for parameter, descriptor in zip(PARAMETERS, planner.describe_parameters(names), strict=True):
        assert descriptor.description == parameter.description
        ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
        assert bool(ranges) == (parameter.low is not None)
    samples = planner.get_parameters(['samples'])[0]
    assert samples.integer_value == 50


def test_output_can_be_strided_and_without_samples(planner: Any, start: Any, walker: Any) -> None:
    start('predictor', *parameters(samples=4, frame_stride=4, publish_samples='false'))
    planner.wait_for(lambda: planner.received, 'it runs')
    planner.stream({'someone': walker}, seconds=0.9)
    planner.wait_for(lambda: planner.predictions('someone'), 'a prediction')
    message = planner.received[-1]
    assert (message.num_samples, message.num_frames) == (0, 30)
    assert message.time_step == pytest.approx(4 / 60)
    np.testing.assert_allclose(message.times, np.arange(1, 31) * 4 / 60, atol=1e-6)
    prediction = planner.predictions('someone')[-1]
    assert not len(prediction.samples)
    assert (len(prediction.mean), len(prediction.radius)) == (30 * 22 * 3, 30 * 22)


def test_more_people_than_allowed_are_listed_as_degraded(
    planner: Any, start: Any, walker: Any
) -> None:
    start('predictor', *parameters(samples=2, max_people=2))
    planner.wait_for(lambda: planner.received, 'it runs')
    people = {str(i): walker + np.float32([0, 2 * i, 0]) for i in range(3)}
    planner.stream(people, seconds=0.9)
    planner.wait_for(lambda: planner.predictions('1'), 'predictions')
    message = next(m for m in reversed(planner.received) if m.motions)
    statuses = {p.id: (p.status, bool(len(p.mean))) for p in message.motions}
    too_many = PredictedMotionArray.TOO_MANY
    assert statuses == {'0': (0, True), '1': (0, True), '2': (too_many, False)}
    assert message.status == too_many


def test_simulated_time_that_jumps_back_restarts_everyone(
    planner: Any, start: Any, walker: Any
) -> None:
    """When a recording loops, no history joins its end to its beginning."""
    start('predictor', *parameters(samples=2, use_sim_time='true'))
    planner.wait_for(lambda: planner.received, 'it runs')

    def play(begin_s: float, seconds: float) -> None:
        for index in range(round(30 * seconds)):
            now_ns = round((begin_s + index / 30) * 1e9)
            planner.tell_time(now_ns)
            planner.spin(1 / 60)
            pose = walker[(2 * index) % len(walker)]
            planner.publish(planner.message({'looped': pose}, stamp_ns=now_ns))
            planner.spin(1 / 60)

    play(100, 1.2)
    planner.wait_for(lambda: planner.predictions('looped'), 'a prediction')
    planner.received.clear()
    play(50, 1.5)
    planner.wait_for(lambda: planner.predictions('looped'), 'a prediction after the jump')
    after = [m for m in planner.received if 0 < m.header.stamp.sec < 60 and m.motions]
    assert after[0].motions[0].status == PredictedMotionArray.WARMING_UP
    assert not any(
        m.header.stamp.sec < 60 and m.header.stamp.sec + m.header.stamp.nanosec / 1e9 < 50.45
        for m in planner.received
        if any(len(p.mean) for p in m.motions)
    )
