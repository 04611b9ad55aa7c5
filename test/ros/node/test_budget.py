"""The latency budget over DDS: on a slow machine the node draws fewer samples and says so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diagnostic_msgs.msg import DiagnosticStatus

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import SwiftDiffSpec, load_checkpoint
from motion_predictor.msg import PredictedMotionArray
from motion_predictor.uncertainty.calibration import Calibration

DEGRADED, OK = PredictedMotionArray.DEGRADED, PredictedMotionArray.OK
LADDER = (50, 32, 16, 8)


@pytest.fixture(scope='module')
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that is far too slow for the budget, calibrated for all numbers of samples."""
    checkpoint = load_checkpoint('default')
    spec = SwiftDiffSpec(layers=4, width=512)
    header = checkpoint.header
    calibration = Calibration(
        kind='floored',
        coverages=(0.95,),
        samples=LADDER,
        frames=(1,),
        speeds=(),
        body_speeds=(),
        paces=(),
        people=1,
        windows=19,
    )
    changes = {'network': spec, 'calibration': calibration, 'familiarity': None}
    checkpoint.header = header.model_copy(update=changes)
    network = spec.build(header.features, header.window.coefficients)
    kept = {n: t for n, t in checkpoint.tensors.items() if n.startswith('parametrisation.')}
    weights = {f'network.{n}': t for n, t in network.state_dict().items()}
    sets = {name: torch.ones(shape) for name, shape in calibration.shapes().items()}
    checkpoint.tensors = kept | weights | sets
    path = tmp_path_factory.mktemp('heavy') / 'heavy.safetensors'
    checkpoint.save(path)
    return path


def values_of(cell: Any) -> dict[str, str]:
    """Return the values of the latest diagnostics by key."""
    cell.diagnostics.clear()
    cell.wait_for(lambda: cell.diagnostics, 'diagnostics')
    return {pair.key: pair.value for pair in cell.diagnostics[-1].status[0].values}


def test_too_little_time_means_fewer_samples_declared_and_counted(
    planner: Any, start: Any, heavy: Path, bundled: MotionArchive
) -> None:
    walker = max((bundled.clip(i) for i in range(len(bundled))), key=len)
    values = (f'checkpoint:={heavy}', 'backend:=eager', 'latency_budget_ms:=1.0')
    process = start('predictor', '--ros-args', *(part for v in values for part in ('-p', v)))
    planner.wait_for(lambda: planner.received, 'it runs')
    place = planner.stream({'someone': walker}, seconds=1.5)
    planner.wait_for(lambda: planner.predictions('someone'), 'a prediction')
    message = next(m for m in reversed(planner.received) if any(len(p.mean) for p in m.motions))
    assert (message.status, message.motions[0].status) == (DEGRADED, DEGRADED)
    assert message.num_samples == 8
    assert (message.drawn_samples, message.wanted_samples) == (8, 50)
    assert len(message.motions[0].samples) == 8 * 20 * 22 * 3
    assert (np.array(message.motions[0].radius) > 0).all()
    assert message.coverage == pytest.approx(0.95)
    values = values_of(planner)
    assert (values['samples'], values['samples configured']) == ('8', '50')
    assert int(values['predictions over budget']) > 0
    assert planner.diagnostics[-1].status[0].level in (
        DiagnosticStatus.WARN,
        DiagnosticStatus.STALE,
    )
    planner.wait_for(lambda: '8 of 50 samples for 1 person' in process.output, 'the log')

    # With a larger budget the node draws all samples again at once.
    assert planner.set_parameter('latency_budget_ms', 10000.0).successful
    planner.received.clear()
    planner.stream({'someone': walker}, seconds=1.0, start=place)
    planner.wait_for(lambda: planner.predictions('someone'), 'a prediction')
    message = next(m for m in reversed(planner.received) if any(len(p.mean) for p in m.motions))
    assert (message.status, message.num_samples) == (OK, 50)
