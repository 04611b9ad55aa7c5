"""A whole body that jumps is held on its path. Recorded people are never taken to jump."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motion_predictor.archive import load_archive, open_archive
from motion_predictor.common.status import Status
from motion_predictor.skeleton import known_layouts
from motion_predictor.tracking.people import People
from motion_predictor.tracking.scene import Observation, Person

FloatArray = NDArray[np.float32]
SMPL = known_layouts()['smpl22']
BODY_REASONS = ('whole body jumped', 'everything moved', 'another motion')


def make_people() -> People:
    return People(
        SMPL,
        rate_hz=60,
        frames=30,
        max_people=1,
    )


def play(people: People, motion: FloatArray, rate_hz: float, start: int = 0) -> Person:
    """Report frames (T, J, 3) at a rate. Return the person after the last frame."""
    for frame, pose in enumerate(motion, start):
        people.update(round((1 + frame / rate_hz) * 1e9), [Observation('someone', pose)])
    scene = people.scene()
    assert scene is not None
    return scene.people[0]


@pytest.fixture
def walk() -> FloatArray:
    """A person who walks, at 30 Hz."""
    archive = open_archive('bundled')
    clips = [archive.clip(i)[::2] for i in range(len(archive))]
    return max(clips, key=lambda clip: float(np.linalg.norm(np.ptp(clip[:, 0, :2], axis=0))))[:40]


@pytest.mark.parametrize('metres', [0.1, 0.2, 0.3])
@pytest.mark.parametrize('direction', [(1, 0, 0), (0, -1, 0), (0.6, 0.6, 0.5)])
def test_one_frame_off_is_held_where_the_person_was_going(
    walk: FloatArray, metres: float, direction: tuple[float, float, float]
) -> None:
    way = np.float32(direction) / np.float32(np.linalg.norm(direction)) * np.float32(metres)
    people = make_people()
    play(people, walk[:25], 30)
    person = play(people, walk[25:26] + way, 30, start=25)
    assert person.status == Status.OK and person.window is not None
    assert people.rejected['whole body jumped'] == 1
    off_m = np.linalg.norm(person.window.positions[-1] - walk[25], axis=-1).mean()
    assert off_m < 0.04
    assert (person.window.doubt_m > 0.7 * metres).all()
    assert person.last_seen.reach_m > 1
    person = play(people, walk[26:27], 30, start=26)
    assert person.window is not None
    np.testing.assert_allclose(person.window.positions[-1], walk[26], atol=1e-5)
    assert (person.window.doubt_m < 0.1).all()
    assert people.rejected['whole body jumped'] == 1


def test_where_the_world_moved_for_good_nobody_starts_to_run(walk: FloatArray) -> None:
    people = make_people()
    play(people, walk[:25], 30)
    moved = walk[25:] + np.float32([0.25, 0, 0])
    person = play(people, moved, 30, start=25)
    assert people.rejected['everything moved'] == 1
    assert person.status == Status.OK and person.window is not None
    np.testing.assert_allclose(person.window.positions[-1], moved[-1], atol=1e-5)
    truth = np.diff(walk[-15:, 0], axis=0) * 30
    seen = np.diff(person.window.positions[:, 0], axis=0) * 60
    assert np.linalg.norm(seen, axis=-1).max() < np.linalg.norm(truth, axis=-1).max() + 1.0


def test_a_motion_that_is_another_one_begins_anew(walk: FloatArray) -> None:
    people = make_people()
    play(people, walk[:25], 30)
    running = walk[24] + np.float32([[[0.13 * n, 0, 0]] for n in range(1, 6)])
    person = play(people, running, 30, start=25)
    assert people.rejected['another motion'] == 1
    assert person.status == Status.WARMING_UP


def test_an_arm_alone_may_start_like_that(walk: FloatArray) -> None:
    arm = walk.copy()
    arm[:, [j for j, name in enumerate(SMPL.joint_names) if not name.startswith('l_')]] = np.nan
    people = make_people()
    play(people, arm[:25], 30)
    play(people, arm[25:26] + np.float32([0.1, 0, 0]), 30, start=25)
    assert not people.rejected['whole body jumped']


def test_whoever_sways_as_nobody_can_may_be_elsewhere(walk: FloatArray) -> None:
    random = np.random.default_rng(0)
    swaying = walk + random.normal(scale=0.03 / 3**0.5, size=(len(walk), 1, 3)).astype(np.float32)
    steady, other = (play(make_people(), motion, 30).window for motion in (walk, swaying))
    assert steady is not None and other is not None
    assert not steady.doubt_m.any()
    assert (other.doubt_m > 0.03).all()


@pytest.mark.parametrize('step', [1, 2, 4])
def test_no_recorded_person_is_held(recorded: Path, step: int) -> None:
    archive = load_archive(recorded / 'val.npz')
    for index in range(0, len(archive), 4):
        people = make_people()
        play(people, archive.clip(index)[: 200 * step : step], 60 / step)
        assert not [reason for reason in BODY_REASONS if people.rejected[reason]]
