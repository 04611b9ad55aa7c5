"""One thread that works on the newest data: asked thrice while busy, it runs once more."""

import threading
from collections.abc import Callable


class LatestWorker:
    """Runs a job in its own thread whenever asked; what arrives meanwhile is served together.

    Args:
        job: must not raise.
        name: of the thread.
    """

    def __init__(self, job: Callable[[], None], name: str) -> None:
        self._job = job
        self._wanted = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Have the job run on the data as it is now; returns at once."""
        self._wanted.set()

    def is_alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the thread after the job in hand."""
        self._stopping = True
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._stopping:
                return
            self._job()
