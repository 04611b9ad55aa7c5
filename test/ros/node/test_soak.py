"""A soak test with three people and random faults. By default the test takes a minute.

SOAK_SECONDS=1800 make test ARGS='test/ros/node/test_soak.py -s'   prints the figures
"""

import json
import os
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from motion_predictor.archive import MotionArchive
from motion_predictor.msg import PredictedMotionArray, Skeleton, SkeletonArray
from motion_predictor.ros.node.outputs import flat, time_message

SECONDS = float(os.environ.get('SOAK_SECONDS', 60))
RATE_HZ = 30.0
GROWTH_MB = 40.0
"""Allowed growth after each fault has happened once, since the middleware keeps room for the
largest message."""
LATE_S = 1.0
NS = 1_000_000_000

Poses = dict[str, NDArray[np.float32]]
Fault = Callable[['Tracker', Poses], list[SkeletonArray]]


@dataclass
class Tracker:
    """Makes the messages of one frame, and remembers which of them are valid."""

    planner: Any
    generator: np.random.Generator
    honest: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=1000))
    """(stamp, number of people) of messages that the node may answer with OK."""
    newest: SkeletonArray | None = None

    def see(self, people: Poses) -> SkeletonArray:
        """Return a valid message, and remember it."""
        message = self.planner.message(people)
        stamp = message.header.stamp
        self.honest.append((stamp.sec * NS + stamp.nanosec, len(people)))
        self.newest = message
        return message


