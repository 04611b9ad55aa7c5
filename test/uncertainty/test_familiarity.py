"""Unfamiliar motion is detected, and its radius is everything that a person can reach."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, load_checkpoint
from motion_predictor.predictor import MIN_FAMILIARITY, MotionPredictor
from motion_predictor.uncertainty.reach import greatest_speed
from motion_predictor_training.calibration.fit_familiarity import with_familiarity
from motion_predictor_training.config import CalibrationConfig
from motion_predictor_training.data.hidden import complete
from motion_predictor_training.data.windows import cut_windows
from motion_predictor_training.evaluation.unfamiliar import (
    ORDINARY,
    STRANGE,
    auroc,
    familiarity_table,
    measure_familiarity,
)

CONFIG = CalibrationConfig(stride=30)


@pytest.fixture(scope='module')
def knowing(recorded: Path) -> Checkpoint:
    """The default checkpoint, with a familiarity that is fitted to the people of two archives."""
    archives = [load_archive(recorded / name) for name in ('train.npz', 'val.npz')]
    return with_familiarity(load_checkpoint('default'), archives, CONFIG)


@pytest.fixture(scope='module')
def histories(recorded: Path) -> NDArray[np.float32]:
    """Histories of people whom the checkpoint does not know."""
    layout = load_checkpoint('default').header.layout
    return cut_windows(load_archive(recorded / 'test.npz'), layout, 60.0, 30, 600).all().numpy()


def test_the_strange_is_told_from_people_who_are_not_known(
    knowing: Checkpoint, recorded: Path
) -> None:
    result = measure_familiarity(knowing, load_archive(recorded / 'test.npz'), stride=240)
    assert result is not None
    assert result['ordinary'].keys() == ORDINARY.keys()
    assert result['strange'].keys() == STRANGE.keys()
    for name, row in result['strange'].items():
        assert row['auroc'] >= 0.95, name
    assert result['ordinary']['as recorded']['unfamiliar'] <= 0.02  # share of 90 windows
    for name in ('all joints shuffled', 'twice the size', 'y up', 'on all fours'):
        assert result['strange'][name]['unfamiliar'] > 0.95, name
    assert 'left and right swapped' in familiarity_table(result)


def test_p_values_of_known_people_spread_over_their_range(
    knowing: Checkpoint, recorded: Path
) -> None:
    familiarity = knowing.familiarity()
    assert familiarity is not None
    header = knowing.header
    assert header.familiarity is not None
    assert header.familiarity.people == 15
    motion = cut_windows(load_archive(recorded / 'val.npz'), header.layout, 60.0, 30, 120)
    p = familiarity(motion.all().numpy())
    least = 1 / (header.familiarity.windows + 1)
    assert ((p >= least * 0.999) & (p <= 1)).all()
    assert 0.1 < np.median(p) < 0.9


def test_it_does_not_matter_where_somebody_stands_and_whither_they_face(
    knowing: Checkpoint, histories: NDArray[np.float32]
) -> None:
    familiarity = knowing.familiarity()
    assert familiarity is not None
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]], np.float32)
    elsewhere = histories @ turn.T + np.array([50, -20, 1], np.float32)
    np.testing.assert_allclose(familiarity(elsewhere), familiarity(histories), rtol=0.02)


def test_the_radius_of_somebody_unfamiliar_is_what_can_be_reached(
    knowing: Checkpoint, histories: NDArray[np.float32], tmp_path: Path
) -> None:
    knowing.save(tmp_path / 'knowing.safetensors')
    predictor = MotionPredictor.load(
        tmp_path / 'knowing.safetensors', device='cpu', samples=8, backend='eager'
    )
    both = np.stack([histories[0], histories[0, :, ::-1]])  # the second has reversed joints
    known, strange = (predictor.predict(both[row]) for row in (0, 1))
    together = predictor.predict(both)
    assert together.unfamiliar.tolist() == [False, True]
    assert known.familiarity[0] > 0.003 > strange.familiarity[0]
    np.testing.assert_allclose(together.radius[0], known.radius[0], atol=1e-4)
    human = greatest_speed(knowing.header.layout)
    ahead_s = predictor.times[:, None]
    newest = both[1, -1]
    # A person who moves on at human speed in any direction stays inside, with the whole body.
    way = np.array([0.6, 0, -0.8], np.float32)
    future = newest + way * (human * ahead_s)[..., None]
    off = np.linalg.norm(future - strange.mean[0], axis=-1)
    assert (off <= strange.radius[0] + 1e-4).all()
    assert (strange.body_radius_scale[0] >= 1).all()
    predictor.min_familiarity = 0.0
    learnt = predictor.predict(both[1])
    assert not learnt.unfamiliar.any()
    assert (learnt.radius <= strange.radius + 1e-5).all()
    assert (learnt.radius < 0.9 * strange.radius).any()
    whole = learnt.radius * learnt.body_radius_scale[..., None]
    assert (whole <= strange.radius * strange.body_radius_scale[..., None] + 1e-4).all()


def test_a_checkpoint_keeps_what_it_is_familiar_with(knowing: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / 'kept.safetensors'
    knowing.save(path)
    again = load_checkpoint(path)
    assert again.header.familiarity == knowing.header.familiarity
    for name in ('familiarity.mean', 'familiarity.whitening', 'familiarity.scores'):
        assert (again.tensors[name] == knowing.tensors[name]).all()


def test_area_under_the_curve() -> None:
    assert auroc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1
    assert auroc(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 0
    assert auroc(np.array([1.0, 3.0]), np.array([2.0])) == 0.5
    assert auroc(np.array([1.0]), np.array([1.0])) == 0.5


def test_people_behind_a_bench_are_familiar_once_they_were_calibrated_on(
    knowing: Checkpoint, histories: NDArray[np.float32], recorded: Path
) -> None:
    cells = load_archive(recorded / 'hrc_upper.npz')
    seen = cut_windows(cells, knowing.header.layout, 60.0, 30, 480, partial=True).all()
    hidden = np.zeros(seen.shape[:3], bool)
    work = complete(seen, hidden, knowing.header.layout, 60.0).frames.numpy()
    archives = [load_archive(recorded / name) for name in ('train.npz', 'val.npz')]
    config = CalibrationConfig(stride=30, not_told_apart=['tum'])
    more = with_familiarity(load_checkpoint('default'), [*archives, cells], config)
    before, after = knowing.familiarity(), more.familiarity()
    assert before is not None
    assert after is not None
    assert (before(work) < MIN_FAMILIARITY).mean() > 0.9, 'their markers lie elsewhere'
    assert (after(work) < MIN_FAMILIARITY).mean() <= 0.01
    assert (after(histories) < MIN_FAMILIARITY).mean() <= 0.02
    assert (after(2 * histories) < MIN_FAMILIARITY).mean() > 0.95
    assert (after(histories[..., [0, 2, 1]]) < MIN_FAMILIARITY).mean() > 0.95
