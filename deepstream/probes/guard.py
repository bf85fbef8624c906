"""What every probe is wrapped in: it never raises and never drops a buffer."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from deepstream.gst import Gst
from deepstream.meta import FrameMeta
from ropewatch.errors import RopewatchError

log = logging.getLogger("ropewatch.probes")


class Stage(Protocol):
    """The work of one probe on one frame of a batched buffer."""

    def __call__(self, frame: FrameMeta) -> None:
        """Work on the frame's metadata; anything raised is counted by the guard."""


@runtime_checkable
class BatchStage(Protocol):
    """The work of one probe on a whole batched buffer."""

    def take_batch(self, frames: Sequence[FrameMeta]) -> None:
        """Work on the metadata of all its frames together; raised is as with a Stage."""


@dataclass(slots=True)
class GuardedProbe:
    """Buffer probe around a stage; a failure is counted, logged once, and the buffer goes on.

    Each frame is guarded by itself, where the stage takes single frames: one camera's trouble is
    not its neighbours'.

    Attributes:
        name: of the stage.
        stage: its work.
        frames: walks the frames of a buffer.
        failed_frames: frames, or whole buffers, on which the stage failed.
        fatal: what an operator must correct before watching makes sense; ends the run.
    """

    name: str
    stage: Stage | BatchStage
    frames: Callable[[Any], Iterator[FrameMeta]]
    failed_frames: int = 0
    fatal: str | None = None

    def __call__(self, _pad: Any, info: Any) -> Any:
        """Run the stage on every frame; always answer OK."""
        # PyGObject turns an exception here into return value 0, which is DROP: the picture
        # would freeze while the pipeline still reports success (PyGObject 3.42).
        try:
            frames, stage = self.frames(info.get_buffer()), self.stage
            if isinstance(stage, BatchStage):
                stage.take_batch(list(frames))
                return Gst.PadProbeReturn.OK
            for frame in frames:
                self._run(stage, frame)
        except Exception as error:
            self._failed(error)
        return Gst.PadProbeReturn.OK

    def _run(self, stage: Stage, frame: FrameMeta) -> None:
        try:
            stage(frame)
        except RopewatchError as error:
            self.failed_frames += 1
            self.fatal = str(error)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.failed_frames += 1
        if self.failed_frames == 1:
            log.error("probe failed, frames pass through stage=%s", self.name, exc_info=error)
