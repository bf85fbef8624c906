"""The branch that makes the annotated video, which must never take the watching down with it."""

import logging
import threading
from typing import Any

from deepstream.gst import Gst
from ropewatch.load import redact

log = logging.getLogger("ropewatch.picture")


class PictureBranch:
    """Knows the branch's elements, and takes them out of the pipeline once one of them fails.

    Attributes:
        lost: what went wrong, in words; None while the branch works.
        dropped: pictures of live cameras that the encoder or the disk was too slow for.

    Args:
        pipeline: the Gst.Pipeline that holds the branch.
        guard: the element that stays, and answers the tee when nothing follows it any more.
        elements: those behind the guard, in their order; the first is a queue.
    """

    def __init__(self, pipeline: Any, guard: Any, elements: tuple[Any, ...]) -> None:
        self.lost: str | None = None
        self.dropped = 0
        self._pipeline, self._guard, self._elements = pipeline, guard, elements
        if elements[0].get_property("leaky").value_nick != "no":
            elements[0].connect("overrun", self._count_drop)

    def troubles(self) -> list[str]:
        """Say what is wrong with the video; empty while nothing is."""
        return [] if self.lost is None else [f"annotated video: {self.lost}"]

    def owns(self, element: Any) -> bool:
        """Say whether an element is one of the branch, or inside one."""
        while element is not None:
            if element in self._elements:
                return True
            element = element.get_parent()
        return False

    def lose(self, text: str) -> bool:
        """Note what failed and say so; True the first time, when `take_out` is to follow."""
        if self.lost is not None:
            return False
        self.lost = text
        log.error("annotated video lost, watching goes on reason=%s", redact(text))
        return True

    def take_out(self) -> None:
        """Cut the branch off, stop it from its end on, and remove it from the pipeline.

        Only then does the trunk alone decide when the graph is at its end. Waits for the branch's
        threads, and for its disk.
        """
        for element in self._elements:
            element.set_locked_state(True)
        self._cut()
        for element in reversed(self._elements):
            element.set_state(Gst.State.NULL)
            self._pipeline.remove(element)

    def _cut(self) -> None:
        """Unlink the branch between two buffers.

        One that waited before the queue would come back to the trunk as FLUSHING when the queue
        stops, and that stops the trunk without a word.
        """
        is_cut = threading.Event()

        def cut(pad: Any, _info: Any) -> Any:
            pad.unlink(pad.get_peer())
            is_cut.set()
            return Gst.PadProbeReturn.REMOVE

        self._guard.get_static_pad("src").add_probe(Gst.PadProbeType.IDLE, cut)
        is_cut.wait()

    def _count_drop(self, _queue: Any) -> None:
        self.dropped += 1
