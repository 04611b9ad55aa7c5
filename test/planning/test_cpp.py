"""The C++ headers as a package elsewhere builds them, against the same in Python."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motion_predictor.planning import (
    Bodies,
    Capsules,
    Inbox,
    Limbs,
    Reason,
    Rigid,
    closest,
    nearest,
    touch,
)

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(not shutil.which('cmake'), reason='there is no cmake')
NAMES = {Reason.SHORT: 'too short'}


@pytest.fixture(scope='module')
def distances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An executable of a package that finds this one, built against the installed headers."""
    folder = tmp_path_factory.mktemp('elsewhere')
    eigen = eigen_folder()
    configure = ['cmake', '-S', HERE / 'elsewhere', '-B', folder, '-DCMAKE_BUILD_TYPE=Release']
    subprocess.run([*configure, f'-DEIGEN_FOLDER={eigen}'], check=True, capture_output=True)
    built = subprocess.run(['cmake', '--build', folder], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    assert 'include/motion_predictor/' not in built.stderr, f'warnings:\n{built.stderr}'
    return folder / 'distances'


def eigen_folder() -> str:
    """Return where Eigen's headers are, nothing if they are where a compiler looks, or nowhere."""
    try:
        import cmeel
    except ImportError:
        return ''
    return str(Path(cmeel.__file__).parents[1] / 'cmeel.prefix' / 'include' / 'eigen3')


def text_of(message: Any, age_s: float, span: Any, robot: Capsules, pose: Any) -> str:
    """Return a question as the executable reads it."""
    words: list[Any] = [age_s, message.status, message.layout, len(message.motions)]
    words += [message.num_samples, message.num_frames, message.num_joints]
    words += [*message.times, *message.joint_names]
    for motion in message.motions:
        words += [motion.id.replace(' ', '_'), motion.status, int(len(motion.mean) > 0)]
        words += [*motion.samples, *motion.mean, *motion.radius]
    still = robot.starts.ndim == 2
    times = 1 if still else len(robot.starts)
    starts, ends = robot.over(times)
    words += [*span, times, len(robot.radii)]
    for t, r in np.ndindex(times, len(robot.radii)):
        words += [*starts[t, r], *ends[t, r], robot.radii[r]]
    return ' '.join(
        repr(w.item() if isinstance(w, np.generic) else w).strip("'") for w in [*words, *pose]
    )


def ask(distances: Path, question: str) -> dict[str, list[str]]:
    """Return the lines of the answer by their first word; those with the same one follow on."""
    answer = subprocess.run([distances], input=question, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, list[str]] = {}
    for line in answer.stdout.splitlines():
        key, _, rest = line.partition(' ')
        found.setdefault(key, []).append(rest)
    return found


def arm(place: Any, seed: int = 0, times: int = 0) -> Capsules:
    generator = np.random.default_rng(seed)
    points = np.asarray(place) + generator.normal(0, 0.3, (9, 3)).cumsum(0)
    if times:
        points = points + generator.normal(0, 0.05, (times, 1, 3)).cumsum(0)
    return Capsules.of(points[..., :-1, :], points[..., 1:, :], np.linspace(0.05, 0.12, 8))


@pytest.mark.parametrize('place', [(0.3, 0.2, 0.9), (1.2, 0.4, 0.5), (4.0, -3.0, 0.0)])
@pytest.mark.parametrize('moving', [False, True])
def test_distances_and_touches_equal_those_in_python(
    distances: Path, make_prediction: Callable[..., Any], place: Any, moving: bool
) -> None:
    message, age_s, span = make_prediction(people=2, samples=10), 0.05, (0.0, 0.6)
    pose = [1.0, -2.0, 0.5, *Rotation.from_euler('xyz', [0.1, -0.2, 1.0]).as_quat()]
    transform = Rigid.of_pose(pose)
    inbox = Inbox()
    inbox.put(message)
    outlook = inbox.latest(10**18 + 50_000_000).outlook.moved(transform, 'robot')
    robot = arm(transform(place), times=len(outlook.instants(*span)) if moving else 0)
    found = ask(distances, text_of(message, age_s, span, robot, pose))
    assert found['before'] == ['silent']
    assert (found['reason'], found['nobody'], found['later']) == (['usable'], ['0'], ['silent'])
    at = outlook.at(outlook.instants(*span))
    for by_samples, line in zip((True, False), found['closest'], strict=True):
        expected = closest(outlook, robot, *span, by_samples=by_samples)
        distance, time_s, person, limb, capsule, sample = line.split()
        assert float(distance) == pytest.approx(expected.distance_m, abs=2e-6)
        assert float(time_s) == pytest.approx(expected.time_s, abs=1e-5)
        assert (person.replace('_', ' '), limb) == (expected.person, expected.limb)
        assert (int(capsule), int(sample)) == (expected.capsule, expected.sample)
        make = Bodies.of_samples if by_samples else Bodies.of_mean
        for person_at, row in zip(
            at.people, found['each'][0 if by_samples else 2 :][:2], strict=True
        ):
            bodies = make(person_at, Limbs.for_outlook(outlook))
            each = np.array(row.split(), float)
            np.testing.assert_allclose(each, nearest(bodies, robot)[0], atol=2e-6)
    assert float(found['touch'][0]) == pytest.approx(touch(outlook, robot, *span).share)
    if eigen_folder():
        person = message.motions[0]
        samples = person.samples.reshape(10, 4, 22, 3)
        same, norm, mean, radius = map(float, found['eigen'][0].split())
        assert same, 'the map points into the message'
        assert norm == pytest.approx(np.linalg.norm(samples[1, 2, 3]), abs=1e-5)
        whole = person.mean.reshape(4, 22, 3)[1].mean(0)
        assert mean == pytest.approx(np.linalg.norm(whole), abs=1e-5)
        assert radius == pytest.approx(person.radius.sum(), abs=1e-3)


def test_limbs_and_instants_are_exact(
    distances: Path, make_prediction: Callable[..., Any]
) -> None:
    """Without a transform and at published frames nothing is rounded: 1e-6 from the exact."""
    message = make_prediction(samples=5, times=(0.25, 0.5, 0.75))
    inbox = Inbox()
    inbox.put(message)
    outlook = inbox.latest(10**18).outlook
    robot = arm((0.5, 0.2, 0.9))
    identity = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    found = ask(distances, text_of(message, 0.0, (0.25, 0.75), robot, identity))
    each = np.array(found['each'][0].split(), float)
    bodies = Bodies.of_samples(outlook.people[0], Limbs.for_outlook(outlook))
    np.testing.assert_allclose(each, nearest(bodies, robot)[0], atol=1e-6)


@pytest.mark.parametrize(
    ('age_s', 'status', 'last', 'reason'),
    [
        (0.05, 0, None, Reason.USABLE),
        (0.05, 5, None, Reason.FAULT),
        (0.3, 0, None, Reason.STALE),
        (-0.2, 0, None, Reason.CLOCK),
        (0.05, 4, None, Reason.UNREADABLE),
        (0.05, 3, 3, Reason.WARMING_UP),
        (0.05, 2, 2, Reason.TOO_MANY),
        (0.05, 1, 1, Reason.UNREADABLE),
        (0.05, 0, 4, Reason.UNREADABLE),
        (0.05, 77, None, Reason.UNREADABLE),
    ],
)
def test_reasons_equal_those_in_python(
    distances: Path,
    make_prediction: Callable[..., Any],
    age_s: float,
    status: int,
    last: int | None,
    reason: Reason,
) -> None:
    message = make_prediction(people=2, samples=2, status=status)
    if last is not None:
        motion = message.motions[-1]
        motion.status, motion.samples, motion.mean, motion.radius = last, [], [], []
    inbox = Inbox()
    inbox.put(message)
    assert inbox.latest(10**18 + round(age_s * 1e9)).reason is reason
    identity = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    found = ask(distances, text_of(message, age_s, (0.1, 0.5), arm((1, 1, 1)), identity))
    assert found['reason'] == [NAMES.get(reason, reason.name.lower().replace('_', ' '))]


def test_nobody_is_known_to_be_there(distances: Path, make_prediction: Callable[..., Any]) -> None:
    message = make_prediction(people=0, samples=2)
    identity = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    question = text_of(message, 0.05, (0.1, 0.5), arm((1, 1, 1)), identity)
    answer = subprocess.run([distances], input=question, capture_output=True, text=True)
    assert 'nobody 1' in answer.stdout
    assert 'closest inf' in answer.stdout
    assert 'touch 0.0' in answer.stdout
