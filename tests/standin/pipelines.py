"""Run a pipeline to its end and keep what passed; feed a muxer by hand; add boxes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plugins.standin import buffer_meta, events, metadata
from plugins.standin.gst import Gst

# How long to wait for what must come; nothing is measured against it.
LIMIT_S = 60.0
RGBA = "video/x-raw(memory:NVMM),format=RGBA"


@dataclass
class Run:
    """What happened in a pipeline, in order."""

    batches: list[list[tuple[int, int]]] = field(default_factory=list)
    events: list[tuple[str, int]] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    ended_sources: list[int] = field(default_factory=list)
    eos: bool = False

    def frames_of(self, pad_index: int) -> list[int]:
        """Return the frame numbers of one source, as they came."""
        return [number for batch in self.batches for pad, number in batch if pad == pad_index]


def watch(pad: Any, run: Run, on_batch: Callable[[Any], None] | None = None) -> None:
    """Note the batches and the muxer's events that pass a pad."""

    def probe(_pad: Any, info: Any) -> Any:
        if info.type & Gst.PadProbeType.BUFFER:
            batch = buffer_meta.get(info.get_buffer())
            assert batch is not None
            if on_batch is not None:
                on_batch(batch)
            # Last, so that who waits for it finds the rest.
            run.batches.append([(frame.pad_index, frame.frame_num) for frame in batch.frames])
        else:
            parsed = events.parse(info.get_event())
            if parsed is not None:
                run.events.append(parsed)
        return Gst.PadProbeReturn.OK

    kinds = Gst.PadProbeType.BUFFER | Gst.PadProbeType.EVENT_DOWNSTREAM
    pad.add_probe(kinds, probe)


def play(
    pipeline: Any,
    run: Run,
    *,
    on_error: Callable[[Any], bool] | None = None,
    until: Callable[[], bool] = lambda: False,
    limit_s: float = LIMIT_S,
) -> Run:
    """Play until the end, `until`, or an error that on_error does not take; then stop."""
    pipeline.set_state(Gst.State.PLAYING)
    try:
        _listen(pipeline, run, on_error, until, time.monotonic() + limit_s)
    finally:
        pipeline.set_state(Gst.State.NULL)
    return run


def _listen(
    pipeline: Any,
    run: Run,
    on_error: Callable[[Any], bool] | None,
    until: Callable[[], bool],
    deadline_s: float,
) -> None:
    while time.monotonic() < deadline_s and not until():
        message = pipeline.get_bus().timed_pop(20 * Gst.MSECOND)
        if message is None:
            continue
        if message.type == Gst.MessageType.EOS:
            run.eos = True
            return
        if message.type == Gst.MessageType.ERROR:
            run.errors.append((owner_of(message.src, pipeline), message.parse_error()[0].message))
            if on_error is None or not on_error(message):
                return
        elif message.type == Gst.MessageType.WARNING:
            run.warnings.append(message.parse_warning()[0].message)
        elif message.type == Gst.MessageType.ELEMENT:
            structure = message.get_structure()
            if structure.get_name() == "stream-eos":
                run.ended_sources.append(structure.get_uint("stream-id").value)


def owner_of(item: Any, pipeline: Any) -> str:
    """Return the name of the pipeline's own child that an object is, or is inside of."""
    while item.get_parent() not in (None, pipeline):
        item = item.get_parent()
    return str(item.get_name())


class Feed:
    """A pad that pushes NV12 frames of one grey into a muxer's sink pad."""

    def __init__(self, muxer: Any, index: int, *, wh: tuple[int, int] = (32, 32)) -> None:
        self.wh = wh
        self.pad = Gst.Pad.new(f"feed_{index}", Gst.PadDirection.SRC)
        self.pad.set_active(True)
        self.sink = muxer.request_pad_simple(f"sink_{index}")
        self.pad.link(self.sink)

    def start(self) -> None:
        """Announce the stream; the muxer must be running."""
        width, height = self.wh
        self.pad.push_event(Gst.Event.new_stream_start(self.pad.get_name()))
        # As decoders have it; GStreamer 1.20 cannot scale frames that leave the ratio open.
        caps = (
            f"video/x-raw, format=NV12, width={width}, height={height}, framerate=10/1, "
            "pixel-aspect-ratio=1/1"
        )
        self.pad.push_event(Gst.Event.new_caps(Gst.Caps.from_string(caps)))
        segment = Gst.Segment()
        segment.init(Gst.Format.TIME)
        self.pad.push_event(Gst.Event.new_segment(segment))

    def push(self, pts_ns: int = 0, *, grey: int = 100) -> Any:
        """Push one frame."""
        width, height = self.wh
        size = (width + 3) // 4 * 4 * (height + (height + 1) // 2 + height % 2)
        buffer = Gst.Buffer.new_wrapped(bytes(np.full(size, grey, np.uint8)))
        buffer.pts = pts_ns
        return self.pad.push(buffer)

    def end(self) -> None:
        """Send EOS."""
        self.pad.push_event(Gst.Event.new_eos())


