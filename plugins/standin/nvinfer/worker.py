"""A thread that does jobs in order, as nvinfer's input and output threads do theirs."""

import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]

# Buffers that wait are bounded by the muxer's pool on a device; here by this.
_MAX_WAITING = 8


class Worker:
    """Does one job after the other; a job must not raise."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.Queue[Job | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Append a job; waits while too many do."""
        self._jobs.put(job)

    def drain(self) -> None:
        """Wait until everything that was put so far is done."""
        self._jobs.join()

    def stop(self) -> None:
        """Do what was put so far, and end."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if job is not None:
                job()
            # Not before: a job may hold a buffer, which has to go with it.
            ended, job = job is None, None
            self._jobs.task_done()
            if ended:
                return
