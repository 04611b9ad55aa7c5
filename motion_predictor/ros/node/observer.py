"""Turns the messages that arrive into a list of the people who are present."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from motion_predictor.ros.node.clock import NodeClock
from motion_predictor.ros.node.complaints import Complaints
from motion_predictor.ros.node.diagnostics import Health
from motion_predictor.ros.node.reader import Scan
from motion_predictor.ros.node.setup import Setup
from motion_predictor.ros.node.silence import Stopwatch
from motion_predictor.ros.node.stamps import Stamps
from motion_predictor.sources.source import InputError
from motion_predictor.tracking.people import People
from motion_predictor.tracking.scene import Scene


@dataclass(frozen=True)
class News:
    """The newest observation for which no prediction has been made yet."""

    scene: Scene | None
    """All people of the observation; None if all histories were forgotten meanwhile."""
    arrived_s: float
    """Time at which the observation arrived, by `time.monotonic`."""
    age_ms: float
    """Age of the observation when it arrived."""


class Observer:
    """Reads messages and tracks the people in them. Any thread may call any method.

    Args:
        clock: clock of the node.
        setup: objects that the node's parameters describe.
        people: tracker of the people, used from the start.
        health: counter of events for diagnostics.
        complaints: reports problems to the log and to the diagnostics.
    """

    def __init__(
        self,
        clock: NodeClock,
        setup: Setup,
        people: People,
        health: Health,
        complaints: Complaints,
    ) -> None:
        self._clock = clock
        self._setup = setup
        self.people = people
        """The people who are there, with their histories."""
        self._health = health
        self._complaints = complaints
        # Guards `setup.input`. A thread that waits for tf may have this lock for a long time.
        self._reading = threading.Lock()
        self._lock = threading.Lock()  # guards `people` and the state of the newest observation
        self._stamps = Stamps()
        self._since_usable = Stopwatch(clock)
        self._arrived_s = self._age_ms = 0.0
        self.has_news = False
        """Whether an observation has come for which no prediction has been made yet."""
        setup.input.clear()

    # What arrives

    def read(self, message: Any, received_s: float) -> None:
        """Read a message of the source, and update the tracked people.

        Args:
            message: message of the type that the source reads.
            received_s: time at which the middleware received the message, by `time.time`, seconds.
        """
        self._health.count('received')
        waited_s = max(0.0, time.time() - received_s)
        self._take(partial(self._setup.input.read, message), waited_s)

    def sample(self) -> None:
        """Read the people from tf, and update the tracked people."""
        self._take(self._setup.input.sample)

    def _take(self, read: Callable[[int], Scan | None], waited_s: float = 0.0) -> None:
        refusal = ''
        arrived_s = time.monotonic() - waited_s
        self._clock.look()
        with self._reading:
            now_ns = self._clock.now_ns()
            try:
                scan = read(now_ns)
                age_ms = self._age_at_arrival_ms(scan, now_ns, waited_s)
            except Exception as error:  # readers raise InputError, or any error on bad content
                scan, refusal = None, str(error) or type(error).__name__
                with self._lock:  # people are present even if their message is refused
                    self.people.somebody(getattr(error, 'people', 1), now_ns)
            if scan is not None:
                self._stamps.see(age_ms)
                robot = self._robot_position(now_ns)
                with self._lock:
                    self.people.prefer(robot, self._setup.values['max_people'])
                    self._observe(scan, arrived_s, age_ms, now_ns)
        if refusal:
            self._complaints.refuse('message refused', refusal)

    def _observe(self, scan: Scan, arrived_s: float, age_ms: float, now_ns: int) -> None:
        people, unreadable = self.people, scan.rejected.total()
        if people.update(scan.stamp_ns, scan.observations, scan.frame_id, unreadable, now_ns):
            self.has_news = True
            self._since_usable.start()
            self._arrived_s, self._age_ms = arrived_s, age_ms
        if rejected := scan.rejected + people.rejected:
            self._health.reject(rejected)
            people.rejected.clear()
        if people.feed.restarts:
            self._health.count('restarted')
            people.feed.restarts = 0
        for reason, sentence in people.remarks.items():
            self._complaints.remark(reason, sentence)
        people.remarks.clear()

    def _robot_position(self, now_ns: int) -> list[float]:
        """Return the position of the robot, from tf or from the parameter `robot_position`."""
        values = self._setup.values
        if values['robot_frame']:
            try:
                return self._setup.input.robot_place(values['robot_frame'], now_ns)
            except InputError as error:
                self._complaints.remark('robot_frame', str(error))
        position: list[float] = values['robot_position']
        return position

    def _age_at_arrival_ms(self, scan: Scan | None, now_ns: int, waited_s: float) -> float:
        """Return the age of a scan (one message's people) when it arrived, in milliseconds.

        Raises:
            InputError: if the stamp of the scan lies more than `max_ahead_s` in the future.
        """
        if scan is None:
            return 0.0
        age_ms = (now_ns - scan.stamp_ns) / 1e6 - 1000 * waited_s
        if age_ms < -1000 * self._setup.values['max_ahead_s']:
            raise InputError(
                f'header.stamp lies {-age_ms / 1000:.3f} s in the future: are the clocks of '
                'source and predictor in step?',
                len(scan.observations) + scan.rejected.total(),
            )
        return age_ms

    # The people who are present

    def begin_afresh(self, people: People) -> None:
        """Replace the tracker `people` by a new one that has no histories."""
        with self._lock:
            people.succeed(self.people, self._clock.now_ns())
            self.people = people

    def prefer(self, robot_position: list[float], max_people: int) -> None:
        """Set which people are predicted if there are more than `max_people`."""
        with self._lock:
            self.people.prefer(robot_position, max_people)

    def forget(self) -> None:
        """Forget all histories, for example when time jumps."""
        with self._reading, self._lock:
            self.people.clear(self._clock.now_ns())
            self._setup.input.clear()

    def news(self) -> News:
        """Return the newest observation, with the history windows to predict from."""
        with self._lock:
            self.has_news = False
            scene = self.people.scene(self._clock.now_ns())
            return News(scene, self._arrived_s, self._age_ms)

    def scene_or_nobody(self) -> Scene:
        """Return all listed people without history windows; an empty scene before any input."""
        with self._lock:
            return self.people.listing(self._clock.now_ns()) or Scene(0, '', ())

    # State of the input

    def is_stale(self) -> bool:
        """Whether no usable input has come for longer than `stale_after_s`."""
        return self._since_usable.elapsed_s() > self._setup.values['stale_after_s']

    def doubts(self) -> dict[str, str]:
        """Return diagnostic values about problems that the input may have."""
        doubts = {'stamps': self._stamps.doubt(), 'frame': self._setup.input.footing.doubt}
        for name, doubt in doubts.items():
            if doubt:
                self._complaints.mention(name, doubt)
        return {name: doubt or 'no problem is known' for name, doubt in doubts.items()}
