"""Input that cannot be a person in metres with z up is not OK. The error says what to do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motion_predictor.archive import load_archive, open_archive
from motion_predictor.common.status import Status
from motion_predictor.skeleton import known_layouts
from motion_predictor.tracking.people import People
from motion_predictor.tracking.scene import Observation, Scene

FloatArray = NDArray[np.float32]
SMPL = known_layouts()['smpl22']


@pytest.fixture(scope='module')
def walk() -> FloatArray:
    archive = open_archive('bundled')
    return max((archive.clip(i) for i in range(len(archive))), key=len)[:180:2]


def follow(motion: FloatArray) -> tuple[People, Scene]:
    """Report frames (T, J, 3) at 30 Hz. Return `People` and the last scene."""
    people = People(
        SMPL,
        rate_hz=60,
        frames=30,
        max_people=1,
    )
    for frame, pose in enumerate(motion):
        people.update(round((1 + frame / 30) * 1e9), [Observation('someone', pose)])
    scene = people.scene()
    assert scene is not None
    return people, scene


def y_up(motion: FloatArray) -> FloatArray:
    return motion[..., [1, 2, 0]]


def z_down(motion: FloatArray) -> FloatArray:
    return motion * np.float32([1, -1, -1])


def mirrored(motion: FloatArray) -> FloatArray:
    return motion * np.float32([1, -1, 1])


def in_another_order(motion: FloatArray) -> FloatArray:
    return motion[:, [0, *np.random.default_rng(1).permutation(np.arange(1, 22))]]


@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (lambda motion: 1000 * motion, 'in millimetres; send metres'),
        (lambda motion: 100 * motion, 'in centimetres; send metres'),
        (lambda motion: 0.1 * motion, 'not the size of a person; send metres'),
        (y_up, 'y seems to point up'),
        (z_down, '-z seems to point up'),
        (mirrored, 'left and right seem to be mirrored'),
        (in_another_order, 'check joint_names and layout'),
    ],
)
def test_what_is_no_person_in_metres_with_z_up_is_not_ok(
    walk: FloatArray, spoil: Callable[[FloatArray], FloatArray], sentence: str
) -> None:
    people, scene = follow(spoil(walk))
    assert scene.unlisted or [p.status for p in scene.people] == [Status.STALE_INPUT]
    assert any(sentence in remark for remark in people.remarks.values()), people.remarks


def test_somebody_who_lies_down_is_a_person(walk: FloatArray) -> None:
    lying = walk[-1] @ np.float32([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    noise = np.random.default_rng(0).normal(scale=0.003, size=(60, 22, 3)).astype(np.float32)
    people, scene = follow(np.concatenate([walk, lying - lying[0] + walk[-1, 0] + noise]))
    assert [person.status for person in scene.people] == [Status.OK]
    assert not people.remarks


@pytest.mark.parametrize('name', ['val.npz', 'hrc_upper.npz'])
def test_nothing_is_wrong_with_recorded_people(recorded: Path, name: str) -> None:
    archive = load_archive(recorded / name)
    for index in range(0, len(archive), 9):
        people, _ = follow(archive.clip(index)[:200:2])
        assert not people.remarks
