"""The one thread in which the network runs."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

import torch

Result = TypeVar('Result')


class InferenceThread:
    """Runs everything that touches the network in one thread, the newest data first.

    One thread for loading, warming up and predicting is not a nicety: each thread that calls into
    torch gets its own OpenMP team, and with more teams than cores their threads go to sleep
    between operations, which doubles the time of a small network. CUDA graphs too must be
    captured and replayed by the same thread.

    Args:
        threads: CPU threads of the network.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self.restart()

    def restart(self) -> None:
        """Take a new thread; what the old one was asked for is forgotten."""
        self._thread: threading.Thread | None = None
        self._waiting = False
        self._busy_since_s: float | None = None
        self._pool = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix='inference', initializer=self._begin
        )

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run a function there and return its result, or raise what it raised."""
        return self._pool.submit(function, *arguments).result()

    def ask(self, job: Callable[[], None]) -> None:
        """Have a job run on the data as it will be then; asked thrice while busy, it runs once.

        Returns at once. The job must not raise.
        """
        if not self._waiting:
            self._waiting = True
            self._pool.submit(self._run, job)

    def busy_s(self) -> float:
        """Return for how long the job in hand has been running, 0 if there is none."""
        since_s = self._busy_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def has_died(self) -> bool:
        """Whether the thread has ended although nobody stopped it: it will do nothing more."""
        return self._thread is not None and not self._thread.is_alive()

    def drain(self, patience_s: float) -> bool:
        """Wait for everything asked for so far and return whether it was done in time."""
        if self.has_died():
            return True
        try:
            self._pool.submit(lambda: None).result(timeout=patience_s)
        except FutureTimeoutError:
            return False
        return True

    def stop(self) -> None:
        """End the thread after the job in hand, without waiting for it."""
        self._pool.shutdown(wait=False)

    def _begin(self) -> None:
        torch.set_num_threads(self._threads)
        self._thread = threading.current_thread()

    def _run(self, job: Callable[[], None]) -> None:
        self._waiting = False
        self._busy_since_s = time.monotonic()
        try:
            job()
        finally:
            self._busy_since_s = None
