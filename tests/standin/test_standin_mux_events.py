"""The muxer's events: kinds, order and stickiness as in the 9.1 sources of the new muxer.

gst-nvevent.h has types and flags, GstSinkPad::push_event of gstnvstreammux_pads.cpp what is sent
for what a source sends, handle_caps and gst_nvstreammux_release_pad of gstnvstreammux.cpp the
rest.
"""

import time
from typing import Any

import pytest

from plugins.standin import buffer_meta, events
from plugins.standin.gst import Gst
from tests.standin.pipelines import LIMIT_S, Bench, Feed, Run, bench, wait_for, watch

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]


def order_at(pad: Any) -> list[Any]:
    """Note all that passes a pad: events by name, batches as (pad index, frame number)s."""
    seen: list[Any] = []

    def probe(_pad: Any, info: Any) -> Any:
        if info.type & Gst.PadProbeType.BUFFER:
            batch = buffer_meta.get(info.get_buffer())
            assert batch is not None
            seen.append([(frame.pad_index, frame.frame_num) for frame in batch.frames])
        else:
            event = info.get_event()
            seen.append(events.parse(event) or event.type.value_nick)
        return Gst.PadProbeReturn.OK

    pad.add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.EVENT_DOWNSTREAM, probe)
    return seen


@pytest.mark.parametrize("new", [False, True])
def test_a_source_is_told_of_in_this_order(new: bool, stopper: list[Bench]) -> None:
    made = bench(sources=0, new=new, batch_size=1)
    stopper.append(made)
    seen = order_at(made.muxer.get_static_pad("src"))
    feed = Feed(made.muxer, 3)

    feed.start()
    feed.push()
    feed.end()

    assert wait_for(lambda: "eos" in seen)
    assert seen == [
        "stream-start",
        ("stream-start", 3),
        ("pad-added", 3),
        "caps",
        ("update-caps", 3),
        "segment",
        ("stream-segment", 3),
        [(3, 0)],
        "sink-message",
        ("stream-eos", 3),
        "eos",
    ]


def test_a_source_is_announced_before_it_has_a_frame(stopper: list[Bench]) -> None:
    made = bench(batch_size=2)
    stopper.append(made)

    assert wait_for(lambda: ("pad-added", 1) in made.run.events)
    assert made.run.batches == []


def test_a_sources_end_comes_behind_its_waiting_frames(stopper: list[Bench]) -> None:
    made = bench(batch_size=2)
    stopper.append(made)
    seen = order_at(made.muxer.get_static_pad("src"))

    made.feeds[0].push()
    made.feeds[0].end()
    time.sleep(0.1)
    waiting = ("stream-eos", 0) in seen
    made.feeds[1].push()

    assert wait_for(lambda: ("stream-eos", 0) in seen)
    assert not waiting
    assert seen[-3:] == [[(0, 0), (1, 0)], "sink-message", ("stream-eos", 0)]


def test_caps_that_change_are_told_with_the_new_size(stopper: list[Bench]) -> None:
    made = bench(sources=1, new=True, batch_size=1)
    stopper.append(made)
    sizes: list[tuple[int, int]] = []

    def note(_pad: Any, info: Any) -> Any:
        event = info.get_event()
        if events.parse(event) == ("update-caps", 0):
            values = [events.parse_value(event, name) for name in ("width-val", "height-val")]
            sizes.append((values[0], values[1]))
        return Gst.PadProbeReturn.OK

    src = made.muxer.get_static_pad("src")
    src.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, note)

    made.feeds[0].wh = (48, 16)
    made.feeds[0].start()
    made.feeds[0].push()

    assert wait_for(lambda: len(made.run.batches) == 1)
    assert sizes[-1] == (48, 16)


def test_a_frame_that_waits_keeps_its_size_when_caps_change(stopper: list[Bench]) -> None:
    made = bench(new=True, batch_size=2)
    stopper.append(made)

    made.feeds[0].push()
    made.feeds[0].wh = (48, 16)
    made.feeds[0].start()
    made.feeds[0].push()
    for _ in range(2):
        made.feeds[1].push()

    # In batches of two, or of fewer where the least rate is over first.
    assert wait_for(lambda: made.run.frames_of(0) == made.run.frames_of(1) == [0, 1])
    sizes = [
        (batch.surfaces[frame.batch_id].width, batch.surfaces[frame.batch_id].height)
        for batch in made.batches
        for frame in batch.frames
        if frame.pad_index == 0
    ]
    assert sizes == [(32, 32), (48, 16)]