@dataclass
class Bench:
    """A muxer that runs, into a sink that takes everything, with a feed for each source."""

    pipeline: Any
    muxer: Any
    feeds: list[Feed]
    run: Run
    batches: list[Any]


def bench(
    *, sources: int = 2, wh: tuple[int, int] = (32, 32), new: bool = False, **properties: Any
) -> Bench:
    """Make a legacy muxer of 32x32 frames or a new one; properties have _ for -."""
    from plugins.standin.elements.nvstreammux import (  # noqa: PLC0415  needs Gst.init
        NewNvStreamMux,
        NvStreamMux,
    )

    muxer = NewNvStreamMux() if new else NvStreamMux()
    sizes = {} if new else {"width": 32, "height": 32}
    for name, value in (sizes | properties).items():
        muxer.set_property(name.replace("_", "-"), value)
    pipeline = Gst.Pipeline()
    out, sink = Gst.ElementFactory.make("queue", "out"), Gst.ElementFactory.make("fakesink")
    for name in ("async", "sync"):
        sink.set_property(name, False)
    for item in (muxer, out, sink):
        pipeline.add(item)
    muxer.link(out)
    out.link(sink)
    feeds = [Feed(muxer, index, wh=wh) for index in range(sources)]
    run, batches = Run(), list[Any]()
    watch(out.get_static_pad("sink"), run, batches.append)
    pipeline.set_state(Gst.State.PLAYING)
    for feed in feeds:
        feed.start()
    return Bench(pipeline, muxer, feeds, run, batches)


def wait_for(condition: Callable[[], bool], *, limit_s: float = LIMIT_S) -> bool:
    """Wait until a condition holds; False when it did not."""
    deadline_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.005)
    return True


def through(
    tail: str,
    *,
    wh: tuple[int, int] = (64, 32),
    sources: int = 1,
    before: Callable[[Any], None] | None = None,
    greys: tuple[int, ...] = (100, 200),
) -> Any:
    """Push one frame of each source through muxer ! tail; return the batch at its end."""
    pipeline = Gst.parse_launch(
        f"nvstreammux name=mux batch-size={sources} width={wh[0]} height={wh[1]} "
        f"! identity name=head ! {tail} ! identity name=tail ! fakesink async=false sync=false"
    )
    feeds = [Feed(pipeline.get_by_name("mux"), index, wh=wh) for index in range(sources)]
    if before is not None:
        watch(pipeline.get_by_name("head").get_static_pad("src"), Run(), before)
    batches: list[Any] = []
    watch(pipeline.get_by_name("tail").get_static_pad("sink"), Run(), batches.append)
    pipeline.set_state(Gst.State.PLAYING)
    for feed, grey in zip(feeds, greys, strict=False):
        feed.start()
        feed.push(grey=grey)
    errors: list[Any] = []
    wait_for(lambda: bool(batches) or _failed(pipeline, errors))
    pipeline.set_state(Gst.State.NULL)
    assert batches, errors
    return batches[0]


def _failed(pipeline: Any, errors: list[Any]) -> bool:
    message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
    if message is not None:
        errors.append(message.parse_error()[0].message)
    return bool(errors)


def add_box(
    batch: Any, *, ltwh: tuple[float, float, float, float], border: int = 1, text: str = ""
) -> Any:
    item = metadata.NvDsObjectMeta()
    rect = item.rect_params
    rect.left, rect.top, rect.width, rect.height = ltwh
    rect.border_width = border
    rect.border_color.set(1.0, 0.0, 0.0, 1.0)
    if text:
        item.text_params.display_text = text
        item.text_params.font_params.font_size = 12
        item.text_params.font_params.font_color.set(1.0, 1.0, 1.0, 1.0)
    batch.frames[0].objects.append(item)
    return item
