"""The shield: distances, the stops of the arm, and a small simulated cell."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_train
from numpy.typing import NDArray

from motion_predictor.checkpoint import Checkpoint, Window
from motion_predictor.planning.capsules import segment_to_segment
from motion_predictor.planning.flesh import Limbs
from motion_predictor.skeleton import known_layouts
from motion_predictor_training.config import CalibrationConfig
from motion_predictor_training.shield.arm import Arm, Stop
from motion_predictor_training.shield.forecasts import Foreseen
from motion_predictor_training.shield.measure import measure_shield
from motion_predictor_training.shield.simulate import Cell, Recorded, simulate
from motion_predictor_training.shield.touching import Near

FloatArray = NDArray[np.float32]
LAYOUT = known_layouts()['smpl22']
CONFIG = CalibrationConfig(steps=5, folds=2, stride=4)


def test_touches_are_those_of_every_limb_and_capsule() -> None:
    random = np.random.default_rng(0)
    limbs = Limbs(('a', 'b', 'c'), np.array([[0, 1], [1, 2], [3, 3]]), np.array([0.05, 0.1, 0.2]))
    joints = random.normal(size=(300, 5, 4, 3))
    stop = Stop(*random.normal(size=(2, 5, 3)), random.uniform(0.02, 0.1, 5), np.arange(5))
    radius = random.uniform(0, 0.4, (300, 5, 4))
    expected = np.zeros(300, bool)
    for c, (a, b) in enumerate(limbs.ends):
        for q in range(5):
            axes = (np.broadcast_to(end[q], (300, 3)) for end in (stop.starts, stop.ends))
            apart = segment_to_segment(joints[:, q, a], joints[:, q, b], *axes)
            ball = np.maximum(radius[:, q, a], radius[:, q, b])
            expected |= apart <= limbs.radii[c] + ball + stop.radii[q]
    near = Near(joints, stop, limbs)
    assert 0.2 < expected.mean() < 0.95
    np.testing.assert_array_equal(near.touched(radius), expected)
    half = np.arange(300) % 2 == 0
    np.testing.assert_array_equal(near.touched(radius, half), expected & half)
    assert near.touched().sum() < expected.sum()


def test_an_arm_is_as_fast_as_it_may_and_brakes_to_a_stop() -> None:
    arm = Arm(np.random.default_rng(1), moves=4, speed_m_s=1.0)
    _, ends = arm.at(np.arange(0, arm.duration_s, 0.002))
    speed = np.linalg.norm(np.diff(ends, axis=0), axis=-1).max(1) / 0.002
    assert speed.max() == pytest.approx(1.0, rel=0.05)
    moment_s = float(speed.argmax()) * 0.002
    for share in (1.0, 0.5):
        stop = arm.stop(moment_s, share, 0.1, 0.3, 0.0, 100.0)
        times = np.unique(stop.frames)
        assert times[0] == 0
        assert times[-1] in (10 + 30 * share - 1, 10 + 30 * share)  # the arm stands afterwards
        tip = stop.ends[stop.radii == stop.radii.min()]
        way = np.linalg.norm(np.diff(tip, axis=0), axis=-1)
        assert way[:9].max() == pytest.approx(0.01 * share, rel=0.1)
        assert (np.diff(way[11:]) <= 1e-3).all() and way[-1] < 0.1 * way[0]
    slow = arm.stop(moment_s, 1.0, 0.1, 0.3, 0.5, 100.0)
    assert 0 < len(slow.radii) < len(stop.radii) * 2
    assert slow.frames.max() < 40  # frames in which the arm is slower than 0.5 m/s are left out
    assert not len(arm.stop(moment_s, 0.4, 0.1, 0.3, 0.5, 100.0).radii)


@pytest.fixture
def people(tmp_path: Path, stride: FloatArray) -> Callable[..., Path]:
    """Writes an archive of people who walk to and fro at given speeds."""

    def write(name: str, speeds_m_s: dict[str, float]) -> Path:
        time_s = np.arange(240) / 20
        clips = []
        for speed in speeds_m_s.values():
            swing = np.abs((time_s * speed / 2) % 2 - 1) * 2  # metres, to and fro on a path of 2 m
            clips.append(stride + swing[:, None, None] * np.array([1.0, 0.0, 0.0]))
        path = tmp_path / name
        np.savez(
            path,
            positions=np.concatenate(clips).astype(np.float32),
            scale=1.0,
            clip_offsets=np.arange(len(clips) + 1) * len(time_s),
            fps=20,
            joint_names=np.array(LAYOUT.joint_names),
            parents=np.array(LAYOUT.parents),
            subject=np.array(list(speeds_m_s)),
        )
        return path

    return write


@pytest.fixture
def calibrated(make_checkpoint: Callable[..., Checkpoint], tmp_path: Path) -> Path:
    """A tiny checkpoint with random weights, calibrated for two coverages."""
    window = Window(rate_hz=20, history_frames=5, future_frames=12, coefficients=6)
    checkpoint = make_checkpoint(calibrated=True, coverages=(0.9, 0.95), window=window)
    path = tmp_path / 'predictor.safetensors'
    checkpoint.save(path)
    return path


def test_who_asks_for_more_coverage_loses_time_and_misses_less(
    people: Callable[..., Path], calibrated: Path
) -> None:
    beside = people('beside.npz', {'walks': 1.4, 'strolls': 0.8})
    others = people('others.npz', {'a': 0.5, 'b': 1.0, 'c': 1.2})
    options: dict[str, Any] = {'scenes': 120, 'stride': 12, 'samples': 4}
    result = measure_shield(calibrated, beside, [others], CONFIG, **options)
    by_name = {(sets['name'], sets['coverage']): sets for sets in result['sets']}
    assert len(by_name) == 1 + 4 * 2 * 2
    for sets in by_name.values():
        assert sets['full_speed'] + sets['slowed'] + sets['stopped'] == pytest.approx(1)
        cycles = sets['cycles']
        assert cycles['missed'] == sum(of['missed'] for of in sets['by_person'].values())
        assert (cycles['share'] or 0) < cycles['at_most'] <= 1
        assert cycles['verified'] == pytest.approx((1 - sets['stopped']) * result['scenes'])
    iso = by_name['ISO 13855', None]
    assert not iso['cycles']['missed']  # nobody is faster than in the standard
    assert iso['cycles']['at_most'] == pytest.approx(1 - 0.05 ** (1 / iso['cycles']['verified']))
    assert iso['stopped'] > 0
    for kind in ('zero velocity', 'constant velocity', 'ours'):
        for of in ('joints', 'whole body'):
            few, more = (by_name[f'{kind}, {of}', coverage] for coverage in (0.9, 0.95))
            assert few['lost_time'] <= more['lost_time']
            assert few['cycles']['missed'] >= more['cycles']['missed']
    for coverage in (0.9, 0.95):  # a correction never makes a ball smaller
        corrected = by_name['ours corrected, joints', coverage]
        assert corrected['lost_time'] >= by_name['ours, joints', coverage]['lost_time']


def test_what_was_wrongly_verified_is_a_miss(stride: FloatArray) -> None:
    """Stops that are verified against the last positions miss people who walk."""
    cell, rate_hz, random = Cell(), 60.0, np.random.default_rng(0)
    time_s = np.array(cell.frames(rate_hz)) / rate_hz
    angle = random.uniform(0, 2 * np.pi, 50)
    velocity = 1.5 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1)
    last = np.broadcast_to(stride, (50, *stride.shape)).astype(np.float32)
    future = last[:, None] + velocity[:, None, None] * time_s[:, None, None]
    still = np.broadcast_to(last[:, None], future.shape)
    none = np.zeros(future.shape[:3], np.float32)
    recorded = Recorded(last, future, np.zeros(50, np.float32), np.array(['walks'] * 50))
    foreseen = [
        Foreseen('zero velocity', 0.9, still, none),
        Foreseen('zero velocity', 0.95, still, none + np.float32(1.5 * time_s[-1] + 0.01)),
        Foreseen('ours', 0.9, future, none),
        Foreseen('ours', 0.95, future, none + 5),
    ]
    limbs = Limbs.of(LAYOUT.name, tuple(LAYOUT.joint_names))
    (near, far, known, blind), windows = simulate(
        foreseen, recorded, limbs, cell, rate_hz, 400, seed=0
    )
    assert 250 < len(windows) < 400  # places inside the person are left out
    assert near.missed.sum() > 10
    for right in (far, known, blind):
        assert not right.missed.any()
    assert (near.speed >= far.speed).all()
    assert 0 < far.speed.mean() < known.speed.mean() < 1
    assert not blind.speed.any()


def test_nobody_whom_the_checkpoint_knows_stands_beside_the_arm(
    people: Callable[..., Path],
    calibrated: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    beside = people('beside.npz', {'walks': 1.4, 'strolls': 0.8})
    others = people('others.npz', {'a': 0.5, 'b': 1.0})
    out = tmp_path / 'shield.json'
    command = ['shield', '--checkpoint', f'{calibrated}', '--archive', f'{beside}']
    command += ['--scenes', '60', '--samples', '4', '--stride', '20', '--set', 'steps=5']
    files = ['--json', f'{out}', '--markdown', f'{tmp_path / "s.md"}']
    files += ['--plot', f'{tmp_path / "s.png"}']
    given = ['--calibration', f'{others}', '--seen', 'walks', *files]
    assert run_train([*command, *given]) == 0
    result = json.loads(out.read_text())
    assert result['left_out'] == ['walks']
    assert list(result['people']) == ['strolls']
    assert 'left out, as the checkpoint knows them: walks' in capsys.readouterr().out
    assert (tmp_path / 's.png').stat().st_size > 10_000
    assert 'whole body' in (tmp_path / 's.md').read_text()
    assert run_train([*command, '--calibration', f'{others}', '--seen', 'walks', 'strolls']) == 2
    assert 'everybody in the archive' in capsys.readouterr().err
    assert run_train([*command, '--calibration', f'{beside}']) == 2
    assert (
        'must be calibrated on other people than those beside the arm' in capsys.readouterr().err
    )
    with pytest.raises(ValueError, match=r'a stop takes 0\.95 s'):
        measure_shield(calibrated, beside, [others], CONFIG, cell=Cell(stop_s=0.8))