def test_a_source_that_is_released_sends_its_frames_and_its_end_first(
    stopper: list[Bench],
) -> None:
    made = bench(batch_size=2, batched_push_timeout=100_000)
    stopper.append(made)
    seen = order_at(made.muxer.get_static_pad("src"))

    made.feeds[1].push()
    made.feeds[1].end()
    made.muxer.release_request_pad(made.feeds[1].sink)

    assert wait_for(lambda: ("pad-deleted", 1) in seen)
    end = ["sink-message", ("stream-eos", 1), ("pad-deleted", 1)]
    assert seen[-4:] == [[(1, 0)], *end]


def test_a_release_does_not_hang_on_a_source_that_waits_with_a_frame(
    stopper: list[Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading  # noqa: PLC0415  for this test alone

    # What would end a hang after some seconds.
    monkeypatch.setattr("plugins.standin.elements.mux_core._DRAIN_WITHIN_S", None)
    made = bench(batch_size=2, batched_push_timeout=200_000)
    stopper.append(made)
    pusher = threading.Thread(target=lambda: [made.feeds[1].push() for _ in range(4)])
    pusher.start()
    assert wait_for(lambda: bool(made.muxer.core.inputs[1].frames))

    made.muxer.release_request_pad(made.feeds[1].sink)
    pusher.join(LIMIT_S)

    assert not pusher.is_alive()


def test_types_and_flags_are_those_of_gst_nvevent_h() -> None:
    made = [
        events.make_pad_added(0),
        events.make_pad_deleted(0),
        events.make_stream_eos(0),
        events.make_stream_segment(0, Gst.Segment()),
        events.make_stream_reset(0),
        events.make_stream_start(0, "x"),
        events.make_update_caps(0, (2, 2), (10, 1)),
    ]

    # GST_EVENT_MAKE_TYPE: the number above eight bits of flags; 2 is downstream, 4 serialized,
    # 8 sticky, 16 sticky-multi.
    assert [int(event.type) for event in made] == [(400 + n) * 256 + 30 for n in range(7)]
    assert [events.parse(event) for event in made] == [
        ("pad-added", 0),
        ("pad-deleted", 0),
        ("stream-eos", 0),
        ("stream-segment", 0),
        ("stream-reset", 0),
        ("stream-start", 0),
        ("update-caps", 0),
    ]


def test_an_element_that_is_linked_late_learns_of_every_source(stopper: list[Bench]) -> None:
    made = bench(batch_size=2)
    stopper.append(made)
    made.feeds[1].end()
    assert wait_for(lambda: ("stream-eos", 1) in made.run.events)
    out = made.pipeline.get_by_name("out")
    idle: list[bool] = []

    def block(*_: Any) -> Any:
        idle.append(True)
        return Gst.PadProbeReturn.OK

    blocked = out.get_static_pad("src").add_probe(Gst.PadProbeType.IDLE, block)
    assert wait_for(lambda: bool(idle))
    late, sink = Gst.ElementFactory.make("identity"), out.get_static_pad("src").get_peer()
    run = Run()

    out.get_static_pad("src").unlink(sink)
    made.pipeline.add(late)
    late.get_static_pad("src").link(sink)
    watch(late.get_static_pad("sink"), run)
    late.sync_state_with_parent()
    out.link(late)
    out.get_static_pad("src").remove_probe(blocked)
    made.feeds[0].push()

    assert wait_for(lambda: bool(run.batches))
    assert run.events == [
        ("pad-added", 0),
        ("pad-added", 1),
        ("stream-eos", 1),
        ("stream-segment", 0),
        ("stream-segment", 1),
        ("stream-start", 0),
        ("stream-start", 1),
        ("update-caps", 0),
        ("update-caps", 1),
    ]
