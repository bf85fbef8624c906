"""A build's progress: TensorRT's phases as bars with the time that is left of each."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def bars(title: str) -> "Iterator[Callable[[Any], Any]]":
    """Show bars while a build runs; gives what makes the monitor for TensorRtRoad.

    TensorRT tells phases with a number of steps each and no times; what remains is rich's
    estimate from the steps done, phase by phase.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    # Lines of a build that are piped into a file belong there, not among the bars.
    redirect = sys.stdout.isatty()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=redirect) as progress:
        progress.add_task(title, total=None)
        yield lambda trt: make_monitor(trt, progress)


def make_monitor(trt: Any, progress: Progress) -> Any:
    """Make a `trt.IProgressMonitor` that moves bars; TensorRT calls it from several threads.

    Its `stopped` says that the operator pressed Ctrl-C: an exception must not cross TensorRT's
    C++, so the build is asked to end, and whoever started it raises.
    """

    class Monitor(trt.IProgressMonitor):
        """One build."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.stopped = False
            self._lock = threading.Lock()
            self._depths: dict[str, int] = {}
            self._tasks: dict[str, TaskID] = {}

        def phase_start(self, phase_name: str, parent_phase: "str | None", num_steps: int) -> None:
            try:
                with self._lock:
                    depth = self._depths.get(parent_phase or "", 0) + 1
                    self._depths[phase_name] = depth
                    self._tasks[phase_name] = progress.add_task(
                        "  " * depth + phase_name, total=num_steps
                    )
            except KeyboardInterrupt:
                self.stopped = True

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                with self._lock:
                    progress.update(self._tasks[phase_name], completed=step + 1)
            except KeyboardInterrupt:
                self.stopped = True
            return not self.stopped

        def phase_finish(self, phase_name: str) -> None:
            try:
                with self._lock:
                    progress.remove_task(self._tasks.pop(phase_name))
                    del self._depths[phase_name]
            except KeyboardInterrupt:
                self.stopped = True

    return Monitor()
