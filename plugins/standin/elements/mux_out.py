"""What the muxer sends: batches with their metadata, and the events around them, in order."""

from typing import Any

from plugins.standin import element as base
from plugins.standin import events
from plugins.standin.elements.mux_input import Frame, Input, Note
from plugins.standin.elements.mux_pts import FirstFramePts, OutPts
from plugins.standin.gst import Gst, GstVideo
from plugins.standin.metadata import NvDsBatchMeta, NvDsFrameMeta
from plugins.standin.surface import Surface


class Out:
    """The muxer's source pad; only the pushing thread calls it.

    For each source STREAM_START and PAD_ADDED when its stream begins, UPDATE_CAPS and
    STREAM_SEGMENT as they come, STREAM_RESET when it says so, STREAM_EOS behind its last frame,
    PAD_DELETED when its pad is released: gstnvstreammux_pads.cpp and gstnvstreammux.cpp of 9.1.
    The batches' own STREAM_START, CAPS and SEGMENT come before the first that needs them; the
    device's order among those depends on its threads.
    """

    def __init__(self, pad: Gst.Pad) -> None:
        self.pad = pad
        self.wh: tuple[int, int] | None = None
        self.pts: OutPts = FirstFramePts()
        self.stream_started = self.segment_sent = False

    def restart(self) -> None:
        """Begin again, as after READY."""
        self.stream_started = self.segment_sent = False
        self.pts.restart()

    def tell(self, index: int, note: Note) -> None:
        """Send a source's event, and what must come before it."""
        if note.kind == events.STREAM_START:
            self._start_stream()
            self.pad.push_event(events.make_stream_start(index, note.value))
        elif note.kind == events.PAD_ADDED:
            self.pad.push_event(events.make_pad_added(index))
        elif note.kind == events.UPDATE_CAPS:
            info = note.value
            if not self.pad.has_current_caps():
                self.pad.push_event(Gst.Event.new_caps(self._caps(info)))
                self.pts.start(info.fps_n, info.fps_d)
            frame_wh = self.wh or (info.width, info.height)
            self.pad.push_event(events.make_update_caps(index, frame_wh, (info.fps_n, info.fps_d)))
        elif note.kind == events.STREAM_SEGMENT:
            self._start_segment()
            self.pad.push_event(events.make_stream_segment(index, note.value))
        elif note.kind == events.STREAM_RESET:
            self.pad.push_event(events.make_stream_reset(index))
        elif note.kind == events.STREAM_EOS:
            self._tell_end(index)

    def tell_deleted(self, index: int) -> None:
        """Say that a source's pad is gone."""
        self.pad.push_event(events.make_pad_deleted(index))

    def end(self) -> None:
        """Send EOS; a source that begins afterwards begins the batches' stream anew."""
        self._start_stream()
        self._start_segment()
        self.pad.push_event(Gst.Event.new_eos())
        self.stream_started = False

    def push(self, taken: list[tuple[Input, Frame]]) -> Gst.FlowReturn:
        """Send a batch; the list is emptied, so that nothing keeps its frames alive."""
        batch = NvDsBatchMeta(self._core().told_size())
        for batch_id, (source, frame) in enumerate(taken):
            info = frame.info
            batch.surfaces.append(
                Surface(info.width, info.height, info.finfo.name, buffer=frame.buffer, info=info)
            )
            meta = frame.kept or self._frame_meta(source, frame)
            meta.batch_id, meta.base_meta.batch_meta = batch_id, batch
            batch.frames.append(meta)
        pts_ns = self.pts.of([source.running_ns(frame.buffer.pts) for source, frame in taken])
        duration_ns = taken[0][1].buffer.duration
        taken.clear()
        address = base.new_batch_buffer(batch, pts_ns=pts_ns, duration_ns=duration_ns)
        del batch, frame, meta
        return base.push(self.pad, address)

    def _frame_meta(self, source: Input, waited: Frame) -> NvDsFrameMeta:
        frame = NvDsFrameMeta()
        frame.pad_index = source.index
        frame.source_id = source.source_id
        frame.frame_num = source.frame_num
        source.frame_num += 1
        frame.buf_pts = waited.buffer.pts
        frame.ntp_timestamp = waited.ntp_ns
        frame.source_frame_width, frame.source_frame_height = source.source_wh
        frame.stand_in_pipeline_wh = self.wh or (waited.info.width, waited.info.height)
        return frame

    def _tell_end(self, index: int) -> None:
        """Tell of a source's end: the application by the sink, the elements on the way."""
        structure = Gst.Structure.new_from_string(f"stream-eos, stream-id=(uint){index}")
        message = Gst.Message.new_element(self._owner(), structure)
        self.pad.push_event(Gst.Event.new_sink_message("stream-eos", message))
        self.pad.push_event(events.make_stream_eos(index))

    def _core(self) -> Any:
        # By the pad, since a reference of its own would keep the core alive for ever.
        return self.pad.get_parent_element()

    def _owner(self) -> Any:
        return self._core().get_parent() or self._core()

    def _start_stream(self) -> None:
        if not self.stream_started:
            self.stream_started = True
            self.pad.push_event(Gst.Event.new_stream_start(self._owner().get_name()))

    def _start_segment(self) -> None:
        if not self.segment_sent:
            self.segment_sent = True
            segment = Gst.Segment()
            segment.init(Gst.Format.TIME)
            self.pad.push_event(Gst.Event.new_segment(segment))

    def _caps(self, info: GstVideo.VideoInfo) -> Gst.Caps:
        width, height = self.wh or (info.width, info.height)
        return Gst.Caps.from_string(
            f"video/x-raw(memory:NVMM), format=(string){info.finfo.name}, width={width}, "
            f"height={height}, framerate=(fraction){info.fps_n}/{info.fps_d}, "
            f"batch-size={self._core().told_size()}, num-surfaces-per-frame=1"
        )
