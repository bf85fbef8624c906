"""What every probe is wrapped in: it never raises and never drops a buffer."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from deepstream.gst import Gst
from deepstream.meta import FrameMeta
from ropewatch.errors import RopewatchError

log = logging.getLogger("ropewatch.probes")


class Stage(Protocol):
    """The work of one probe on one frame of a batched buffer."""

    def __call__(self, frame: FrameMeta) -> None:
        """Work on the frame's metadata; anything raised is counted by the guard."""


@dataclass(slots=True)
class GuardedProbe:
    """Buffer probe around a stage; a failure is counted, logged once, and the buffer goes on.

    Each frame is guarded by itself: one camera's trouble is not its neighbours'.

    Attributes:
        name: of the stage.
        stage: its work.
        frames: walks the frames of a buffer.
        failed_frames: frames, or whole buffers, on which the stage failed.
        fatal: what an operator must correct before watching makes sense; ends the run.
    """

    name: str
    stage: Stage
    frames: Callable[[Any], Iterator[FrameMeta]]
    failed_frames: int = 0
    fatal: str | None = None

    def __call__(self, _pad: Any, info: Any) -> Any:
        """Run the stage on every frame; always answer OK."""
        # PyGObject turns an exception here into return value 0, which is DROP: the picture
        # would freeze while the pipeline still reports success (PyGObject 3.42).
        try:
            for frame in self.frames(info.get_buffer()):
                self._run(frame)
        except Exception as error:
            self._failed(error)
        return Gst.PadProbeReturn.OK

    def _run(self, frame: FrameMeta) -> None:
        try:
            self.stage(frame)
        except RopewatchError as error:
            self.failed_frames += 1
            self.fatal = str(error)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.failed_frames += 1
        if self.failed_frames == 1:
            log.error("probe failed, frames pass through stage=%s", self.name, exc_info=error)
