"""Runs a built graph until it ends, and says how it ended.

A source that fails is taken out and the others go on, and so is the annotated video's branch; an
error anywhere else ends the run.
SIGINT and SIGTERM drain the graph, so that files are closed and incidents end.
"""

import functools
import logging
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from deepstream.graph import Graph
from deepstream.gst import GLib, Gst
from ropewatch.load import redact

log = logging.getLogger("ropewatch.bus")

TICK_MS: Final = 1000
DRAIN_TIMEOUT_S: Final = 8
CLOSE_TIMEOUT_S: Final = 10
START_TIMEOUT_S: Final = 120  # an nvinfer on a Jetson deserialises its engine here


@dataclass(slots=True)
class Outcome:
    """How the run ended.

    Attributes:
        stopped: by a signal.
        fatal: the error that ended it, in words; None when it ended by itself.
        failed_sources: what each lost source said, by position.
        undrained: the graph did not finish within its time when asked to stop.
    """

    stopped: bool = False
    fatal: str | None = None
    failed_sources: dict[int, str] = field(default_factory=dict)
    undrained: bool = False


@dataclass(slots=True)
class BusHandlers:
    """What the application wants to know while the graph runs; all called on the main thread."""

    on_tick: Callable[[], None]
    on_source_failed: Callable[[int, str], None]
    on_source_ended: Callable[[int], None]


