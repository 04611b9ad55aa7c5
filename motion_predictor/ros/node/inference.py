"""The one thread in which the network runs, and the loop that it executes."""

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
"""A shorter wait leaves other threads no time."""


class Loop:
    """Does work whenever messages arrive.

    Args:
        intake: waits for messages.
        work: does all the work at hand. It must not raise.
        precedence: real-time priority of the thread that runs the loop.
    """

    def __init__(self, intake: Intake, work: Callable[[], None], precedence: Precedence) -> None:
        self._intake = intake
        self._work = work
        self._precedence = precedence
        self.told_to_end = False
        self.error = ''
        """The error that ended the loop; empty if there was none."""
        self._ended = threading.Event()
        self._rested_s = time.monotonic()
        self._busy_since_s: float | None = self._rested_s  # busy until `run` begins

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
        except BaseException as error:  # the watchdog runs the loop again
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
        """End the loop, and return whether the work in hand was finished within `patience_s`."""
        self.told_to_end = True
        self._intake.ring()
        return self._ended.wait(patience_s)

    def busy_s(self) -> float:
        """Return how long the present work has taken so far, seconds; 0 if the loop waits.

        Before `run` begins, this is the time since the loop was made.
        """
        since_s = self._busy_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def restless_s(self) -> float:
        """Return how long the loop has worked without a pause, seconds; 0 if it waits."""
        return 0.0 if self._busy_since_s is None else time.monotonic() - self._rested_s

    def has_died(self) -> bool:
        """Whether the loop ended without being told to."""
        return self._ended.is_set() and not self.told_to_end


class InferenceThread:
    """Runs everything that touches the network in one thread.

    Loading, warming up and predicting share one thread for two reasons. First, each thread that
    calls torch gets its own OpenMP team. If there are more teams than cores, their threads sleep
    between operations, which doubles the time of a small network. Second, a CUDA graph must be
    captured and replayed by the same thread.

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
        """Run a function in the thread. Return its result, or raise the error that it raised.

        If a loop is running in the thread, this call waits for its end.
        """
        return self._pool.submit(function, *arguments).result()

    def run(self, loop: Loop) -> None:
        """Start a loop in the thread, which runs until it is told to end. Returns at once."""
        self._pool.submit(loop.run)

    def stop(self) -> None:
        """End the thread after the work in hand, without waiting for it."""
        self._pool.shutdown(wait=False)
