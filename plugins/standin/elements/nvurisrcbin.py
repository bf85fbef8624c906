"""nvurisrcbin: a file, a download or a camera in; NV12 frames tagged as NVMM out.

The part that opens and decodes is a branch of its own, outside the bin's state: a source that
cannot be opened posts an ERROR and leaves the rest of the pipeline standing, and a camera that
went away or a file that loops gets a new branch.
"""

import itertools
import threading
import weakref
from typing import Any

from plugins.standin import element as base
from plugins.standin import enums
from plugins.standin.elements.nvv4l2decoder import KeepEvery
from plugins.standin.elements.retag import ToNvmm, ToSystem
from plugins.standin.elements.time_shift import TimeShift
from plugins.standin.elements.uri_branch import is_camera, make_branch, redacted
from plugins.standin.elements.uri_watch import Watch
from plugins.standin.gst import GLib, GObject, Gst

# The branch's state is not the bin's, so the bin must not wait for it.
_BRANCH_STATE = (Gst.MessageType.ASYNC_START, Gst.MessageType.ASYNC_DONE)
_STREAMS_WITHIN_S = 15
_ACTION = GObject.SignalFlags.RUN_LAST | GObject.SignalFlags.ACTION
_VIDEO = "vsrc_%u"
_AUDIO = "asrc_%u"


