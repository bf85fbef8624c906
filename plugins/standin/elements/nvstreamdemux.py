"""nvstreamdemux: gives each source's frames to a pad of its own, as batches of one."""

from typing import Any

from plugins.standin import buffer_meta, events
from plugins.standin import element as base
from plugins.standin.gst import Gst, structure_of
from plugins.standin.metadata import NvDsBatchMeta, NvDsFrameMeta

_CAPS = "video/x-raw(memory:NVMM), format=(string){ NV12, RGBA }"


class NvStreamDemux(base.Settings, Gst.Element):
    """Request src_N for the source of the muxer's sink_N; frames without a pad are dropped."""

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
        self.ended: set[int] = set()
        sink = Gst.Pad.new_from_template(self.get_pad_template("sink"), "sink")
        # Through their argument: a bound method would keep the element alive for ever.
        sink.set_chain_function_full(lambda _pad, parent, buffer: parent.on_buffer(buffer))
        sink.set_event_function_full(lambda pad, parent, event: parent.on_event(pad, event))
        self.add_pad(sink)
        base.cure_floating(self)

    def do_request_new_pad(self, template: Any, name: str | None, _caps: Any) -> Gst.Pad | None:
        """Make the pad of one source; without a name the next free one."""
        free = max(self.outputs, default=-1) + 1
        index = int(name.removeprefix("src_")) if name else free
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
        outputs.pop(int(pad.get_name().removeprefix("src_")), None)
        pad.set_active(False)
        self.remove_pad(pad)

    @base.guarded(Gst.FlowReturn.ERROR)
    def on_buffer(self, buffer: Gst.Buffer) -> Gst.FlowReturn:
        """Push each frame, with what belongs to it, to its source's pad."""
        batch = buffer_meta.get(buffer)
        if batch is None:
            raise ValueError("the buffer has no batch metadata, want nvstreammux upstream")
        flows = []
        for frame in batch.copy().frames:
            pad = self.outputs.get(frame.pad_index)
            if pad is None or frame.pad_index in self.ended:
                continue
            address = base.new_batch_buffer(
                _batch_of_one(batch, frame), pts_ns=buffer.pts, duration_ns=buffer.duration
            )
            flows.append(base.push(pad, address))
        fatal = [flow for flow in flows if flow < Gst.FlowReturn.EOS]
        return fatal[0] if fatal else Gst.FlowReturn.OK

    @base.guarded(False)
    def on_event(self, pad: Gst.Pad, event: Gst.Event) -> bool:
        """Turn a source's end into EOS on its pad; the others get what they have not had."""
        parsed = events.parse(event)
        if parsed is not None and parsed[0] == events.STREAM_EOS:
            return self._end(parsed[1])
        if event.type == Gst.EventType.EOS:
            for index in sorted(self.outputs):
                self._end(index)
            return True
        if event.type == Gst.EventType.STREAM_START:
            self.ended.clear()
            for index, output in sorted(self.outputs.items()):
                name = f"{self.get_name()}/{index}"
                output.push_event(Gst.Event.new_stream_start(name))
            return True
        if event.type == Gst.EventType.CAPS:
            # The default handler keeps caps to itself.
            caps = Gst.Event.new_caps(_of_one(event.parse_caps()))
            pushed = [output.push_event(caps) for output in self.outputs.values()]
            return all(pushed)
        return bool(pad.event_default(self, event))

    def _end(self, index: int) -> bool:
        if index in self.ended or index not in self.outputs:
            return True
        self.ended.add(index)
        return bool(self.outputs[index].push_event(Gst.Event.new_eos()))


def _batch_of_one(batch: NvDsBatchMeta, frame: NvDsFrameMeta) -> NvDsBatchMeta:
    """Make a batch of one copied frame and its surface; `frame` moves into it."""
    single = NvDsBatchMeta(1)
    single.surfaces = [batch.surfaces[frame.batch_id]]
    frame.batch_id = 0
    frame.base_meta.batch_meta = single
    single.frames.append(frame)
    return single


def _of_one(caps: Gst.Caps) -> Gst.Caps:
    structure = structure_of(caps, 0)
    structure.set_value("batch-size", 1)
    single = Gst.Caps.new_empty()
    single.append_structure_full(structure, Gst.CapsFeatures.from_string(base.NVMM))
    return single
