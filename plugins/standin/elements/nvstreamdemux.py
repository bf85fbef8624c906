"""nvstreamdemux: gives each source's frames to a pad of its own, as batches of one.

Which events go where is as in gstnvstreamdemux.cpp of 9.1.
"""

from typing import Any

from plugins.standin import buffer_meta, events
from plugins.standin import element as base
from plugins.standin.gst import Gst, structure_of
from plugins.standin.metadata import NvDsBatchMeta, NvDsFrameMeta

_CAPS = "video/x-raw(memory:NVMM), format=(string){ NV12, RGBA }"
_OF_SOURCES = (
    events.STREAM_START,
    events.UPDATE_CAPS,
    events.STREAM_SEGMENT,
    events.STREAM_EOS,
    events.PAD_ADDED,
    events.PAD_DELETED,
)
_OF_BATCHES = (
    Gst.EventType.STREAM_START,
    Gst.EventType.SEGMENT,
    Gst.EventType.EOS,
    Gst.EventType.TAG,
)


class NvStreamDemux(base.Settings, Gst.Element):
    """Request src_N for the source of the muxer's sink_N; frames without a pad are dropped.

    A pad hears of its source when the source begins or changes its caps: one that is requested
    later has no caps, and until the source's next ones no frames.
    """

    __gtype_name__ = "GstNvStreamDemux"
    __gstmetadata__ = ("Stream demultiplexer", "Generic", "Splits batches", "ropewatch")
    __gsttemplates__ = (
        base.caps_template("sink", Gst.PadDirection.SINK, _CAPS),
        base.caps_template("src_%u", Gst.PadDirection.SRC, _CAPS, Gst.PadPresence.REQUEST),
    )
    PROPERTIES = (
        base.boolean("per-stream-eos", effect=False),
        base.uint("gpu-id", effect=False),
    )
    __gproperties__ = base.gproperties(PROPERTIES)

    def __init__(self) -> None:
        super().__init__()
        self.start_settings()
        self.outputs: dict[int, Gst.Pad] = {}
        self.begun: set[int] = set()
        self.caps: Gst.Caps | None = None
        sink = Gst.Pad.new_from_template(self.get_pad_template("sink"), "sink")
        # Through their argument: a bound method would keep the element alive for ever.
        sink.set_chain_function_full(lambda _pad, parent, buffer: parent.on_buffer(buffer))
        sink.set_event_function_full(lambda pad, parent, event: parent.on_event(pad, event))
        self.add_pad(sink)
        base.cure_floating(self)

    def do_request_new_pad(self, template: Any, name: str | None, _caps: Any) -> Gst.Pad | None:
        """Make the pad of one source; without its number there is none."""
        if name is None:
            base.warn_unnamed(self, "src")
            return None
        index = int(name.removeprefix("src_"))
        if index in self.outputs:
            return None
        pad = Gst.Pad.new_from_template(template, f"src_{index}")
        pad.set_active(True)
        self.outputs[index] = pad
        self.add_pad(pad)
        return pad

    def do_release_pad(self, pad: Gst.Pad) -> None:
        """Take a source's pad away."""
        # GStreamer also calls this while it frees the element, when the attributes are gone.
        outputs: dict[int, Gst.Pad] = getattr(self, "outputs", {})
        index = int(pad.get_name().removeprefix("src_"))
        if outputs.pop(index, None) is not None:
            self.begun.discard(index)
        pad.set_active(False)
        self.remove_pad(pad)

    def do_change_state(self, transition: Any) -> Gst.StateChangeReturn:
        """Let every pad begin anew after READY."""
        if transition == Gst.StateChange.READY_TO_PAUSED:
            self.begun.clear()
        return Gst.Element.do_change_state(self, transition)

    @base.guarded(Gst.FlowReturn.ERROR)
    def on_buffer(self, buffer: Gst.Buffer) -> Gst.FlowReturn:
        """Push each frame, with what belongs to it, to its source's pad."""
        batch = buffer_meta.get(buffer)
        if batch is None:
            raise ValueError("the buffer has no batch metadata, want nvstreammux upstream")
        flows = []
        for frame in batch.copy().frames:
            pad = self.outputs.get(frame.pad_index)
            if pad is None or not pad.has_current_caps() or not pad.is_linked():
                continue
            address = base.new_batch_buffer(
                _batch_of_one(batch, frame), pts_ns=frame.buf_pts, duration_ns=buffer.duration
            )
            flows.append(base.push(pad, address))
        fatal = [flow for flow in flows if flow < Gst.FlowReturn.EOS]
        return fatal[0] if fatal else Gst.FlowReturn.OK

    @base.guarded(False)
    def on_event(self, pad: Gst.Pad, event: Gst.Event) -> bool:
        """Send a source's events to its pad as GStreamer's own; drop those of the batches."""
        parsed = events.parse(event)
        if parsed is not None and parsed[0] in _OF_SOURCES:
            return self._on_source_event(*parsed, event)
        if event.type == Gst.EventType.SINK_MESSAGE:
            return self._on_message(event)
        if event.type == Gst.EventType.CAPS:
            self.caps = event.parse_caps()
            return True
        if event.type in _OF_BATCHES:
            return True
        return bool(pad.event_default(self, event))

    def _on_source_event(self, kind: str, index: int, event: Gst.Event) -> bool:
        pad = self.outputs.get(index)
        if pad is None:
            return True
        if kind == events.STREAM_START:
            # GStreamer takes nothing after EOS without it.
            self.begun.discard(index)
            self._begin(index, pad, events.parse_value(event, "stream-id-str"))
        elif kind == events.UPDATE_CAPS:
            assert self.caps is not None
            self._begin(index, pad, f"{self.get_name()}/{index}")
            size = (events.parse_value(event, name) for name in ("width-val", "height-val"))
            return bool(pad.push_event(Gst.Event.new_caps(_of_one(self.caps, *size))))
        elif kind == events.STREAM_SEGMENT:
            return bool(pad.push_event(Gst.Event.new_segment(events.parse_segment(event))))
        elif kind == events.STREAM_EOS:
            return bool(pad.push_event(Gst.Event.new_eos()))
        return True

    def _on_message(self, event: Gst.Event) -> bool:
        """Send the message that a source has ended where its EOS will go."""
        structure = event.parse_sink_message().get_structure()
        if structure is None or structure.get_name() != events.STREAM_EOS:
            return bool(self.get_static_pad("sink").event_default(self, event))
        pad = self.outputs.get(structure.get_uint("stream-id").value)
        return pad is None or bool(pad.push_event(event))

    def _begin(self, index: int, pad: Gst.Pad, stream_id: str) -> None:
        if index not in self.begun:
            self.begun.add(index)
            pad.push_event(Gst.Event.new_stream_start(stream_id))


def _batch_of_one(batch: NvDsBatchMeta, frame: NvDsFrameMeta) -> NvDsBatchMeta:
    """Make a batch of one copied frame and its surface; `frame` moves into it."""
    single = NvDsBatchMeta(1)
    single.surfaces = [batch.surfaces[frame.batch_id]]
    frame.batch_id = 0
    frame.base_meta.batch_meta = single
    single.frames.append(frame)
    return single


def _of_one(caps: Gst.Caps, width: int, height: int) -> Gst.Caps:
    structure = structure_of(caps, 0)
    for name, value in (("batch-size", 1), ("width", width), ("height", height)):
        structure.set_value(name, value)
    single = Gst.Caps.new_empty()
    single.append_structure_full(structure, Gst.CapsFeatures.from_string(base.NVMM))
    return single