def nothing(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    return [tracker.see(people)]


def silence(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    return []


def nobody(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    return [tracker.see({})]


def somebody_leaves(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    return [tracker.see(dict(list(people.items())[1:]))]


def ids_switch(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    first, second, *others = people
    switched = {first: people[second], second: people[first]}
    return [tracker.see(switched | {name: people[name] for name in others})]


def hidden_joints(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    for pose in people.values():
        pose[tracker.generator.random(len(pose)) < 0.3] = np.nan
    return [tracker.see(people)]


def infinite(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    name = next(iter(people))
    people[name][:] = np.inf
    return [tracker.see(people)]


def outliers(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    for pose in people.values():
        pose[tracker.generator.integers(1, len(pose))] += 5
    return [tracker.see(people)]


def burst(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    return [tracker.see(people) for _ in range(17)]  # 17 messages per frame: about 500 Hz


def crowd(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    pose = next(iter(people.values()))
    return [tracker.see({f'{tracker.generator.random()}': pose for _ in range(100)})]


def from_the_future(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    return [_stamped(tracker, people, 10.0)]


def from_the_past(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    return [_stamped(tracker, people, -10.0)]


def repeated(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    return [tracker.newest or tracker.see(people)]


def optical(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    message = tracker.planner.message(people)
    message.header.frame_id = 'camera_depth_optical_frame'
    return [message]


def unknown_layout(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    message = tracker.planner.message(people)
    message.layout, message.joint_names = 'octopus', []
    return [message]


def wrong_length(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    message = tracker.planner.message(people)
    for skeleton in message.skeletons:
        skeleton.positions = flat(np.zeros(7, np.float32))
    return [message]


def ten_thousand_joints(tracker: Tracker, people: Poses) -> list[SkeletonArray]:
    message = tracker.planner.message({})
    message.layout, message.joint_names = '', [f'j{i}' for i in range(10_000)]
    message.skeletons = [Skeleton(id='giant', positions=flat(np.zeros(30_000, np.float32)))]
    return [message]


def _stamped(tracker: Tracker, people: Poses, seconds: float) -> SkeletonArray:
    message = tracker.planner.message(people)
    now_ns = tracker.planner.get_clock().now().nanoseconds
    message.header.stamp = time_message(now_ns + round(seconds * NS))
    return message


FAULTS: tuple[Fault, ...] = (
    silence,
    nobody,
    somebody_leaves,
    ids_switch,
    hidden_joints,
    infinite,
    outliers,
    burst,
    crowd,
    from_the_future,
    from_the_past,
    repeated,
    optical,
    unknown_layout,
    wrong_length,
    ten_thousand_joints,
)


class Judge:
    """Checks that each message of the node agrees with its status."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self.statuses: Counter[int] = Counter()
        self.ages_ms: list[float] = []
        self.predicted = 0

    def hear(self, message: PredictedMotionArray) -> None:
        """Check one message."""
        self.statuses[message.status] += 1
        stamp_ns = message.header.stamp.sec * NS + message.header.stamp.nanosec
        published_ns = message.published.sec * NS + message.published.nanosec
        for person in message.motions:
            if person.mean:
                self.predicted += 1
                assert np.isfinite(person.mean).all() and np.isfinite(person.samples).all()
                assert person.status in (message.OK, message.DEGRADED)
        if any(person.mean for person in message.motions):
            self.ages_ms.append((published_ns - stamp_ns) / 1e6)
        if message.status == message.OK:
            people = dict(self._tracker.honest).get(stamp_ns)
            assert people is not None, 'OK is about a message that could be used'
            assert len(message.motions) == people, 'OK is about everybody in it'
            assert all(len(person.mean) for person in message.motions)
            assert (published_ns - stamp_ns) / NS < LATE_S, 'OK is fresh'


def body_at(clips: Mapping[str, NDArray[np.float32]], frame: int) -> Poses:
    """Return the poses of all people at a frame, two metres apart."""
    return {
        name: clip[frame % len(clip)] + np.array([0, 2 * place, 0], np.float32)
        for place, (name, clip) in enumerate(clips.items())
    }


def test_soak(planner: Any, start: Any, bundled: MotionArchive) -> None:
    process = start('predictor')
    planner.wait_for(lambda: planner.received, 'the predictor publishes')
    memory = psutil.Process(process.popen.pid).memory_info
    generator = np.random.default_rng(0)
    clips = {name: bundled.clip(k % len(bundled)) for k, name in enumerate(('a', 'b', 'c'))}
    tracker = Tracker(planner, generator)
    judge = Judge(tracker)
    began_s = due_s = planner.get_clock().now().nanoseconds / NS
    settled_mb, fault, until_s, frame = 0.0, nothing, 5.0, 0
    first_round = list(FAULTS)
    happened: Counter[str] = Counter()
    while (time_s := due_s - began_s) < SECONDS:
        if time_s > until_s:  # faults alternate with times without a fault
            if fault is not nothing:
                fault = nothing
            elif first_round:
                fault = first_round.pop()
            else:
                settled_mb = settled_mb or memory().rss / 1e6
                fault = generator.choice(np.array(FAULTS))
            until_s = time_s + generator.uniform(0.1, 1.5)
            happened[fault.__name__] += 1
        for message in fault(tracker, body_at(clips, frame)):
            planner.publish(message)
        frame += 2
        due_s += 1 / RATE_HZ
        planner.spin(max(0.001, due_s - planner.get_clock().now().nanoseconds / NS))
        for received in planner.received:
            judge.hear(received)
        planner.received.clear()
    growth_mb = memory().rss / 1e6 - settled_mb
    age = dict(
        zip(('p50', 'p99', 'max'), np.percentile(judge.ages_ms, [50, 99, 100]), strict=True)
    )
    print(
        json.dumps(
            {
                'seconds': SECONDS,
                'predictions': judge.predicted,
                'age when published (ms)': {k: round(v, 1) for k, v in age.items()},
                'statuses': dict(judge.statuses),
                'faults': dict(happened),
                'memory (MB)': round(settled_mb),
                'growth (MB)': round(growth_mb, 1),
                'rejections': planner.rejections(),
            },
            indent=1,
        )
    )
    assert growth_mb < GROWTH_MB
    assert judge.predicted > SECONDS
    for step in range(60):  # after the faults, the status is OK
        planner.publish(tracker.see(body_at(clips, frame + 2 * step)))
        planner.spin(1 / RATE_HZ)
    planner.wait_for(lambda: planner.received, 'it publishes')
    assert planner.received[-1].status == PredictedMotionArray.OK
    assert process.popen.poll() is None
    assert 'Traceback' not in process.output
    assert 'inference thread failed' not in process.output
