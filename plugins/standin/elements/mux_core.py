"""The muxer's inside: frames of NV12 or RGBA in, one buffer with a batch of surfaces out."""

import math
import threading
import time
from collections import deque
from typing import Any

from plugins.standin import element as base
from plugins.standin import events
from plugins.standin.elements.mux_batching import Batching
from plugins.standin.gst import Gst, GstVideo
from plugins.standin.metadata import NvDsBatchMeta, NvDsFrameMeta
from plugins.standin.surface import Surface

_FRAME_CAPS = "video/x-raw, format=(string){NV12, RGBA}"
_BATCH_CAPS = "video/x-raw(memory:NVMM), format=(string){NV12, RGBA}"
# One frame waits beside the batch in the making; more would only add latency.
_SPARE_FRAMES = 1


class Input:
    """One sink pad: its waiting frames and what their metadata needs."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.frames: deque[tuple[Gst.Buffer, int, float]] = deque()
        self.info: GstVideo.VideoInfo | None = None
        self.segment: Gst.Segment | None = None
        self.source_wh = (0, 0)
        self.source_id = index
        # (Unix time, running time) of one moment, in ns, once a camera has told.
        self.ntp_reference: tuple[int, int] | None = None
        self.frame_num = 0
        self.last_push_s = -math.inf
        self.eos = False
        self.announced = False
        self.eos_sent = False


class MuxCore(Gst.Element):
    """Collects frames in the upstream threads and pushes batches in one of its own."""

    __gtype_name__ = "RopewatchMuxCore"
    __gstmetadata__ = ("Muxer core", "Muxer", "Batches frames", "ropewatch")
    __gsttemplates__ = (
        base.caps_template("sink_%u", Gst.PadDirection.SINK, _FRAME_CAPS, Gst.PadPresence.REQUEST),
        base.caps_template("src", Gst.PadDirection.SRC, _BATCH_CAPS),
    )

    def __init__(self) -> None:
        super().__init__()
        self.batching: Batching
        self.attach_sys_ts = True
        self.drop_pipeline_eos = False
        self.frame_num_reset_on_eos = False
        self.out_wh: tuple[int, int] | None = None
        self.inputs: dict[int, Input] = {}
        self.deleted: list[int] = []
        self.changed = threading.Condition()
        self.running = False
        self.flow = Gst.FlowReturn.OK
        self.thread: threading.Thread | None = None
        self.next_index = 0
        self.last_batch_s = 0.0
        self.last_pts_ns = -1
        self.started = False
        self.eos_sent = False
        self.src = Gst.Pad.new_from_template(self.get_pad_template("src"), "src")
        self.add_pad(self.src)
        base.cure_floating(self)

    # Pads

    def add_input(self, index: int) -> Gst.Pad:
        """Make the sink pad of a source."""
        pad = Gst.Pad.new_from_template(self.get_pad_template("sink_%u"), f"sink_{index}")
        # The functions reach the element through their argument: a bound method would keep it
        # alive for ever.
        pad.set_chain_function_full(lambda pad, parent, buffer: parent.on_buffer(pad, buffer))
        pad.set_event_function_full(lambda pad, parent, event: parent.on_event(pad, event))
        with self.changed:
            self.inputs[index] = Input(index)
            self.eos_sent = False
        pad.set_active(True)
        self.add_pad(pad)
        return pad

    def remove_input(self, index: int) -> None:
        """Drop a source, its waiting frames too."""
        pad = self.get_static_pad(f"sink_{index}")
        with self.changed:
            gone = self.inputs.pop(index)
            if gone.announced:
                self.deleted.append(index)
            self.changed.notify_all()
        pad.set_active(False)
        self.remove_pad(pad)

    def input_of(self, pad: Gst.Pad) -> Input | None:
        """Find a pad's source; None when it was just released."""
        return self.inputs.get(int(pad.get_name().removeprefix("sink_")))

    # Upstream threads

    @base.guarded(Gst.FlowReturn.ERROR)
    def on_buffer(self, pad: Gst.Pad, buffer: Gst.Buffer) -> Gst.FlowReturn:
        """Queue a frame; waits while the source is ahead."""
        arrived = (buffer, time.time_ns(), time.monotonic())
        with self.changed:
            while True:
                source = self.input_of(pad)
                if not self.running or source is None:
                    return Gst.FlowReturn.FLUSHING
                if self.flow != Gst.FlowReturn.OK:
                    return self.flow
                if source.eos:
                    return Gst.FlowReturn.EOS
                room = self.batching.per_source(len(self.inputs)) + _SPARE_FRAMES
                if len(source.frames) < room:
                    break
                self.changed.wait()
            source.frames.append(arrived)
            self.changed.notify_all()
        return Gst.FlowReturn.OK

    @base.guarded(False)
    def on_event(self, pad: Gst.Pad, event: Gst.Event) -> bool:
        """Keep what describes the source; nothing goes downstream except by the pushing thread."""
        with self.changed:
            source = self.input_of(pad)
            if source is None:
                return False
            kind = event.type
            if kind == Gst.EventType.CAPS:
                source.info = GstVideo.VideoInfo.new_from_caps(event.parse_caps())
            elif kind == Gst.EventType.SEGMENT:
                source.segment = event.parse_segment().copy()
            elif kind == Gst.EventType.STREAM_START:
                self._restart(source)
            elif kind == Gst.EventType.EOS:
                source.eos = True
            elif kind == Gst.EventType.FLUSH_START:
                source.frames.clear()
            elif (source_id := events.parse_source_id(event)) is not None:
                source.source_id = source_id
            elif (reference := events.parse_ntp_reference(event)) is not None:
                source.ntp_reference = reference
            self.changed.notify_all()
        return True

    def _restart(self, source: Input) -> None:
        """A source that had ended begins again."""
        if source.eos and self.frame_num_reset_on_eos:
            source.frame_num = 0
        source.eos = source.eos_sent = False
        self.eos_sent = False

    # The pushing thread

    def do_change_state(self, transition: Any) -> Gst.StateChangeReturn:
        """Run the thread between READY and PAUSED."""
        if transition == Gst.StateChange.READY_TO_PAUSED:
            self._start()
        elif transition == Gst.StateChange.PAUSED_TO_READY:
            with self.changed:
                self.running = False
                self.changed.notify_all()
        result = Gst.Element.do_change_state(self, transition)
        if transition == Gst.StateChange.PAUSED_TO_READY and self.thread is not None:
            self.thread.join()
            self.thread = None
        return result

    def _start(self) -> None:
        with self.changed:
            self.running, self.started, self.eos_sent = True, False, False
            self.flow, self.last_pts_ns, self.last_batch_s = Gst.FlowReturn.OK, -1, 0.0
            self.deleted.clear()
            for index in self.inputs:
                self.inputs[index] = Input(index)
        self.thread = threading.Thread(target=self._run, name=self.get_name(), daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except Exception as error:
            base.log.exception("muxer failed element=%s", self.get_name())
            text = f"{self.get_name()}: {error}"
            base.post_error(self, Gst.StreamError, Gst.StreamError.MUX, text)
            with self.changed:
                self.flow = Gst.FlowReturn.ERROR
                self.changed.notify_all()

    def _step(self) -> bool:
        """Push one batch and the events around it; False when the thread is to end."""
        with self.changed:
            taken = self._wait()
            if taken is None:
                return False
            deleted, self.deleted = self.deleted, []
            added = [source for source, _ in taken if not source.announced]
            for source in added:
                source.announced = True
        self._start_stream()
        for index in deleted:
            self.src.push_event(events.make_pad_deleted(index))
        for source in dict.fromkeys(added):
            self.src.push_event(events.make_pad_added(source.index))
        if taken:
            self._push(taken)
        self._send_eos()
        return True

    def _wait(self) -> list[tuple[Input, Any]] | None:
        """Wait for a batch, an ended or a removed source; None when stopped. Lock is held."""
        while self.running and self.flow == Gst.FlowReturn.OK:
            now = time.monotonic()
            remaining: float | None = None
            if any(source.frames for source in self.inputs.values()):
                due_s = self._due_s(now)
                if due_s is not None and due_s <= now:
                    taken = self._take(now)
                    if taken:
                        return taken
                remaining = None if due_s is None else max(0.0, due_s - now)
            elif self.deleted or any(
                item.eos and not item.eos_sent for item in self.inputs.values()
            ):
                return []
            self.changed.wait(remaining)
        return None

    def _due_s(self, now: float) -> float | None:
        """Return when the batch of what waits now is to be pushed; None is not before more comes.

        A source that has used up its rate counts from when it may give again.
        """
        batching, inputs = self.batching, self.inputs.values()
        pads = len(self.inputs)
        allowed = {
            item.index: batching.allowed_at_s(item.index, last_push_s=item.last_push_s)
            for item in inputs
            if item.frames
        }
        open_now = [item for item in inputs if item.frames and allowed[item.index] <= now]
        limit = batching.per_source(pads)
        ready = sum(min(len(item.frames), limit) for item in open_now)
        open_pads = sum(not item.eos or bool(item.frames) for item in inputs)
        not_before = batching.not_before_s(last_batch_s=self.last_batch_s)
        full = batching.full_at(pads=pads, open_pads=open_pads)
        if ready >= full or (ready and all(item.eos for item in inputs)):
            return max(not_before, 0.0)
        first_s = min(item.frames[0][2] for item in inputs if item.frames)
        deadline = batching.deadline_s(
            first_frame_s=first_s, last_batch_s=self.last_batch_s or first_s
        )
        # The next one that may give again may fill the batch, or be the first in it.
        later = [at for at in allowed.values() if at > now]
        if not open_now:
            deadline = max(deadline or 0.0, min(later))
        times = [time for time in (deadline, *later) if time is not None]
        return max(not_before, min(times)) if times else None

    def _take(self, now: float) -> list[tuple[Input, Any]]:
        """Take frames in the order of the sources' turns, one of each and then around again."""
        batching, pads = self.batching, len(self.inputs)
        open_pads = sum(not item.eos or bool(item.frames) for item in self.inputs.values())
        size = batching.full_at(pads=pads, open_pads=open_pads)
        order = [
            index
            for index in batching.turns(list(self.inputs), next_index=self.next_index)
            if batching.allowed_at_s(index, last_push_s=self.inputs[index].last_push_s) <= now
        ]
        taken: list[tuple[Input, Any]] = []
        for _ in range(batching.per_source(pads)):
            for index in order:
                source = self.inputs[index]
                if source.frames and len(taken) < size:
                    taken.append((source, source.frames.popleft()))
                    source.last_push_s = now
        if taken:
            self.next_index = taken[-1][0].index + 1
            self.changed.notify_all()
        return taken

    def _start_stream(self) -> None:
        """Send what must come before the first batch."""
        if self.started:
            return
        self.started = True
        self.src.push_event(Gst.Event.new_stream_start(self.get_name()))
        infos = [source.info for source in self.inputs.values() if source.info is not None]
        if infos:
            self.src.push_event(Gst.Event.new_caps(self._caps(infos[0])))
        segment = Gst.Segment()
        segment.init(Gst.Format.TIME)
        self.src.push_event(Gst.Event.new_segment(segment))

    def _caps(self, info: GstVideo.VideoInfo) -> Gst.Caps:
        width, height = self.out_wh or (info.width, info.height)
        return Gst.Caps.from_string(
            f"video/x-raw(memory:NVMM), format=(string){info.finfo.name}, width={width}, "
            f"height={height}, framerate=(fraction){info.fps_n}/{info.fps_d}, "
            f"batch-size={self.batching.batch_size}, num-surfaces-per-frame=1"
        )

    def _push(self, taken: list[tuple[Input, Any]]) -> None:
        batch = NvDsBatchMeta(self.batching.batch_size)
        for batch_id, (source, (buffer, ntp_ns, _)) in enumerate(taken):
            info = source.info
            assert info is not None
            batch.surfaces.append(
                Surface(info.width, info.height, info.finfo.name, buffer=buffer, info=info)
            )
            batch.frames.append(self._frame_meta(source, buffer, ntp_ns, batch_id))
        first_source, (first, _, _) = taken[0]
        address = base.new_batch_buffer(
            batch, pts_ns=self._out_pts(first_source, first.pts), duration_ns=first.duration
        )
        # Nothing here may keep the batch alive once downstream is done with it.
        del batch, taken, first, buffer
        self.last_batch_s = time.monotonic()
        flow = base.push(self.src, address)
        if flow != Gst.FlowReturn.OK:
            with self.changed:
                self.flow = flow
                self.changed.notify_all()

    def _frame_meta(
        self, source: Input, buffer: Gst.Buffer, ntp_ns: int, batch_id: int
    ) -> NvDsFrameMeta:
        frame = NvDsFrameMeta()
        frame.pad_index = source.index
        frame.source_id = source.source_id
        frame.batch_id = batch_id
        frame.frame_num = source.frame_num
        source.frame_num += 1
        frame.buf_pts = buffer.pts
        frame.ntp_timestamp = ntp_ns if self.attach_sys_ts else _camera_time(source, buffer.pts)
        frame.source_frame_width, frame.source_frame_height = source.source_wh
        assert source.info is not None
        frame.stand_in_pipeline_wh = self.out_wh or (source.info.width, source.info.height)
        return frame

    def _out_pts(self, source: Input, pts_ns: int) -> int:
        """Return the batch's PTS: the first frame's running time, never going back."""
        if pts_ns == base.CLOCK_TIME_NONE or source.segment is None:
            return base.CLOCK_TIME_NONE
        running = source.segment.to_running_time(Gst.Format.TIME, pts_ns)
        if running == base.CLOCK_TIME_NONE:
            running = pts_ns
        self.last_pts_ns = max(running, self.last_pts_ns + 1)
        return self.last_pts_ns

    def _send_eos(self) -> None:
        """Tell of sources that have ended and drained, and of the end when all have."""
        with self.changed:
            ended = [
                item
                for item in self.inputs.values()
                if item.eos and not item.frames and not item.eos_sent
            ]
            for item in ended:
                item.eos_sent = True
            over = bool(self.inputs) and all(item.eos_sent for item in self.inputs.values())
            over = over and not self.eos_sent and not self.drop_pipeline_eos
            self.eos_sent = self.eos_sent or over
        for item in ended:
            self.src.push_event(events.make_stream_eos(item.index))
            structure = Gst.Structure.new_from_string(f"stream-eos, stream-id=(uint){item.index}")
            owner = self.get_parent() or self
            owner.post_message(Gst.Message.new_element(owner, structure))
        if over:
            self.src.push_event(Gst.Event.new_eos())


def _camera_time(source: Input, pts_ns: int) -> int:
    """Return a frame's Unix time by the camera's sender reports, in ns; 0 before the first."""
    if source.ntp_reference is None or source.segment is None:
        return 0
    running = source.segment.to_running_time(Gst.Format.TIME, pts_ns)
    if base.CLOCK_TIME_NONE in (pts_ns, running):
        return 0
    unix_ns, running_ns = source.ntp_reference
    return max(0, unix_ns + int(running) - running_ns)
