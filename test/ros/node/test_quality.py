"""The node as a process judges its predictions, reports the result, and corrects radii."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import load_checkpoint
from motion_predictor.msg import MotionQualityArray

HORIZONS_S = [0.1, 0.2, 0.5, 1.0, 2.0]
JUDGED = slice(0, 3)
PATIENCE_S = 60.0


@pytest.fixture
def walker(bundled: MotionArchive) -> Any:
    return max((bundled.clip(i) for i in range(len(bundled))), key=len)


def too_sure(folder: Path, divisor: float) -> Path:
    """Save the default checkpoint with all radii divided by a number."""
    checkpoint = load_checkpoint('default')
    for name in ('calibration.scale', 'calibration.pace_floor'):
        checkpoint.tensors[name] = checkpoint.tensors[name] / divisor
    path = folder / 'too_sure.safetensors'
    checkpoint.save(path)
    return path


def test_a_node_that_is_too_sure_finds_out_and_widens_its_radii(
    planner: Any, start: Any, walker: Any, tmp_path: Path
) -> None:
    said: list[MotionQualityArray] = []
    planner.create_subscription(MotionQualityArray, 'predicted_motion_quality', said.append, 10)
    options = [f'checkpoint:={too_sure(tmp_path, 5)}', 'samples:=8', 'backend:=eager']
    start('predictor', '--ros-args', *(part for option in options for part in ('-p', option)))
    planner.wait_for(lambda: planner.received, 'it runs')
    place = planner.stream({'someone': walker}, seconds=1.0)
    planner.wait_for(lambda: planner.predictions('someone'), 'a prediction')

    def judged() -> bool:
        people = said[-1].people if said else []
        return bool(people) and (np.array(people[0].evidence)[JUDGED] > 1.5).all()

    until = time.monotonic() + PATIENCE_S  # a busy machine judges fewer predictions
    while not judged() and time.monotonic() < until:
        place = planner.stream({'someone': walker}, seconds=1.0, start=place)
    assert judged(), said[-1:]
    message = said[-1]
    (quality,) = message.people
    assert (quality.id, message.coverage) == ('someone', np.float32(0.95))
    assert message.model.startswith('default')
    np.testing.assert_allclose(message.horizons, HORIZONS_S)
    assert (np.array(quality.radius_factor)[JUDGED] > 1.3).all()
    assert (np.array(quality.mean_error)[JUDGED] > 0).all()
    assert (np.array(quality.zero_velocity_error)[JUDGED] > 0).all()
    shown = {pair.key: pair.value for pair in planner.diagnostics[-1].status[0].values}
    assert 'someone: held after 0.1 / 0.2 / 0.5 / 1 / 2 s (%)' in shown
    assert shown['someone: error of zero velocity (cm)'].count('/') == 4
    assert 'predictions with unfamiliar people' in shown
