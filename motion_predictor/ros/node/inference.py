"""Runs the network, and the loop that makes predictions, in one thread."""

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
"""A wait for messages that is shorter than this leaves other threads no time to run."""


class Loop:
    """Waits for messages, and calls `work` whenever some have arrived.

    Args:
        intake: subscription whose messages the loop waits for.
        work: function that reads all waiting messages and predicts. `work` must not raise.
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
        # From its creation until `run` begins, the loop counts as busy.
        self._busy_since_s: float | None = self._rested_s

    def run(self) -> None:
        """Wait for messages and work on them until `end` is called."""
        self._ended.clear()
        self._busy_since_s, self._rested_s = None, time.monotonic()
        try:
            with self._precedence:
                while not self.told_to_end:
                    self._wait()
                    self._busy_since_s = time.monotonic()
                    self._work()
                    self._busy_since_s = None
        except BaseException as error:  # the watchdog starts this loop again after any error
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
        """End the loop, and return whether the running prediction finished within `patience_s`."""
        self.told_to_end = True
        self._intake.ring()
        return self._ended.wait(patience_s)

    def busy_s(self) -> float:
        """Return how long the running prediction has taken so far, seconds; 0 if the loop waits.

        Before `run` begins, return the time since the loop was made.
        """
        since_s = self._busy_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def restless_s(self) -> float:
        """Return how long the loop has worked without a pause, seconds; 0 if the loop waits."""
        return 0.0 if self._busy_since_s is None else time.monotonic() - self._rested_s

    def has_died(self) -> bool:
        """Whether the loop ended although nobody called `end`."""
        return self._ended.is_set() and not self.told_to_end


class InferenceThread:
    """Loads and runs the network in one thread of its own.

    Loading, warming up and predicting share one thread for two reasons. First, OpenMP starts a
    separate team of threads for each thread that calls torch. If all OpenMP teams
    together have more threads than the CPU has cores, these threads sleep between operations. A
    small network then takes twice as long. Second, only the thread that captures a CUDA graph
    (recorded operations of the GPU) may replay this graph.

    Args:
        threads: number of CPU threads that the network may use.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(
            max_workers=1,
            thread_name_prefix='inference',
            initializer=torch.set_num_threads,
            initargs=(threads,),
        )

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run a function in the inference thread, and return its result or raise its error.

        If a loop is running in the thread, `call` waits until the loop ends.
        """
        return self._pool.submit(function, *arguments).result()

    def run(self, loop: Loop) -> None:
        """Start a loop in the inference thread, and return at once.

        The loop runs until `Loop.end` is called.
        """
        self._pool.submit(loop.run)

    def stop(self) -> None:
        """End the inference thread after its present work, and return at once."""
        self._pool.shutdown(wait=False)
