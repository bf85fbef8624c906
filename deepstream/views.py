"""Looks at each camera's own picture, beside the graph: a camera may send one that shows nothing.

Twice a second one frame is taken where the camera enters the muxer, made small by a pipeline of
its own, and weighed by `ropewatch.view`. Nothing is linked to the graph: a probe takes one frame
and is gone, so that an error, an end or a hang here is no concern of the watching. At most one
frame of a camera is held at a time; decoders have few.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deepstream.graph import link_in_order, make_element
from deepstream.gst import Gst
from deepstream.plan import ViewSpec
from deepstream.reference_file import ReferenceFile
from ropewatch.errors import RopewatchError
from ropewatch.load import redact
from ropewatch.observations import CLEAR, View
from ropewatch.reference import HEIGHT_PX, WIDTH_PX
from ropewatch.view import ViewCondition, ViewWatch

log = logging.getLogger("ropewatch.views")

EVERY_S: Final = 0.5
# An element that has swallowed a frame for this long gives it back no more.
ANSWER_WITHIN_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 5.0


class CameraView:
    """The small pipeline of one camera, and what its pictures were worth.

    Attributes:
        camera: its name.
        lost: why nobody looks at its picture any more, in words; None while somebody does.

    Args:
        spec: from the plan.
        pad: the muxer's, where the camera's frames are taken.
        watch: weighs the pictures.
        file: keeps its reference of the right view; None: nobody does.
    """

    def __init__(
        self, spec: ViewSpec, pad: Any, watch: ViewWatch, file: ReferenceFile | None = None
    ) -> None:
        self.camera = spec.camera
        self.lost: str | None = None
        self._file = file
        self._spec, self._pad, self._watch = spec, pad, watch
        self._pipeline = Gst.Pipeline.new(f"view-{spec.camera}")
        self._entry: Any = None
        self._exit: Any = None
        self._armed = False
        # When the frame that is in the pipeline was taken; None while none is.
        self._taken_s: float | None = None

    @property
    def view(self) -> View:
        """What the newest picture says; nothing where nobody looks."""
        return CLEAR if self.lost is not None else self._watch.view

    @property
    def condition(self) -> ViewCondition | None:
        """Why the camera is blind by its picture; None while it is not, or nobody looks."""
        return None if self.lost is not None else self._watch.condition

    def troubles(self) -> Iterator[str]:
        """Say what does not work of it; nothing while all does."""
        if self.lost is not None:
            yield f"its picture is not looked at, {self.lost}"
        if self._file is not None and self._file.trouble is not None:
            yield self._file.trouble

    def start(self) -> None:
        """Make the pipeline and start it; it waits for a frame."""
        try:
            elements = [make_element(spec) for spec in self._spec.elements]
            for element in elements:
                self._pipeline.add(element)
            link_in_order(elements)
        except RopewatchError as error:
            self.lose(str(error))
            return
        self._entry, self._exit = elements[0], elements[-1]
        if self._pipeline.set_state(Gst.State.PLAYING) == Gst.StateChangeReturn.FAILURE:
            self.lose(self._error() or "its elements do not start")

    def turn(self) -> None:
        """Weigh the picture that has come out, and have the next frame taken."""
        if self.lost is not None:
            return
        error = self._error()
        if error is not None:
            self.lose(error)
            return
        sample, taken_s = self._exit.emit("try-pull-sample", 0), self._taken_s
        if sample is not None and taken_s is not None:
            self._watch.look(_luma(sample.get_buffer()), taken_s)
            if self._file is not None:
                self._file.keep(self._watch.reference)
            self._taken_s = taken_s = None
        if taken_s is not None:
            if time.monotonic() - taken_s > ANSWER_WITHIN_S:
                self.lose(f"no picture within {ANSWER_WITHIN_S:g} s of its frame")
        elif not self._armed:
            self._armed = True
            self._pad.add_probe(Gst.PadProbeType.BUFFER, self._take)

    def lose(self, text: str) -> None:
        """Look no more at this camera's picture, and say why."""
        self.lost = redact(text)
        log.error(
            "picture not looked at, watching goes on camera=%s reason=%s", self.camera, self.lost
        )
        # Off this thread: it waits for the elements, one of which may hang.
        threading.Thread(target=self.stop, name="lose-view", daemon=True).start()

    def stop(self) -> None:
        """Stop the elements; what a probe still hands over is refused by them."""
        self._pipeline.set_state(Gst.State.NULL)

    def _take(self, pad: Any, info: Any) -> Any:
        """Hand one frame over, on the camera's own thread, and leave the pad alone again."""
        try:
            self._taken_s = time.monotonic()
            sample = Gst.Sample.new(info.get_buffer(), pad.get_current_caps(), None, None)
            self._entry.emit("push-sample", sample)
        except Exception:
            # As in every probe: what is raised here would drop the frame.
            log.exception("frame not looked at camera=%s", self.camera)
        self._armed = False
        return Gst.PadProbeReturn.REMOVE

    def _error(self) -> str | None:
        message = self._pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
        if message is None:
            return None
        error, _debug = message.parse_error()
        return f"{message.src.get_name()}: {error.message}"


class Views:
    """Looks at the cameras' pictures in turn, on a thread of its own.

    Args:
        cameras: by position of the source; those whose pictures nobody wants looked at are left
            out.
    """

    def __init__(self, cameras: Mapping[int, CameraView]) -> None:
        self._cameras = cameras
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="views", daemon=True)

    def view(self, index: int) -> View:
        """Return what is known of a camera's picture; safe from any thread."""
        camera = self._cameras.get(index)
        return CLEAR if camera is None else camera.view

    def condition(self, index: int) -> ViewCondition | None:
        """Say why a camera is blind by its picture; safe from any thread."""
        camera = self._cameras.get(index)
        return None if camera is None else camera.condition

    def troubles(self) -> list[str]:
        """Say whose picture is not looked at although it should be, and what else fails."""
        return [
            f"camera {camera.camera}: {trouble}"
            for camera in self._cameras.values()
            for trouble in camera.troubles()
        ]

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; elements that hang are left behind after some time."""
        self._stop.set()
        self._thread.join(CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            log.error("views hang while they stop, left behind timeout_s=%g", CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        for camera in self._cameras.values():
            self._guarded(camera, camera.start)
        while not self._stop.wait(EVERY_S):
            for camera in self._cameras.values():
                self._guarded(camera, camera.turn)
        for camera in self._cameras.values():
            if camera.lost is None:
                camera.stop()

    def _guarded(self, camera: CameraView, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            # The others are still to be looked at.
            log.exception("view failed camera=%s", camera.camera)
            camera.lose(repr(error))


def _luma(buffer: Any) -> npt.NDArray[np.uint8]:
    """Return the (HEIGHT_PX, WIDTH_PX) luma of an NV12 buffer, copied.

    Lines of 256 bytes are as long as any alignment asks for, so none is padded.
    """
    size_bytes = WIDTH_PX * HEIGHT_PX
    luma = np.frombuffer(buffer.extract_dup(0, size_bytes), np.uint8)
    return luma.reshape(HEIGHT_PX, WIDTH_PX)
