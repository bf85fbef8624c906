"""What becomes of an encoder of snapshots that never answers: the run ends, later ones rest it.

Nothing can take the call back. NVIDIA's bindings hold the interpreter's lock in it, so that on a
device no thread of ours would even notice: the C thread of `faulthandler` does.
"""

import faulthandler
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from deepstream.meta import FrameMeta
from deepstream.snapshots import Encoder

log = logging.getLogger("ropewatch.snapshots")

# Longer than any encode that still comes; the run then ends in order.
ANSWER_TIMEOUT_S: Final = 10.0
# Where nothing of ours runs any more, the process ends as it is, with exit code 1.
EXIT_TIMEOUT_S: Final = 15.0
# For what a run does at its end: open incidents, the broker, the graph.
ENDING_TIMEOUT_S: Final = 60.0
REST_S: Final = 3600.0
TRACE_NAME: Final = "encoder-hung.txt"


class WatchedEncoder:
    """Bounds every call of an encoder, and leaves it alone for some time after one that hung.

    What a hung call leaves in `folder` is the stack of every thread: it tells the next run, and
    is taken away by the first picture after the rest.

    Args:
        make: starts the encoder.
        folder: `state_dir`.
        clock: monotonic seconds.

    Raises:
        BackendError: the encoder does not start.
    """

    def __init__(
        self,
        make: Callable[[], Encoder],
        folder: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make, self._clock = make, clock
        self._path = folder / TRACE_NAME
        self._trace = self._open_trace()
        self._encoder: Encoder | None = None
        self._since_s: float | None = None
        self._rests_until_s: float | None = None
        self._answered = False
        if self._trace is not None and os.fstat(self._trace.fileno()).st_size:
            self._rests_until_s = clock() + REST_S
            log.error(
                "no snapshots for %d s, the encoder hung before trace=%s", REST_S, self._path
            )
        else:
            with self._bounded():
                self._encoder = make()

    def jpeg(self, frame: FrameMeta) -> bytes:
        """Encode a frame.

        Raises:
            RuntimeError: the encoder gave nothing, or rests.
        """
        if self._rests_until_s is not None and self._clock() < self._rests_until_s:
            raise RuntimeError("the encoder hung in an earlier run, and rests")
        with self._bounded():
            if self._encoder is None:
                self._encoder = self._make()
            jpeg = self._encoder.jpeg(frame)
        self._answered = True
        return jpeg

    def close(self) -> None:
        """Let go of the encoder; the pipeline has stopped."""
        if self._encoder is not None:
            self._encoder.close()
        if self._trace is not None:
            self._trace.close()

    def look(self) -> str | None:
        """Say that a call does not come back, which is to end the run; None while all is well."""
        since_s = self._since_s
        if since_s is not None and self._clock() - since_s >= ANSWER_TIMEOUT_S:
            return self._give_up()
        if self._rests_until_s is not None and self._answered:
            self._rests_until_s = None
            if self._trace is not None:
                with suppress(OSError):
                    self._trace.truncate(0)
            log.info("the encoder works again")
        return None

    def troubles(self) -> list[str]:
        """Say that there are no pictures; empty while there are."""
        if self._rests_until_s is None:
            return []
        text = (
            "snapshots: the encoder hung in an earlier run, and is not used for "
            f"{REST_S / 60:.0f} minutes after the start; see {self._path}"
        )
        return [text]

    def _give_up(self) -> str:
        if self._trace is not None:
            with suppress(OSError):
                faulthandler.dump_traceback(self._trace, all_threads=True)
        # The end of a run has its own time, and must come.
        faulthandler.dump_traceback_later(ENDING_TIMEOUT_S, exit=True, file=self._where)
        return (
            f"snapshots: the object encoder has not answered for {ANSWER_TIMEOUT_S:g} s, want an "
            f"answer in milliseconds; the next run takes no pictures for {REST_S / 60:.0f} minutes"
        )

    @property
    def _where(self) -> IO[Any]:
        # Of the process, not what somebody has put in its place: it needs a file descriptor.
        return self._trace or sys.__stderr__  # type: ignore[return-value]  # None without a console

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        self._since_s = self._clock()
        faulthandler.dump_traceback_later(EXIT_TIMEOUT_S, exit=True, file=self._where)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._since_s = None

    def _open_trace(self) -> IO[bytes] | None:
        """Open the file in time: nothing can be opened by the thread that writes it."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self._path.open("ab", buffering=0)
        except OSError as error:
            log.warning("an encoder that hangs will not be known to the next run error=%s", error)
            return None
