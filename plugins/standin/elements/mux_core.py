"""The muxer's inside: frames of NV12 or RGBA in, one buffer with a batch of surfaces out."""

import threading
import time
from typing import Any

from plugins.standin import buffer_meta, events
from plugins.standin import element as base
from plugins.standin.elements.mux_batching import Batching, LegacyBatching
from plugins.standin.elements.mux_input import Frame, Input
from plugins.standin.elements.mux_out import Out
from plugins.standin.elements.mux_sync import Sync
from plugins.standin.gst import Gst, GstVideo
from plugins.standin.metadata import NvDsFrameMeta
from plugins.standin.pixels import bare
from plugins.standin.queries import answer_batch_size

_FRAME_CAPS = "video/x-raw, format=(string){NV12, RGBA}"
_BATCH_CAPS = "video/x-raw(memory:NVMM), format=(string){NV12, RGBA}"
# nvstreammux's own: longer than this a released source's frames are not waited for.
_DRAIN_WITHIN_S = 5.0


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
        # Until READY it tells batch-size and no more.
        self.batching: Batching = LegacyBatching(batch_size=0, timeout_us=-1)
        self.sync: Sync | None = None
        self.keeps_metadata = False
        self.attach_sys_ts = True
        self.drop_pipeline_eos = False
        self.frame_duration_ns: int | None = None
        self.frame_num_reset_on_eos = False
        self.frame_num_reset_on_stream_reset = False
        self.inputs: dict[int, Input] = {}
        self.deleted: list[int] = []
        self.changed = threading.Condition()
        self.running = False
        self.flow = Gst.FlowReturn.OK
        self.thread: threading.Thread | None = None
        self.next_index = 0
        self.last_batch_s = 0.0
        self.eos_sent = False
        src = Gst.Pad.new_from_template(self.get_pad_template("src"), "src")
        src.set_query_function_full(lambda pad, parent, query: parent.on_src_query(pad, query))
        self.add_pad(src)
        self.out = Out(src)
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

    def close_input(self, index: int) -> None:
        """Take nothing more from a source; what waits still goes into batches."""
        with self.changed:
            self.inputs[index].leaving = True
            self.changed.notify_all()

    def remove_input(self, index: int) -> None:
        """Take a closed source out, once its waiting frames and its end have gone downstream."""
        pad = self.get_static_pad(f"sink_{index}")
        with self.changed:
            gone = self.inputs[index]
            self.changed.wait_for(lambda: self._is_drained(gone), _DRAIN_WITHIN_S)
            del self.inputs[index]
            if gone.announced:
                self.deleted.append(index)
            self.changed.notify_all()
        pad.set_active(False)
        self.remove_pad(pad)

    def _is_drained(self, source: Input) -> bool:
        over = not self.running or self.flow != Gst.FlowReturn.OK
        return over or not (source.frames or source.notes)

    def input_of(self, pad: Gst.Pad) -> Input | None:
        """Find a pad's source; None when it was just released."""
        return self.inputs.get(int(pad.get_name().removeprefix("sink_")))

    def told_size(self) -> int:
        """Return what caps, metadata and elements downstream are told of a batch's size."""
        return self.batching.told_size(len(self.inputs))

    def has_caps(self) -> bool:
        """Tell whether any source has told what its frames are."""
        return any(source.info is not None for source in self.inputs.values())

    @base.guarded(False)
    def on_src_query(self, pad: Gst.Pad, query: Gst.Query) -> bool:
        """Tell how many frames a batch may have."""
        return answer_batch_size(query, self.told_size()) or bool(pad.query_default(self, query))

    # Upstream threads

    @base.guarded(Gst.FlowReturn.ERROR)
    def on_buffer(self, pad: Gst.Pad, buffer: Gst.Buffer) -> Gst.FlowReturn:
        """Queue a frame; waits while the source is ahead."""
        ntp_ns, arrived_s = time.time_ns(), time.monotonic()
        arrived_ns = self.running_now_ns() if self.sync is not None else None
        buffer, kept = self._unpacked(buffer)
        with self.changed:
            while True:
                source = self.input_of(pad)
                if not self.running or source is None or source.leaving:
                    return Gst.FlowReturn.FLUSHING
                if self.flow != Gst.FlowReturn.OK:
                    return self.flow
                if source.eos:
                    return Gst.FlowReturn.EOS
                if len(source.frames) < self._room():
                    break
                self.changed.wait()
            if not self.attach_sys_ts:
                running_ns = source.running_ns(buffer.pts)
                ntp_ns = source.clock.unix_ns(running_ns, self.frame_duration_ns)
            if source.idle:
                source.idle = False
                self.out.pts.began(self.running_now_ns())
            source.add_frame(buffer, ntp_ns, arrived_s, arrived_ns, kept)
            self.changed.notify_all()
        return Gst.FlowReturn.OK

    def _unpacked(self, buffer: Gst.Buffer) -> tuple[Gst.Buffer, NvDsFrameMeta | None]:
        """Part a frame that was in a batch before from its metadata.

        What is kept stays as it is, pad_index and frame_num too: copy_meta of 9.1's
        gstnvstreammux_pads.cpp.
        """
        before = buffer_meta.get(buffer)
        if before is None:
            return buffer, None
        plain = bare(buffer)
        base.set_times(hash(plain), pts_ns=buffer.pts, duration_ns=buffer.duration)
        keeps = self.keeps_metadata and before.frames
        return plain, before.copy().frames[0] if keeps else None

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
                source.add_note(events.UPDATE_CAPS, source.info)
            elif kind == Gst.EventType.SEGMENT:
                source.segment = event.parse_segment().copy()
                source.add_note(events.STREAM_SEGMENT, source.segment)
            elif kind == Gst.EventType.STREAM_START:
                self._restart(source, event.parse_stream_start())
            elif kind == Gst.EventType.EOS and not source.eos:
                source.eos = True
                source.clock.restart()
                source.add_note(events.STREAM_EOS)
            elif kind == Gst.EventType.FLUSH_START:
                source.frames.clear()
            else:
                self._on_custom_event(source, event)
            self.changed.notify_all()
        return True

    def _on_custom_event(self, source: Input, event: Gst.Event) -> None:
        if (source_id := events.parse_source_id(event)) is not None:
            source.source_id = source_id
        elif (reference := events.parse_ntp_reference(event)) is not None:
            source.clock.report(*reference)
        elif (parsed := events.parse(event)) is not None and parsed[0] == events.STREAM_RESET:
            source.add_note(events.STREAM_RESET)
            if self.frame_num_reset_on_stream_reset:
                # Frames that wait count anew as well, as in NvStreamMux::handle_stream_reset.
                source.frame_num = 0

    def _restart(self, source: Input, stream_id: str) -> None:
        """Begin a stream; of a source that had ended, anew."""
        if source.eos and self.frame_num_reset_on_eos:
            source.frame_num = 0
        source.idle = source.idle or source.eos
        source.eos = False
        self.eos_sent = False
        source.add_note(events.STREAM_START, stream_id)
        if not source.announced:
            source.announced = True
            source.add_note(events.PAD_ADDED)

    def _room(self) -> int:
        pads = len(self.inputs)
        return self.batching.room(pads=pads, open_pads=self._open_pads())

    def _open_pads(self) -> int:
        return sum(not item.eos or bool(item.frames) for item in self.inputs.values())

    def running_now_ns(self) -> int | None:
        """Return the pipeline's running time; None without a clock."""
        clock, base_ns = self.get_clock(), self.get_base_time()
        if clock is None or base_ns == base.CLOCK_TIME_NONE:
            return None
        if base_ns == 0 and self.get_state(0).state != Gst.State.PLAYING:
            return 0
        return max(0, int(clock.get_time()) - int(base_ns))

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
            self.running, self.eos_sent = True, False
            self.flow, self.last_batch_s = Gst.FlowReturn.OK, 0.0
            self.out.restart()
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
        """Push one batch, or the events that are due; False when the thread is to end."""
        if self.sync is not None:
            self.sync.ask(self.sinkpads)
        with self.changed:
            taken = self._wait()
            if taken is None:
                return False
            deleted, due = [], []
            if not taken:
                deleted, self.deleted = self.deleted, []
                inputs = self.inputs.values()
                due = [(item, note) for item in inputs for note in item.take_due_notes()]
                self.changed.notify_all()
        for index in deleted:
            self.out.tell_deleted(index)
        for source, note in due:
            self.out.tell(source.index, note)
        if taken:
            self.last_batch_s = time.monotonic()
            flow = self.out.push(taken)
            if flow != Gst.FlowReturn.OK:
                with self.changed:
                    self.flow = flow
                    self.changed.notify_all()
        self._send_eos()
        return True

    def _wait(self) -> list[tuple[Input, Frame]] | None:
        """Wait for a batch, an event or a removed source; None when stopped. Lock is held."""
        while self.running and self.flow == Gst.FlowReturn.OK:
            if self.deleted or any(item.due_note() for item in self.inputs.values()):
                return []
            now = time.monotonic()
            usable, wake_s = self._usable(now)
            due_s = self._due_s(now, usable, wake_s)
            if due_s is not None and due_s <= now:
                taken = self._take(now, usable)
                if taken:
                    return taken
            self.changed.wait(None if due_s is None else max(0.0, due_s - now))
        return None

    def _usable(self, now: float) -> tuple[dict[int, list[float]], float | None]:
        """Return from when on each source's frames may be batched; tell when the next one may.

        Without sync-inputs those are all; with it, too late ones are dropped here.
        """
        sync, inputs = self.sync, self.inputs.values()
        if sync is None:
            return {
                item.index: [frame.arrived_s for frame in item.frames] for item in inputs
            }, None
        now_ns, waits_ns = self.running_now_ns(), []
        usable: dict[int, list[float]] = {item.index: [] for item in inputs}
        for item in inputs:
            since_s = usable[item.index]
            while len(since_s) < len(item.frames):
                frame = item.frames[len(since_s)]
                running_ns = item.running_ns(frame.buffer.pts)
                wait_ns = sync.wait_ns(running_ns, now_ns, frame.arrived_ns)
                if wait_ns is None:
                    del item.frames[len(since_s)]
                    self.changed.notify_all()
                elif wait_ns > 0:
                    waits_ns.append(wait_ns)
                    break
                else:
                    since_s.append(max(frame.arrived_s, now + wait_ns / 1e9))
        return usable, now + min(waits_ns) / 1e9 if waits_ns else None

    def _due_s(
        self, now: float, usable: dict[int, list[float]], wake_s: float | None
    ) -> float | None:
        """Return when the batch of what waits now is to be pushed; None is not before more comes.

        A source that has used up its rate counts from when it may give again.
        """
        batching, inputs = self.batching, self.inputs.values()
        waiting = [item for item in inputs if usable[item.index]]
        if not waiting:
            return wake_s
        pads = len(self.inputs)
        allowed = {
            item.index: batching.allowed_at_s(item.index, last_push_s=item.last_push_s)
            for item in waiting
        }
        open_now = [item for item in waiting if allowed[item.index] <= now]
        limit = batching.per_source(pads)
        ready = sum(min(len(usable[item.index]), limit) for item in open_now)
        not_before = batching.not_before_s(last_batch_s=self.last_batch_s)
        full = batching.full_at(pads=pads, open_pads=self._open_pads())
        if ready >= full or (ready and all(item.eos for item in inputs)):
            return max(not_before, 0.0)
        first_s = min(usable[item.index][0] for item in waiting)
        deadline = batching.deadline_s(
            first_frame_s=first_s, last_batch_s=self.last_batch_s or first_s
        )
        # The next one that may give again may fill the batch, or be the first in it.
        later = [at for at in allowed.values() if at > now]
        if not open_now:
            deadline = max(deadline or 0.0, min(later))
        times = [at for at in (deadline, wake_s, *later) if at is not None]
        return max(not_before, min(times)) if times else None

    def _take(self, now: float, usable: dict[int, list[float]]) -> list[tuple[Input, Frame]]:
        """Take frames in the order of the sources' turns, one of each and then around again."""
        batching, pads = self.batching, len(self.inputs)
        size = batching.full_at(pads=pads, open_pads=self._open_pads())
        order = [
            index
            for index in batching.turns(list(self.inputs), next_index=self.next_index)
            if batching.allowed_at_s(index, last_push_s=self.inputs[index].last_push_s) <= now
        ]
        taken: list[tuple[Input, Frame]] = []
        for round_ in range(batching.per_source(pads)):
            for index in order:
                source = self.inputs[index]
                if len(usable[index]) > round_ and len(taken) < size:
                    taken.append((source, source.frames.popleft()))
                    source.last_push_s = now
        if taken:
            self.next_index = taken[-1][0].index + 1
            self.changed.notify_all()
        return taken

    def _send_eos(self) -> None:
        """Tell of the end once all sources have ended and drained."""
        with self.changed:
            inputs = self.inputs.values()
            ended = [item.eos and not item.frames and not item.notes for item in inputs]
            over = bool(ended) and all(ended) and not self.eos_sent and not self.drop_pipeline_eos
            self.eos_sent = self.eos_sent or over
        if over:
            self.out.end()