class GraphRunner:
    """Drives one graph from NULL to its end.

    Args:
        graph: from `deepstream.graph.build_graph`.
        source_names: element names of the sources, in pad order.
        reconnecting: positions of the sources that connect again by themselves; an error in
            one of them is a warning, and the camera stays in the graph.
        handlers: callbacks.
    """

    def __init__(
        self,
        graph: Graph,
        source_names: tuple[str, ...],
        reconnecting: frozenset[int],
        handlers: BusHandlers,
    ) -> None:
        self.outcome = Outcome()
        self._graph = graph
        self._source_names = source_names
        self._reconnecting = reconnecting
        self._handlers = handlers
        self._loop = GLib.MainLoop()
        self._draining: threading.Thread | None = None

    def run(self) -> Outcome:
        """Start everything and wait for the end; `close` comes after it."""
        bus = self._graph.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message", self._on_message)
        if not self._start():
            return self.outcome
        # Only now: while the elements start, which may take minutes, a signal ends the process.
        timers = [GLib.timeout_add(TICK_MS, self._tick)]
        timers += [
            GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, self.stop)
            for number in (signal.SIGINT, signal.SIGTERM)
        ]
        try:
            self._loop.run()
        finally:
            for timer in timers:
                GLib.source_remove(timer)
        return self.outcome

    def fail(self, text: str) -> None:
        """End the run: what the operator must correct has been found while it ran."""
        self.outcome.fatal = text
        self._loop.quit()

    def close(self) -> bool:
        """Stop all elements; False when one hangs, and is left behind after some time.

        NULL waits for the elements' own threads, and some are known to hang (RTSP at the end of
        a stream on GStreamer 1.20 and 1.24), so nothing that must be said may come after this.
        """
        closing = threading.Thread(target=self._shut_down, name="close", daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT_S)
        if closing.is_alive():
            log.error("graph hangs while it stops, left behind timeout_s=%d", CLOSE_TIMEOUT_S)
            self.outcome.undrained = True
        self._graph.pipeline.get_bus().remove_signal_watch()
        return not closing.is_alive()

    def stop(self) -> bool:
        """Drain the graph; a second call ends it at once."""
        if self._draining is not None:
            self.outcome.undrained = True
            self._loop.quit()
            return True
        log.info("stopping, draining the graph")
        self.outcome.stopped = True
        self._draining = threading.Thread(target=self._drain, name="drain", daemon=True)
        self._draining.start()
        GLib.timeout_add_seconds(DRAIN_TIMEOUT_S, self._give_up)
        return True

    def _start(self) -> bool:
        """Start the trunk, then each source by itself: one that cannot start stops no other."""
        pipeline = self._graph.pipeline
        sources = [self._graph.elements[name] for name in self._source_names]
        for source in sources:
            source.set_locked_state(True)
        if not self._start_trunk():
            return False
        for index, source in enumerate(sources):
            # What gst_bin does for children that start with it.
            source.set_clock(pipeline.get_clock())
            source.set_base_time(pipeline.get_base_time())
            source.set_locked_state(False)
            if source.set_state(Gst.State.PLAYING) == Gst.StateChangeReturn.FAILURE:
                said = self._first_error(functools.partial(_is_inside, owner=source))
                self._lose_source(index, said or "cannot be opened")
        return True

    def _start_trunk(self) -> bool:
        """Start all but the sources; without the annotated video when that is what fails."""
        pipeline, picture = self._graph.pipeline, self._graph.picture
        pipeline.set_state(Gst.State.PLAYING)
        result, _state, _pending = pipeline.get_state(START_TIMEOUT_S * Gst.SECOND)
        if result != Gst.StateChangeReturn.FAILURE:
            return True
        if picture is not None:
            text = self._first_error(picture.owns)
            if text is not None and picture.lose(text):
                pipeline.set_state(Gst.State.NULL)
                picture.take_out()
                return self._start_trunk()
        self.outcome.fatal = self._first_error(lambda _by: True) or "the graph does not start"
        return False

    def _first_error(self, concerns: Callable[[Any], bool]) -> str | None:
        """Take the first waiting error whose element `concerns` us."""
        bus = self._graph.pipeline.get_bus()
        held = []
        found = None
        while found is None and (message := bus.pop()) is not None:
            if message.type == Gst.MessageType.ERROR and concerns(message.src):
                found = _error_text(message)
            else:
                held.append(message)
        for message in held:
            bus.post(message)
        return found

    def _on_message(self, _bus: Any, message: Any) -> None:
        if message.type == Gst.MessageType.EOS:
            self._loop.quit()
        elif message.type == Gst.MessageType.ERROR:
            self._on_error(message)
        elif message.type == Gst.MessageType.WARNING:
            warning, _debug = message.parse_warning()
            log.warning(
                "graph warning element=%s text=%s",
                message.src.get_name(),
                redact(warning.message),
            )
        elif message.type == Gst.MessageType.ELEMENT:
            structure = message.get_structure()
            if structure is not None and structure.get_name() == "stream-eos":
                known, stream = structure.get_uint("stream-id")
                # While the graph drains, the ends of the streams are our own doing.
                if known and stream < len(self._source_names) and self._draining is None:
                    self._handlers.on_source_ended(stream)

    def _on_error(self, message: Any) -> None:
        text = _error_text(message)
        for index, name in enumerate(self._source_names):
            # decodebin may have let go of the element that failed; the debug text keeps its path.
            path = f":{name}/" in (message.parse_error()[1] or "")
            if path or _is_inside(message.src, self._graph.elements[name]):
                if index in self._reconnecting:
                    log.warning("source error, it connects again text=%s", redact(text))
                elif self._draining is None:
                    self._lose_source(index, text)
                return
        text = f"{text}{_about(message.src)}"
        picture = self._graph.picture
        if picture is not None and picture.owns(message.src):
            if picture.lose(text):
                # Off the main thread: it waits.
                threading.Thread(target=picture.take_out, name="lose-picture", daemon=True).start()
            return
        if self._draining is None:
            self.outcome.fatal = text
        self._loop.quit()

    def _lose_source(self, index: int, text: str) -> None:
        """Take a source out of the graph: the muxer goes on without it."""
        if index in self.outcome.failed_sources:
            return
        self.outcome.failed_sources[index] = text
        self._graph.elements[self._source_names[index]].set_locked_state(True)
        # Off the main thread: NULL waits for the source's own threads.
        threading.Thread(
            target=self._end_source, args=(index,), name=f"lose-{index}", daemon=True
        ).start()
        try:
            self._handlers.on_source_failed(index, text)
        except Exception:
            # GLib swallows what a callback raises.
            log.exception("cannot report the lost source index=%d text=%s", index, redact(text))

    def _end_source(self, index: int) -> None:
        self._graph.elements[self._source_names[index]].set_state(Gst.State.NULL)
        self._graph.mux_pads[index].send_event(Gst.Event.new_eos())

    def _drain(self) -> None:
        ending = [
            threading.Thread(target=self._end_source, args=(index,), daemon=True)
            for index in range(len(self._source_names))
        ]
        for thread in ending:
            thread.start()

    def _give_up(self) -> bool:
        self.outcome.undrained = True
        log.warning("graph did not drain within its time timeout_s=%d", DRAIN_TIMEOUT_S)
        self._loop.quit()
        return False

    def _tick(self) -> bool:
        try:
            self._handlers.on_tick()
        except Exception:
            # A timer callback that raises is removed by GLib without a word.
            log.exception("health tick failed")
        return True

    def _shut_down(self) -> None:
        for name in self._source_names:
            self._graph.elements[name].set_state(Gst.State.NULL)
        self._graph.pipeline.set_state(Gst.State.NULL)
        self._graph.pipeline.get_state(5 * Gst.SECOND)


def _is_inside(element: Any, owner: Any) -> bool:
    while element is not None:
        if element == owner:
            return True
        element = element.get_parent()
    return False


def _error_text(message: Any) -> str:
    error, debug = message.parse_error()
    # The debug text begins with the place in the C source; a line after it is for people.
    lines = (debug or "").strip().splitlines()
    detail = lines[-1].strip() if len(lines) > 1 else ""
    name = f"{message.src.get_name()}: "
    # The stand-ins say their name themselves, as GStreamer's own tools do not.
    text = error.message if error.message.startswith(name) else f"{name}{error.message}"
    return f"{text} ({detail})" if detail and detail not in error.message else text


def _about(element: Any) -> str:
    """Name the file that an element writes; "no space left" alone helps nobody."""
    if element.find_property("location") is None:
        return ""
    return f", writing {element.get_property('location')}; free space or take the setting out"
