"""Replay and demo, run as processes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.qos import qos_profile_sensor_data

from motion_predictor.archive import MotionArchive
from motion_predictor.msg import SkeletonArray


@pytest.fixture
def skeletons(planner: Any) -> list[SkeletonArray]:
    received: list[SkeletonArray] = []
    planner.create_subscription(
        SkeletonArray, 'skeletons', received.append, qos_profile_sensor_data
    )
    return received


def test_replay_plays_the_archive(
    planner: Any, start: Any, skeletons: list[SkeletonArray], bundled: MotionArchive
) -> None:
    start('replay', '--clip', '0', '--rate', '60', '--loop', '--frame', 'cell')
    planner.wait_for(lambda: len(skeletons) >= 60, 'skeletons')
    clip = bundled.clip(0)
    for message in skeletons[:60]:
        assert message.header.frame_id == 'cell'
        assert message.layout == 'smpl22'
        pose = np.array(message.skeletons[0].positions).reshape(22, 3)
        assert np.abs(clip - pose).max(axis=(1, 2)).min() < 1e-4
    stamps = [m.header.stamp.sec + m.header.stamp.nanosec / 1e9 for m in skeletons]
    assert np.median(np.diff(stamps)) == pytest.approx(1 / 60, rel=0.2)


def test_people_stand_side_by_side_and_drop_out(
    planner: Any, start: Any, skeletons: list[SkeletonArray]
) -> None:
    start('replay', '--people', '3', '--drop-joints', '0.3', '--drop-frames', '0.3',
          '--noise-m', '0.01', '--loop')  # fmt: skip
    planner.wait_for(lambda: len(skeletons) >= 40, 'skeletons')
    present = [len(m.skeletons) for m in skeletons]
    assert set(present) <= {0, 1, 2, 3}
    assert 1.2 < np.mean(present) < 2.9
    missing = [np.isnan(s.positions).mean() for m in skeletons for s in m.skeletons]
    assert 0.2 < np.mean(missing) < 0.4


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['/nowhere.npz'], 'there is no motion archive /nowhere.npz'),
        (['--clip', 'moonwalk'], "none of them named or numbered 'moonwalk'"),
        (['--rate', '0'], '--rate'),
        (['--drop-joints', '2'], '--drop-joints'),
    ],
)
def test_what_cannot_be_played_is_said_in_one_sentence(
    start: Any, arguments: list[str], sentence: str
) -> None:
    process = start('replay', *arguments)
    assert process.popen.wait(timeout=60) == 2
    assert sentence in process.output
    assert 'Traceback' not in process.output


def test_the_demo_scores_predictions_against_what_then_happened(
    start: Any, tmp_path: Path
) -> None:
    process = start('demo', '--clip', '0', '--rate', '15', '--out', str(tmp_path))
    assert process.popen.wait(timeout=240) == 0, process.output
    assert 'nearest sample' in process.output
    assert process.output.splitlines()[-1] == f'written: {tmp_path / "report.json"}'
    result = json.loads((tmp_path / 'report.json').read_text())
    assert result['people'] == 1
    assert result['scored predictions'] > 50
    assert result['rate_hz'] == pytest.approx(15, rel=0.2)
    for timing in ('age_ms', 'latency_ms'):
        assert 0 < result[timing]['p50'] <= result[timing]['p99'] <= result[timing]['max']
    for ahead in ('0.1 s', '0.5 s', '2 s'):
        nearest, still = result[f'nearest sample at {ahead}'], result[f'standing still at {ahead}']
        assert 0 < nearest < still
        assert 0 < result[f'in balls at {ahead}'] <= 1
    assert (tmp_path / 'prediction.gif').read_bytes().startswith(b'GIF8')


def test_the_demo_refuses_a_broken_archive(start: Any, tmp_path: Path) -> None:
    broken = tmp_path / 'broken.npz'
    broken.write_bytes(b'PK not really')
    process = start('demo', str(broken), '--out', str(tmp_path))
    assert process.popen.wait(timeout=60) == 2
    assert 'is not a readable .npz' in process.output
