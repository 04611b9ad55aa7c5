"""Evaluations of other layouts, and of people who were measured only in part."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run_train
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.skeleton import known_layouts
from motion_predictor_training.data.hidden import complete
from motion_predictor_training.data.windows import cut_windows
from motion_predictor_training.evaluation.evaluate import evaluate_checkpoint

SMPL = known_layouts()['smpl22']
HISTORY, FUTURE, RATE_HZ = 5, 7, 20
Archive = Callable[..., Path]


@pytest.fixture
def still(stride: NDArray[np.float32]) -> torch.Tensor:
    """Two people who stand still in mid-stride (2, 9, 22, 3)."""
    return torch.from_numpy(stride).expand(2, 9, 22, 3).clone()


def dance(frames: int, seed: int = 0) -> NDArray[np.float32]:
    """Return joints (frames, 22, 3) that wander about."""
    steps = np.random.default_rng(seed).normal(scale=0.02, size=(frames, 22, 3))
    return (np.arange(22)[:, None] * [0.05, 0.1, 0.07] + steps.cumsum(0)).astype(np.float32)


@pytest.mark.parametrize('layout', ['h36m17', 'azure32'])
def test_other_layouts_are_evaluated(
    saved: Callable[..., Path], write_archive: Archive, tmp_path: Path, layout: str
) -> None:
    """A model of another layout is evaluated on an archive of that layout, with plots."""
    skeleton = known_layouts()[layout]
    joints = len(skeleton.joints)
    positions = np.random.default_rng(0).normal(scale=0.02, size=(50, joints, 3)).cumsum(0)
    archive = write_archive(
        positions=positions.astype(np.float32),
        fps=RATE_HZ,
        joint_names=np.array(skeleton.joint_names),
        parents=np.array(skeleton.parents),
    )
    checkpoint = saved(layout=skeleton)
    out = tmp_path / 'report.json'
    arguments = ['evaluate', '--checkpoint', str(checkpoint), '--archive', str(archive)]
    arguments += ['--samples', '2', '--json', str(out), '--plots', str(tmp_path / 'plots')]
    assert run_train(arguments) == 0
    result = json.loads(out.read_text())
    assert result['rows']['model']['end_DTW_best_m'] > 0
    assert list(result['joints']['model']['best_mm']) == list(skeleton.joint_names)


@pytest.fixture
def upper_body(write_archive: Archive) -> Callable[..., Path]:
    """Writes an archive without the legs of people and without 5 % of their other joints."""

    def write(root: bool = True) -> Path:
        legs = [
            SMPL.joint_names.index(f'{s}_{p}') for s in 'lr' for p in ('knee', 'ankle', 'foot')
        ]
        valid = np.ones((90, 22), bool)
        valid[:, legs] = False
        valid[np.random.default_rng(0).random((90, 22)) < 0.05] = False
        valid[:, SMPL.index('head')] = True
        if not root:
            valid[:, 0] = False
        return write_archive(
            positions=np.where(valid[..., None], dance(90), 0),
            valid=valid,
            clip_offsets=np.array([0, 30, 50, 90]),
            fps=RATE_HZ,
            clip_names=np.array(['a', 'b', 'c']),
            subject=np.array(['7', '8', '7']),
            category=np.array(['lifting', '', 'walking']),
        )

    return write


def test_upper_bodies_are_evaluated_on_what_was_measured(
    saved: Callable[..., Path], upper_body: Callable[..., Path]
) -> None:
    archive = upper_body()
    result = evaluate_checkpoint(saved(2.0), archive, samples=4, stride=4)
    assert result['windows'] == 16
    assert 0.65 < result['measured'] < 0.75
    windows = cut_windows(load_archive(archive), SMPL, RATE_HZ, HISTORY + FUTURE, 4, partial=True)
    nothing = np.zeros((len(windows), HISTORY, 22), bool)
    errors, relative = [], []
    for motion in windows.all():
        history = complete(motion[None, :HISTORY], nothing[:1], SMPL, RATE_HZ).frames[0, -1]
        way = motion[HISTORY:] - history  # the error of zero velocity, NaN where unknown
        errors.append(way.norm(dim=-1).nanmean().item() * 1000)
        pose = (way[:, 1:] - way[:, :1]).flatten(1)
        lengths = pose.nan_to_num(0).norm(dim=-1)
        relative.append(lengths[~pose.isnan().all(1)].mean().item())
    still = result['rows']['zero_velocity']
    assert still['MPJPE_of_mean_mm'] == pytest.approx(np.mean(errors), rel=1e-4)
    assert still['ADE'] == pytest.approx(np.mean(relative), rel=1e-4)
    assert np.isfinite([*still.values(), *result['rows']['model'].values()]).all()
    assert result['joints']['model']['of_mean_mm']['l_knee'] is None
    assert result['sets']['joints']['coverage']['l_knee'] == [None]
    assert result['coverage']['reached_by_joint']['l_knee'] is None
    joints = result['sets']['ours']['joints']
    assert joints[0] < 16 * 16
    groups = result['groups']['subject'].values()
    held = [group['coverage']['reached'] for group in groups]
    assert min(held) <= result['coverage']['reached'] <= max(held)
    assert result['coverage']['reached_at_s']['0.1'] == pytest.approx(
        result['sets']['ours']['coverage'][1]
    )
    assert 'NaN' not in json.dumps(result)


def test_legs_that_are_not_measured_change_no_figure_of_the_rest(
    saved: Callable[..., Path], write_archive: Archive
) -> None:
    """The numbers in the places of joints that were not measured have no effect."""
    valid = np.ones((50, 22), bool)
    valid[:, [10, 11]] = False
    results = []
    for seed in (1, 2):
        positions = dance(50)
        positions[:, [10, 11]] = np.random.default_rng(seed).normal(size=(50, 2, 3))
        archive = write_archive(positions=positions, valid=valid, fps=RATE_HZ)
        result = evaluate_checkpoint(saved(2.0), archive, samples=4, stride=4)
        result.pop('archive')
        results.append(result)
    assert results[0] == results[1]


def test_people_without_a_root_are_evaluated_in_the_world(
    saved: Callable[..., Path],
    upper_body: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / 'report.json'
    arguments = ['evaluate', '--checkpoint', str(saved(2.0)), '--archive', str(upper_body(False))]
    arguments += ['--samples', '4', '--stride', '4', '--json', str(out)]
    assert (
        run_train([*arguments, '--plots', str(tmp_path), '--markdown', str(tmp_path / 'a.md')])
        == 0
    )
    result = json.loads(out.read_text())
    assert result['rows']['model']['ADE'] is None
    assert result['shown'] == []
    model = result['world']['all']['joints']['rows']['model']
    assert min(model['low']) > 0
    assert result['world']['all']['root']['rows']['model']['mean'] == [None] * 5
    assert 'mean error of the joints in the world' in capsys.readouterr().out


def test_recorded_upper_bodies_are_evaluated(saved: Callable[..., Path], recorded: Path) -> None:
    result = evaluate_checkpoint(saved(2.0), recorded / 'hrc_upper.npz', samples=4, stride=1000)
    assert result['measured'] == pytest.approx(9 / 22, abs=0.03)
    assert set(result['groups']['subject']) == {'kth_giver', 'kth_taker', 'tum'}
    for row in result['rows'].values():
        assert np.isfinite(list(row.values())).all()
