"""What every probe is wrapped in: it never raises and never drops a buffer."""

import logging
from dataclasses import dataclass
from typing import Any, Protocol

from deepstream.gst import Gst

log = logging.getLogger("ropewatch.probes")


class Stage(Protocol):
    """The work of one probe on one batched buffer."""

    def __call__(self, buffer: Any) -> None:
        """Work on the buffer's metadata; anything raised is counted by the guard."""


@dataclass(slots=True)
class GuardedProbe:
    """Buffer probe around a stage; a failure is counted, logged once, and the buffer goes on."""

    name: str
    stage: Stage
    failed_buffers: int = 0
    buffers: int = 0

    def __call__(self, _pad: Any, info: Any) -> Any:
        """Run the stage; always answer OK."""
        try:
            self.buffers += 1
            self.stage(info.get_buffer())
        except Exception:
            # PyGObject turns an exception here into return value 0, which is DROP: the picture
            # would freeze while the pipeline still reports success (PyGObject 3.42).
            self.failed_buffers += 1
            if self.failed_buffers == 1:
                log.exception("probe failed, buffers pass through stage=%s", self.name)
        return Gst.PadProbeReturn.OK
