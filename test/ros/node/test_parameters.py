"""Parameters that are changed while the node runs: each is applied or refused at once."""

from inspect import signature
from typing import Any

import numpy as np
import pytest

from motion_predictor.archive import MotionArchive
from motion_predictor.msg import PredictedMotionArray
from motion_predictor.ros.node.parameters import PARAMETERS
from motion_predictor.ros.node.setup import CROWD, PREFERENCE
from motion_predictor.tracking.people import People

NEW: dict[str, Any] = {
    'samples': 2,
    'min_familiarity': 0.01,
    'self_correction': 'both',
    'publish_samples': False,
    'frame_times': [0.1, 0.5, 1.0],
    'frame_stride': 4,
    'robot_position': [1.0, 0.0, 0.0],
    'max_speed': 5.0,
    'reassociate_s': 0.2,
    'frozen_after_s': 2.0,
    'min_confidence': 0.1,
    'min_observed_fraction': 0.6,
    'max_people': 3,
    'max_gap_s': 0.4,
    'forget_after_s': 0.5,
    'stale_after_s': 0.2,
    'max_age_s': 0.6,
    'max_ahead_s': 0.2,
    'latency_budget_ms': 5000.0,
    'diagnostics_period_s': 0.2,
}
FOR_GOOD = ['autostart', 'checkpoint', 'device', 'backend', 'threads', 'input_type', 'fixed_frame']


@pytest.fixture
def walker(bundled: MotionArchive) -> Any:
    return max((bundled.clip(i) for i in range(len(bundled))), key=len)


@pytest.fixture
def cell(planner: Any, start: Any) -> Any:
    """A planner beside a predictor that draws four samples."""
    start('predictor', '--ros-args', '-p', 'samples:=4')
    planner.wait_for(lambda: planner.received, 'it runs')
    return planner


def newest(cell: Any) -> Any:
    """Return the newest message with a prediction."""
    return next(m for m in reversed(cell.received) if any(len(p.mean) for p in m.motions))


def test_changes_hold_at_once(cell: Any, walker: Any) -> None:
    assert {p.name for p in PARAMETERS if p.live} >= NEW.keys()
    place = cell.stream({'someone': walker}, seconds=0.9)
    cell.wait_for(lambda: cell.predictions('someone'), 'a prediction')
    assert newest(cell).num_samples == 4
    assert cell.set_parameter('samples', 2).successful
    cell.received.clear()
    place = cell.stream({'someone': walker}, seconds=0.4, start=place)
    assert (newest(cell).status, newest(cell).num_samples) == (PredictedMotionArray.OK, 2)
    cell.received.clear()
    assert cell.set_parameter('robot_position', [0.0, 1.0, 0.0]).successful
    place = cell.stream({'someone': walker}, seconds=0.3, start=place)
    assert PredictedMotionArray.WARMING_UP not in cell.statuses('someone'), 'nothing is forgotten'
    for name, value in NEW.items():
        assert cell.set_parameter(name, value).successful, name
    cell.received.clear()
    cell.diagnostics.clear()
    cell.stream({'someone': walker}, seconds=1.2, start=place)
    cell.wait_for(lambda: cell.predictions('someone'), 'a prediction')
    assert (newest(cell).num_samples, newest(cell).num_frames) == (0, 30)
    cell.wait_for(lambda: len(cell.diagnostics) >= 3, 'more frequent diagnostics')
    crowd = {str(i): walker + np.float32([0, 2 * i, 0]) for i in range(4)}
    cell.stream(crowd, seconds=0.9, start=place)
    cell.wait_for(lambda: cell.predictions('2'), 'three are predicted')
    assert not cell.predictions('3')


def test_what_cannot_be_changed_is_refused_in_one_sentence(cell: Any, walker: Any) -> None:
    values = {p.name: p.default for p in PARAMETERS}
    for name in FOR_GOOD:
        result = cell.set_parameter(name, values[name])
        assert not result.successful
        assert f'{name} is in use: clean up the node' in result.reason
    for name, value, reason in (
        ('samples', 5, 'configured for 4 samples at most, got 5'),
        ('frame_stride', 121, "'frame_stride' must be at most the 120"),
        ('frame_times', [0.0, 1.0], 'must hold positive seconds'),
        ('max_age_s', 1000.0, 'max_age_s'),
        ('robot_position', [1.0], 'robot_position'),
    ):
        result = cell.set_parameter(name, value)
        assert not result.successful
        assert reason in result.reason
        assert '\n' not in result.reason
    cell.stream({'someone': walker}, seconds=0.9)
    cell.wait_for(lambda: cell.predictions('someone'), 'all goes on')
    assert newest(cell).num_samples == 4


def test_people_are_followed_alike_without_a_node() -> None:
    usual = {name: p.default for name, p in signature(People).parameters.items()}
    defaults = {p.name: p.default for p in PARAMETERS}
    for name in CROWD + PREFERENCE:
        np.testing.assert_array_equal(defaults[name], usual[name], name)
