"""A package with the installed C++ headers is built; its results are compared with Python."""

import itertools
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motion_predictor.planning import (
    Bodies,
    Capsules,
    Inbox,
    Limbs,
    Limits,
    Outlook,
    Reason,
    Rigid,
    closest,
    nearest,
    touch,
)
from motion_predictor.skeleton import known_layouts

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(not shutil.which('cmake'), reason='there is no cmake')
NAMES = {Reason.SHORT: 'too short'}


@pytest.fixture(scope='module')
def distances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An executable of another package, which was built with the installed headers."""
    folder = tmp_path_factory.mktemp('elsewhere')
    configure = ['cmake', '-S', HERE / 'elsewhere', '-B', folder, '-DCMAKE_BUILD_TYPE=Release']
    subprocess.run(configure, check=True, capture_output=True)
    built = subprocess.run(['cmake', '--build', folder], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    assert 'include/motion_predictor/' not in built.stderr, f'warnings:\n{built.stderr}'
    return folder / 'distances'


def text_of(
    message: Any,
    age_s: float,
    span: Any,
    robot: Capsules,
    pose: Any,
    reachable_ok: bool = False,
    speed: float = 9.0,
) -> str:
    """Return a question in the text format that the executable reads."""
    words: list[Any] = [int(reachable_ok), message.max_speed, speed]
    words += [age_s, message.status, message.layout, len(message.motions)]
    words += [message.num_samples, message.num_frames, message.num_joints]
    words += [*message.times, *message.joint_names]
    for motion in message.motions:
        words += [motion.id.replace(' ', '_'), motion.status, int(len(motion.mean) > 0)]
        words += [int(motion.unfamiliar)]
        words += [*motion.place, motion.reach, motion.last_seen.sec, motion.last_seen.nanosec]
        if not len(motion.mean):
            pose_seen = [] if np.isnan(motion.last_pose).any() else motion.last_pose
            words += [len(pose_seen), *pose_seen]
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
    """Return the lines of the answer without their first word, grouped by their first word."""
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
@pytest.mark.parametrize('frames', [4, 40])
def test_distances_and_touches_equal_those_in_python(
    distances: Path, make_prediction: Callable[..., Any], place: Any, moving: bool, frames: int
) -> None:
    times = (0.1, 0.2, 0.4, 0.8) if frames == 4 else np.arange(1, 41) / 50
    age_s, span = 0.05, (0.0, 0.6)
    message = make_prediction(people=2, samples=10, times=times)
    pose = [1.0, -2.0, 0.5, *Rotation.from_euler('xyz', [0.1, -0.2, 1.0]).as_quat()]
    transform = Rigid.of_pose(pose)
    inbox = Inbox()
    inbox.put(message)
    outlook = inbox.latest(10**18 + 50_000_000).outlook.moved(transform, 'robot')
    robot = arm(transform(place), times=len(outlook.instants(*span)) if moving else 0)
    found = ask(distances, text_of(message, age_s, span, robot, pose))
    assert found['before'] == ['silent']
    assert found['tf'] == ['3 0 3 3 0 0'], 'static, old, fresh, dated ahead, far ahead, unknown'
    assert (found['reason'], found['nobody'], found['later']) == (['usable'], ['0'], ['silent'])
    at = outlook.at(outlook.instants(*span))
    for by_samples, line in zip((True, False), found['closest'], strict=True):
        expected = closest(outlook, robot, *span, by_samples=by_samples)
        distance, time_s, person, limb, capsule, sample = line.split()
        assert float(distance) == pytest.approx(expected.distance_m, abs=1e-8)
        assert float(time_s) == pytest.approx(expected.time_s, abs=1e-5)
        assert (person.replace('_', ' '), limb) == (expected.person, expected.limb)
        assert (int(capsule), int(sample)) == (expected.capsule, expected.sample)
        make = Bodies.of_samples if by_samples else Bodies.of_mean
        for person_at, row in zip(
            at.people, found['each'][0 if by_samples else 2 :][:2], strict=True
        ):
            bodies = make(person_at, Limbs.for_outlook(outlook))
            each = np.array(row.split(), float)
            np.testing.assert_allclose(each, nearest(bodies, robot)[0], atol=1e-8)
    hit = touch(outlook, robot, *span)
    expected_touch = [hit.share, hit.at_most, *hit.of_capsule]
    np.testing.assert_allclose(
        np.array(found['touch'][0].split(), float), expected_touch, atol=1e-8
    )
    first, last = at.people[0], Outlook.of(message, age_s).at(span[1]).people[0]
    expected_at = [first.mean[-1, 5, 2], last.samples[1, 0, 5, 2], last.radius[0, 5]]
    np.testing.assert_allclose(np.array(found['at'][0].split(), float), expected_at, atol=1e-8)
    assert 'eigen' in found or not find_spec('cmeel'), 'the target brings Eigen along'
    if 'eigen' in found:
        person = message.motions[0]
        samples = person.samples.reshape(10, frames, 22, 3)
        same, norm, mean, radius = map(float, found['eigen'][0].split())
        assert same, 'the map points into the message'
        assert norm == pytest.approx(np.linalg.norm(samples[1, 2, 3]), abs=1e-5)
        whole = person.mean.reshape(frames, 22, 3)[1].mean(0)
        assert mean == pytest.approx(np.linalg.norm(whole), abs=1e-5)
        assert radius == pytest.approx(person.radius.sum(), abs=1e-3)


def test_unfamiliar_people_are_as_near_as_in_python(
    distances: Path, make_prediction: Callable[..., Any]
) -> None:
    message, age_s, span = make_prediction(people=2, samples=10), 0.05, (0.0, 0.6)
    message.motions[1].unfamiliar = True
    outlook = Outlook.of(message, age_s)
    identity = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    for place in ((0.5, 2.2, 1.0), (0.5, 5.0, 1.0)):
        robot = arm(place)
        found = ask(distances, text_of(message, age_s, span, robot, identity))
        expected = closest(outlook, robot, *span)
        assert expected.person == 'person 1'
        assert float(found['closest'][0].split()[0]) == pytest.approx(
            expected.distance_m, abs=1e-6
        )
        hit = touch(outlook, robot, *span)
        answer = np.array(found['touch'][0].split(), float)
        np.testing.assert_allclose(answer, [hit.share, hit.at_most, *hit.of_capsule], atol=1e-8)


def by_brute_force(
    apart: Any, message: Any, age_s: float, span: Any, robot: Capsules, turn: Rotation, to: Any
) -> Any:
    """Return the least of all distances of limbs of samples from capsules, in float64."""
    times = np.asarray(message.times, np.float64) - age_s
    at = [span[0], *times[(times > span[0]) & (times < span[1])], span[1]]
    limbs = Limbs.of('smpl22', tuple(known_layouts()['smpl22'].joint_names))
    least = np.inf
    for motion in message.motions:
        samples = np.asarray(motion.samples, np.float64).reshape(-1, len(times), 66)
        for sample, time in itertools.product(samples, at):
            right = min(max(int(np.searchsorted(times, time)), 1), len(times) - 1)
            share = (time - times[right - 1]) / (times[right] - times[right - 1])
            pose = sample[right - 1] + share * (sample[right] - sample[right - 1])
            joints = turn.apply(pose.reshape(22, 3)) + to
            for (i, j), radius in zip(limbs.ends, limbs.radii, strict=True):
                for a, b, thick in zip(robot.starts, robot.ends, robot.radii, strict=True):
                    axes = apart(joints[i], joints[j], a, b)
                    least = min(least, axes - radius - thick)
    return least


@pytest.mark.parametrize('far_m', [0.0, 500.0])
def test_distances_equal_those_by_brute_force(
    distances: Path, make_prediction: Callable[..., Any], apart: Any, far_m: float
) -> None:
    """C++ and Python agree with brute force to 1e-6 m, wherever the origin of the frame is."""
    message, age_s, span = make_prediction(people=2, samples=5), 0.037, (0.0, 0.6)
    for motion in message.motions:
        motion.samples += np.float32(far_m)
        motion.mean += np.float32(far_m)
    turn = Rotation.from_euler('xyz', [0.1, -0.2, 1.0])
    to = np.array([0.4, 0.1, 0.2]) - turn.apply(np.full(3, far_m))
    robot = arm((0.9, 0.8, 1.0))
    expected = by_brute_force(apart, message, age_s, span, robot, turn, to)
    pose = [*to, *turn.as_quat()]
    outlook = Outlook.of(message, age_s).moved(Rigid.of_pose(pose), 'robot')
    assert closest(outlook, robot, *span).distance_m == pytest.approx(expected, abs=1e-6)
    found = ask(distances, text_of(message, age_s, span, robot, pose))
    assert float(found['closest'][0].split()[0]) == pytest.approx(expected, abs=1e-6)


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


@pytest.mark.parametrize('predicted', [0, 1])
@pytest.mark.parametrize(('moving', 'whole'), [(False, False), (True, False), (True, True)])
def test_who_is_not_predicted_is_as_near_as_in_python(
    distances: Path,
    make_prediction: Callable[..., Any],
    stride: NDArray[np.float32],
    predicted: int,
    moving: bool,
    whole: bool,
) -> None:
    message, age_s, span = (
        make_prediction(people=predicted + 1, samples=5, status=3),
        0.05,
        (0, 0.6),
    )
    lost = message.motions[-1]
    lost.status, lost.samples, lost.mean, lost.radius = 3, [], [], []
    lost.place, lost.reach = np.array([1.0, 4.0, 1.0], np.float32), 2.9
    lost.last_seen = SimpleNamespace(sec=10**9 - 1, nanosec=600_000_000)
    speed = 1.6 if whole else 9.0
    if whole:
        lost.last_pose = (stride + np.float32([1.0, 4.0, 0.0])).ravel()
    pose = [1.0, -2.0, 0.5, *Rotation.from_euler('xyz', [0.1, -0.2, 1.0]).as_quat()]
    transform = Rigid.of_pose(pose)
    inbox = Inbox(Limits(reachable_ok=True, unpredicted_m_per_s=speed))
    inbox.put(message)
    outlook = inbox.latest(10**18 + 50_000_000).outlook.moved(transform, 'robot')
    for place in ((0.3, 0.2, 0.9), (0.9, 3.9, 1.0), (1.0, -30.0, 1.0)):
        robot = arm(transform(place), times=len(outlook.instants(*span)) if moving else 0)
        found = ask(distances, text_of(message, age_s, span, robot, pose, True, speed))
        assert (found['reason'], found['nobody']) == (['usable'], ['0'])
        for by_samples, line in zip((True, False), found['closest'], strict=True):
            expected = closest(outlook, robot, *span, by_samples=by_samples)
            distance, time_s, person, limb, capsule, _ = line.split()
            assert float(distance) == pytest.approx(expected.distance_m, abs=1e-6)
            assert float(time_s) == pytest.approx(expected.time_s, abs=1e-5)
            assert (person.replace('_', ' '), int(capsule)) == (expected.person, expected.capsule)
            assert limb == (expected.limb or '-')
        hit = touch(outlook, robot, *span)
        expected_touch = [hit.share, hit.at_most, *hit.of_capsule]
        np.testing.assert_allclose(
            np.array(found['touch'][0].split(), float), expected_touch, atol=1e-8
        )
    question = text_of(message, age_s, span, robot, pose)
    assert ask(distances, question)['reason'] == ['warming up'], 'unless it is asked for'


def test_nobody_is_known_to_be_there(distances: Path, make_prediction: Callable[..., Any]) -> None:
    message = make_prediction(people=0, samples=2)
    identity = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    question = text_of(message, 0.05, (0.1, 0.5), arm((1, 1, 1)), identity)
    answer = subprocess.run([distances], input=question, capture_output=True, text=True)
    assert 'nobody 1' in answer.stdout
    assert 'closest inf' in answer.stdout
    assert 'touch 0.0' in answer.stdout
