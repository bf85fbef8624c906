"""The end of nvurisrcbin: frames of a source that is opened again go on in time."""

from collections.abc import Callable

from plugins.standin import element as base
from plugins.standin import events
from plugins.standin.elements.retag import FRAME_CAPS
from plugins.standin.gst import Gst, GstBase


class TimeShift(GstBase.BaseTransform):
    """Keep the end of a branch from downstream and the time going; tell the source's id.

    `on_end` is called instead of passing EOS on; None passes everything. With `accumulates` a
    frame's PTS grows by what the rounds before lasted; a camera's goes on by itself. With
    `reset_due` the next stream begins with STREAM_RESET, before its first frame.
    """

    __gtype_name__ = "RopewatchTimeShift"
    __gstmetadata__ = ("Time shift", "Filter/Video", "Continues time over loops", "ropewatch")
    __gsttemplates__ = base.in_place_templates(FRAME_CAPS)

    def __init__(self) -> None:
        super().__init__()
        self.set_in_place(True)
        self.set_qos_enabled(False)
        self.on_end: Callable[[], None] | None = None
        self.accumulates = False
        self.restart(-1)
        base.cure_floating(self)

    def restart(self, source_id: int) -> None:
        """Begin at time 0; a negative id is not told."""
        self.source_id = source_id
        self.offset_ns = 0
        self.end_ns = 0
        self.had_segment = False
        self.reset_due = False
        self.set_passthrough(not self.accumulates)

    @base.guarded(Gst.FlowReturn.ERROR)
    def do_transform_ip(self, buffer: Gst.Buffer) -> Gst.FlowReturn:
        """Shift one frame; GStreamer made it writable before this call."""
        if self.accumulates and buffer.pts != base.CLOCK_TIME_NONE:
            duration = 0 if buffer.duration == base.CLOCK_TIME_NONE else buffer.duration
            pts = buffer.pts + self.offset_ns
            self.end_ns = max(self.end_ns, pts + duration)
            # Through C: PyGObject's own reference makes the buffer look shared to its setter.
            base.set_times(hash(buffer), pts_ns=pts, duration_ns=buffer.duration)
        return Gst.FlowReturn.OK

    @base.guarded(False)
    def do_sink_event(self, event: Gst.Event) -> bool:
        """Swallow what would tell downstream that a round is over."""
        if event.type == Gst.EventType.EOS and self.on_end is not None:
            self.offset_ns = self.end_ns
            self.on_end()
            return True
        if event.type == Gst.EventType.SEGMENT and self.accumulates:
            if self.had_segment:
                return True
            self.had_segment = True
            segment = event.parse_segment().copy()
            segment.stop = base.CLOCK_TIME_NONE
            segment.duration = base.CLOCK_TIME_NONE
            event = Gst.Event.new_segment(segment)
        passed = bool(GstBase.BaseTransform.do_sink_event(self, event))
        if event.type == Gst.EventType.CAPS and self.source_id >= 0:
            self.get_static_pad("src").push_event(events.make_source_id(self.source_id))
        if event.type == Gst.EventType.SEGMENT and self.reset_due:
            self.reset_due = False
            # The muxer knows by the pad whose it is: 0 is what NVIDIA's sends, too.
            self.get_static_pad("src").push_event(events.make_stream_reset(0))
        return passed
