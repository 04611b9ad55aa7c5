"""The one thread in which the network runs, and what it does there."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

from motion_predictor.common.problems import one_line
from motion_predictor.ros.node.receiver import Intake
from motion_predictor.ros.node.scheduling import Precedence

Result = TypeVar('Result')

REST_S = 0.001
"""A shorter wait leaves no time to others."""


class Loop:
    """Work that is done whenever something comes in.

    Args:
        intake: where to wait.
        work: does all that there is to do. It must not raise.
        precedence: of the thread that runs the loop.
    """

    def __init__(self, intake: Intake, work: Callable[[], None], precedence: Precedence) -> None:
        self._intake = intake
        self._work = work
        self._precedence = precedence
        self.told_to_end = False
        self.error = ''
        """What it fell over, if it did."""
        self._ended = threading.Event()
        self._rested_s = time.monotonic()
        self._busy_since_s: float | None = self._rested_s  # whatever it has to wait for

    def run(self) -> None:
        """Wait and work until told to end."""
        self._ended.clear()
        self._busy_since_s, self._rested_s = None, time.monotonic()
        try:
            with self._precedence:
                while not self.told_to_end:
                    self._wait()
                    self._busy_since_s = time.monotonic()
                    self._work()
                    self._busy_since_s = None
        except BaseException as error:  # it can be run again
            self.error = one_line(error)
        finally:
            self._busy_since_s = None
            self._ended.set()

    def _wait(self) -> None:
        began_s = time.monotonic()
        self._intake.wait()
        ended_s = time.monotonic()
        if ended_s - began_s > REST_S:
            self._rested_s = ended_s
            self._precedence.resume()

    def end(self, patience_s: float) -> bool:
        """End it and return whether the work in hand was done in time."""
        self.told_to_end = True
        self._intake.ring()
        return self._ended.wait(patience_s)

    def busy_s(self) -> float:
        """Return for how long it has worked, or waited to begin; 0 if it has nothing to do."""
        since_s = self._busy_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def restless_s(self) -> float:
        """Return for how many seconds it has run without a pause; 0 if it waits."""
        return 0.0 if self._busy_since_s is None else time.monotonic() - self._rested_s

    def has_died(self) -> bool:
        """Whether it ended by itself."""
        return self._ended.is_set() and not self.told_to_end


class InferenceThread:
    """Runs everything that touches the network in one thread.

    Loading, warming up and predicting share one thread for two reasons. Each thread that calls
    torch gets its own OpenMP team; with more teams than cores their threads sleep between
    operations, which doubles the time of a small network. And CUDA graphs must be captured and
    replayed by the same thread.

    Args:
        threads: CPU threads of the network.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(
            max_workers=1,
            thread_name_prefix='inference',
            initializer=torch.set_num_threads,
            initargs=(threads,),
        )

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run a function there and return its result, or raise what it raised.

        It waits for a loop that runs there to end.
        """
        return self._pool.submit(function, *arguments).result()

    def run(self, loop: Loop) -> None:
        """Run a loop there until it is told to end. Returns at once."""
        self._pool.submit(loop.run)

    def stop(self) -> None:
        """End the thread after the work in hand, without waiting for it."""
        self._pool.shutdown(wait=False)
