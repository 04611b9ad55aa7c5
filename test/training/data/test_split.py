"""The split of people by use, which holds for all stages."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import run_train

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint
from motion_predictor_training.calibration.calibrate import calibrate
from motion_predictor_training.config import CalibrationConfig, ConfigError
from motion_predictor_training.data.known_people import Known
from motion_predictor_training.recipe import Archives

Archive = Callable[..., Path]


@pytest.fixture
def people(write_archive: Archive, tmp_path: Path) -> Path:
    """An archive of four people with two clips each."""
    path = tmp_path / 'people.npz'
    subjects = np.repeat(['a', 'b', 'c', 'd'], 2)
    fields = {
        'clip_offsets': np.arange(9) * 5,
        'positions': np.random.default_rng(0).normal(size=(40, 22, 3)),
        'scale': 1.0,
        'subject': subjects,
        'clip_names': subjects,
        'category': subjects,
    }
    write_archive(**fields).rename(path)
    return path


def split(people: Path, tmp_path: Path, **uses: list[str]) -> int:
    """Run `train prepare split` with the given split, and return its exit status."""
    file = tmp_path / 'split.yaml'
    file.write_text('\n'.join(f'{use}: {names}' for use, names in uses.items()))
    arguments = ['prepare', 'split', str(people), '--split', str(file)]
    return run_train([*arguments, '--out', str(tmp_path / 'uses')])


def test_every_use_gets_its_people(people: Path, tmp_path: Path) -> None:
    uses = {'train': ['a'], 'validation': ['b'], 'calibration': ['c'], 'test': ['d']}
    assert split(people, tmp_path, **uses) == 0
    for use, names in uses.items():
        assert load_archive(tmp_path / 'uses' / f'{use}.npz').subjects == (names[0],) * 2


@pytest.mark.parametrize(
    ('test', 'sentence'),
    [(['d', 'b'], 'b is listed under validation and test'), (['c'], 'does not list d')],
)
def test_a_split_that_does_not_hold_is_refused(
    people: Path,
    tmp_path: Path,
    test: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calibration = ['c'] if 'c' not in test else ['x']
    uses = {'train': ['a'], 'validation': ['b'], 'calibration': calibration, 'test': test}
    assert split(people, tmp_path, **uses) == 2
    assert sentence in capsys.readouterr().err


def test_the_shipped_split_is_of_all_recorded_people(recorded: Path, tmp_path: Path) -> None:
    sources = [str(recorded / f'{name}.npz') for name in ('train', 'val', 'test', 'hrc_upper')]
    arguments = ['prepare', 'split', *sources, '--split', 'cmu', '--out', str(tmp_path)]
    assert run_train(arguments) == 0
    assert set(load_archive(tmp_path / 'test.npz').subjects) == {'13', '16', '39'}


def test_a_recipe_refuses_people_who_serve_twice(people: Path) -> None:
    with pytest.raises(ConfigError, match='is listed under train and validation'):
        Archives(people, people).facts()


def test_sets_are_not_calibrated_on_people_trained_on(
    people: Path, tmp_path: Path, make_checkpoint: Callable[..., Checkpoint]
) -> None:
    student = tmp_path / 'student.safetensors'
    make_checkpoint(provenance={'trained': ['a', 'z']}).save(student)
    with pytest.raises(ConfigError, match='was trained on a of'):
        calibrate(CalibrationConfig(), student, [people], [], tmp_path / 'x.safetensors')


def test_whom_the_weights_have_learnt_from_is_known_by_name(
    people: Path, write_archive: Archive, make_checkpoint: Callable[..., Checkpoint]
) -> None:
    archive = load_archive(people)
    for trained, expected in (
        (['a', 'z'], [True] * 2 + [False] * 6),
        (['', 'a', 'b'], [True] * 4 + [False] * 4),
        (['x'], [False] * 8),
        ([''], [True] * 8),
        ([], [True] * 8),
    ):
        known = Known.to(make_checkpoint(provenance={'trained': trained}).header)
        assert known.learnt_from(archive) == expected, trained
    nameless = load_archive(write_archive(subject=None))
    known = Known.to(make_checkpoint(provenance={'trained': ['a']}).header)
    assert all(known.learnt_from(nameless))