class NvUriSrcBin(base.Settings, Gst.Bin):
    """One source; its pads vsrc_0 and asrc_0 come when the streams are known."""

    __gtype_name__ = "GstNvUriSrcBin"
    __gstmetadata__ = ("URI source", "Generic/Bin/Source", "Opens and decodes a URI", "ropewatch")
    __gsttemplates__ = (
        base.caps_template(
            _VIDEO, Gst.PadDirection.SRC, "video/x-raw(memory:NVMM)", Gst.PadPresence.SOMETIMES
        ),
        base.caps_template(_AUDIO, Gst.PadDirection.SRC, "audio/x-raw", Gst.PadPresence.SOMETIMES),
    )
    PROPERTIES = (
        base.string("uri"),
        base.enum("type", enums.SOURCE_TYPE),
        base.uint("rtsp-reconnect-interval"),
        base.uint("init-rtsp-reconnect-interval"),
        base.integer("rtsp-reconnect-attempts", -1, low=-1),
        base.uint("latency", 100),
        base.boolean("drop-on-latency", True),
        base.enum("select-rtp-protocol", enums.RTP_PROTOCOL, 7),
        base.uint("udp-buffer-size", 524288),
        base.integer("source-id", -1, low=-1),
        base.boolean("file-loop"),
        base.boolean("disable-audio", True),
        base.uint("drop-frame-interval", high=30),
        base.enum("dec-skip-frames", enums.SKIP_FRAMES),
        base.boolean("disable-passthrough", effect=False),
        base.enum("leaky", enums.LEAKY),
        base.uint("max-size-buffers", 200),
        base.enum("buffer-mode", enums.BUFFER_MODE, 3),
        base.uint("gpu-id", effect=False),
        base.enum("cudadec-memtype", enums.CUDADEC_MEMORY, effect=False),
        base.uint("num-extra-surfaces", 1, effect=False),
        base.boolean("low-latency-mode", effect=False),
        base.boolean("extract-sei-type5-data", effect=False),
        base.string("sei-uuid", effect=False),
        base.enum("smart-record", enums.SMART_RECORD, effect=False),
        base.string("smart-rec-dir-path", effect=False),
        base.string("smart-rec-file-prefix", "Smart_Record", effect=False),
        base.uint("smart-rec-video-cache", 20, effect=False),
        base.uint("smart-rec-cache", 20, effect=False),
        base.enum("smart-rec-container", enums.SMART_CONTAINER, effect=False),
        base.enum("smart-rec-mode", enums.SMART_MODE, effect=False),
        base.uint("smart-rec-default-duration", 20, effect=False),
        base.boolean("smart-rec-status", effect=False),
        base.uint("simulate-fps-interval-ms", high=1000),
        base.boolean("ipc-buffer-timestamp-copy", effect=False),
        base.integer("ipc-connection-attempts", -1, effect=False),
        base.uint("ipc-connection-interval", effect=False),
        base.string("ipc-socket-path", effect=False),
    )
    __gproperties__ = base.gproperties(PROPERTIES)
    __gsignals__ = {  # noqa: RUF012  PyGObject reads it
        "start-sr": (_ACTION, None, (GObject.TYPE_POINTER, int, int, GObject.TYPE_POINTER)),
        "stop-sr": (_ACTION, None, (int,)),
        "sr-done": (GObject.SignalFlags.RUN_LAST, None, (GObject.TYPE_POINTER,) * 2),
    }

    def __init__(self) -> None:
        super().__init__()
        self.start_settings()
        self.branch: Gst.Element | None = None
        self.branch_lock = threading.RLock()
        self.patience: threading.Timer | None = None
        self.failed = False
        self.wanted = Gst.State.NULL
        self.watch: Watch | None = None
        self.shift = TimeShift()
        self.tail = self._make_tail()
        base.cure_floating(self)

    def _make_tail(self) -> list[Gst.Element]:
        """Make what stays when the branch is replaced."""
        nv12 = Gst.ElementFactory.make("capsfilter", None)
        nv12.set_property("caps", Gst.Caps.from_string("video/x-raw, format=NV12"))
        tail = [
            ToSystem(),
            Gst.ElementFactory.make("videoconvert", None),
            nv12,
            self.shift,
            ToNvmm(),
        ]
        for item in tail:
            self.add(item)
        for before, after in itertools.pairwise(tail):
            before.link(after)
        return tail

    # State

    @base.guarded(Gst.StateChangeReturn.FAILURE)
    def do_change_state(self, transition: Any) -> Gst.StateChangeReturn:
        """Take the branch along; its failure is on the bus and is not the pipeline's."""
        change = Gst.StateChange
        if transition == change.PAUSED_TO_READY:
            self._stop()
        result = Gst.Bin.do_change_state(self, transition)
        # A locked child still answers with its own last result, which is not the bin's.
        if result == Gst.StateChangeReturn.FAILURE and not self.failed:
            return result
        result = Gst.StateChangeReturn.SUCCESS
        if transition == change.READY_TO_PAUSED:
            self.wanted = Gst.State.PAUSED
            started = self._start()
            return result if started is None else started
        if transition == change.PAUSED_TO_PLAYING:
            self._move(Gst.State.PLAYING)
        elif transition == change.PLAYING_TO_PAUSED:
            return self._move(Gst.State.PAUSED) or result
        return result

    def _move(self, state: Any) -> Any:
        """Move the branch; NO_PREROLL of a camera is the bin's own answer."""
        with self.branch_lock:
            self.wanted = state
            if self.branch is None or self.failed:
                return None
            result = self.branch.set_state(state)
        live = Gst.StateChangeReturn.NO_PREROLL
        return live if result == live else None

    def _start(self) -> Any:
        """Open the URI; FAILURE without one, NO_PREROLL of a camera, else None."""
        uri = self.settings["uri"]
        if not uri:
            base.post_error(
                self,
                Gst.ResourceError,
                Gst.ResourceError.NOT_FOUND,
                f"{self.get_name()}: no uri, want one; set uri before the pipeline starts",
            )
            return Gst.StateChangeReturn.FAILURE
        if self.settings["smart-record"]:
            self._refuse_recording(f"smart-record={self.settings['smart-record']}")
        live = Gst.StateChangeReturn.NO_PREROLL
        again = "rtsp-reconnect-interval" if is_camera(self.settings) else "file-loop"
        if self.settings[again]:
            self.watch = Watch(self)
            self.shift.on_end = self.watch.ended
        self.shift.accumulates = self.watch is not None and not is_camera(self.settings)
        self.shift.restart(self.settings["source-id"])
        result = self.open_branch()
        if self.watch is not None:
            self.watch.start()
        return live if result == live else None

    def _stop(self) -> None:
        if self.watch is not None:
            self.watch.stop()
            self.watch = None
        self.wanted = Gst.State.NULL
        self.close_branch()
        self.shift.on_end = None

    def do_send_event(self, event: Gst.Event) -> bool:
        """Let an EOS that the application sends end the source, though it loops or is retried."""
        if event.type == Gst.EventType.EOS and self.watch is not None:
            self.watch.stop()
            self.close_branch()
            return bool(self.shift.get_static_pad("src").push_event(event))
        return bool(Gst.Bin.do_send_event(self, event))

    # The branch

    def open_branch(self) -> Any:
        """Make a branch and bring it to the bin's state."""
        this = weakref.ref(self)

        def on_pad(pad: Gst.Pad, kind: str) -> None:
            element = this()
            if element is not None:
                element.take_stream(pad, kind)

        with self.branch_lock:
            self.failed = False
            branch = make_branch(self.settings, on_pad)
            if not is_camera(self.settings):
                branch.connect("no-more-pads", _on_no_more_pads, this)
            if self.settings["uri"].startswith("file:"):
                self._expect_streams(this)
            # The bin must not move the branch by itself: a failure would be the bin's, too.
            branch.set_locked_state(True)
            self.branch = branch
            self.add(branch)
            return branch.set_state(self.wanted)

    def _expect_streams(self, this: Any) -> None:
        """Bound the wait for a file's streams.

        decodebin (seen in 1.22) loses an error that a demuxer posts in the moment it is plugged,
        as it may for a file that was cut off; nothing would ever come then.
        """
        complaint = f"no video within {_STREAMS_WITHIN_S} s, want a video stream"
        self.patience = threading.Timer(_STREAMS_WITHIN_S, _require_video, (this, complaint))
        self.patience.daemon = True
        self.patience.start()

    def close_branch(self) -> None:
        """Take the branch down."""
        with self.branch_lock:
            if self.patience is not None:
                self.patience.cancel()
            branch, self.branch = self.branch, None
        if branch is not None:
            branch.set_state(Gst.State.NULL)
            self.remove(branch)

    @base.guarded(None)
    def take_stream(self, pad: Gst.Pad, kind: str) -> None:
        """Link a decoded stream to the tail, and show the bin's pad at the first one."""
        if kind == "audio":
            self._show("asrc_0", pad, _AUDIO)
            return
        entry = self.tail[0].get_static_pad("sink")
        if kind != "video" or entry.is_linked():
            return
        pad.link(entry)
        if self.patience is not None:
            self.patience.cancel()
        if self.watch is not None:
            pad.add_probe(Gst.PadProbeType.BUFFER, self.watch.on_buffer)
        if self.get_static_pad("vsrc_0") is None:
            self._show("vsrc_0", self.tail[-1].get_static_pad("src"), _VIDEO)

    def _show(self, name: str, target: Gst.Pad, template: str) -> None:
        found = self.get_static_pad(name)
        if found is not None:
            found.set_target(target)
            return
        if name == "vsrc_0" and self.settings["drop-frame-interval"] > 1:
            keep_every = KeepEvery(self.settings["drop-frame-interval"])
            target.add_probe(Gst.PadProbeType.BUFFER, keep_every)
        ghost = Gst.GhostPad.new_from_template(name, target, self.get_pad_template(template))
        ghost.set_active(True)
        self.add_pad(ghost)

    # Smart record

    def do_start_sr(self, _session: Any, _start_s: int, _duration_s: int, _data: Any) -> None:
        """Say that nothing is recorded."""
        self._refuse_recording("start-sr")

    def do_stop_sr(self, _session: int) -> None:
        """Say that nothing was recorded."""
        self._refuse_recording("stop-sr")

    def _refuse_recording(self, what: str) -> None:
        text = f"{self.get_name()}: {what}: the stand-in has no smart record, nothing is recorded"
        base.post_warning(self, Gst.LibraryError, Gst.LibraryError.SETTINGS, text)

    # Messages

    def do_handle_message(self, message: Gst.Message) -> None:
        """Name the URI in errors; a camera that is retried gives warnings instead."""
        try:
            message = self._rewritten(message)
        except Exception:
            base.log.exception("message passes as it came element=%s", self.get_name())
        if message is not None:
            Gst.Bin.do_handle_message(self, message)

    def _rewritten(self, message: Gst.Message) -> Gst.Message | None:
        branch, watch = getattr(self, "branch", None), getattr(self, "watch", None)
        if branch is None:
            return message  # made or disposed of: there is nothing of ours to speak of
        if message.src == branch and message.type in _BRANCH_STATE:
            return None
        if message.type != Gst.MessageType.ERROR or message.src == self:
            return message
        error, debug = message.parse_error()
        uri = redacted(self.settings["uri"])
        named = GLib.Error.new_literal(
            GLib.quark_from_string(error.domain), f"{uri}: {error.message}", error.code
        )
        debug = (debug or "").replace(self.settings["uri"], uri)
        if watch is not None and is_camera(self.settings):
            return Gst.Message.new_warning(message.src, named, debug)
        if not self.failed:
            self.failed = True
            # From the bin itself: decodebin may have put the failed element out before anybody
            # asks whose child it was. The debug text still has its path.
            _post_past_the_bins(self, Gst.Message.new_error(self, named, debug))
        return None


def _post_past_the_bins(element: Gst.Element, message: Gst.Message) -> None:
    """Put an ERROR on the pipeline's bus without the bins in between.

    A bin that passes an ERROR on aborts its own state change, so one bad file would keep the
    pipeline, and with it every other source, from starting.
    """
    top = element
    while top.get_parent() is not None:
        top = top.get_parent()
    bus = top.get_bus()
    if bus is None or top is element:
        element.post_message(message)
    else:
        bus.post(message)


def _on_no_more_pads(_branch: Any, this: Any) -> None:
    """Complain about a file without video."""
    _require_video(this, "has no video, want a video stream")


def _require_video(this: Any, complaint: str) -> None:
    """Post an ERROR unless the source has video by now, or an error already."""
    element = this()
    if element is None or element.failed or element.tail[0].get_static_pad("sink").is_linked():
        return
    element.failed = True
    error = GLib.Error.new_literal(
        Gst.StreamError.quark(),
        f"{redacted(element.settings['uri'])}: {complaint}",
        int(Gst.StreamError.WRONG_TYPE),
    )
    _post_past_the_bins(element, Gst.Message.new_error(element, error, ""))
