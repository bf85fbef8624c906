"""nvstreammux: numbers are worked by hand; a time is at least what it is to be."""

import time
from typing import Any

import pytest

from plugins.standin.elements.mux_batching import LegacyBatching, NewBatching
from plugins.standin.gst import Gst
from plugins.standin.queries import ask_batch_size
from tests.standin.pipelines import Bench, Feed, Run, bench, play, wait_for, watch

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]


@pytest.mark.parametrize(
    ("batch_size", "pads", "open_pads", "per_source", "full_at"),
    [
        pytest.param(4, 4, 4, 1, 4, id="one-frame-of-each"),
        pytest.param(4, 4, 3, 1, 3, id="an-ended-source-is-not-waited-for"),
        pytest.param(2, 4, 4, 1, 2, id="batch-smaller-than-the-pads"),
        pytest.param(6, 2, 2, 6, 6, id="batch-larger-than-the-pads-takes-several"),
    ],
)
def test_legacy_batches_are_full_at(
    batch_size: int, pads: int, open_pads: int, per_source: int, full_at: int
) -> None:
    batching = LegacyBatching(batch_size, 40_000)

    assert batching.per_source(pads) == per_source
    assert batching.full_at(pads=pads, open_pads=open_pads) == full_at
    assert batching.deadline_s(first_frame_s=10.0, last_batch_s=9.9) == pytest.approx(10.04)


def test_a_negative_timeout_waits_for_ever() -> None:
    assert LegacyBatching(2, -1).deadline_s(first_frame_s=1.0, last_batch_s=0.0) is None


def test_the_new_muxer_counts_from_the_last_batch_and_adapts_to_open_pads() -> None:
    batching = NewBatching(batch_size=4, min_fps=30)

    assert batching.full_at(pads=4, open_pads=3) == 3
    assert batching.deadline_s(first_frame_s=10.0, last_batch_s=10.0) == pytest.approx(10 + 1 / 30)
    assert batching.deadline_s(first_frame_s=10.0, last_batch_s=1.0) == 10.0


def test_a_full_batch_is_pushed_at_once_and_a_partial_one_never_without_timeout(
    stopper: list[Bench],
) -> None:
    made = bench(batch_size=2)
    stopper.append(made)

    made.feeds[0].push()
    time.sleep(0.1)
    waiting = list(made.run.batches)
    made.feeds[1].push()

    assert waiting == []
    assert wait_for(lambda: made.run.batches == [[(0, 0), (1, 0)]])


def test_a_partial_batch_is_pushed_when_the_timeout_is_over(stopper: list[Bench]) -> None:
    made = bench(batch_size=2, batched_push_timeout=200_000)
    stopper.append(made)

    started_s = time.monotonic()
    made.feeds[0].push()

    assert wait_for(lambda: bool(made.run.batches))
    assert time.monotonic() - started_s >= 0.2
    assert made.run.batches == [[(0, 0)]]


@pytest.mark.parametrize(("reset", "second"), [(True, 0), (False, 1)])
def test_frame_numbers_begin_anew_after_eos_where_asked(
    reset: bool, second: int, stopper: list[Bench]
) -> None:
    made = bench(batch_size=1, frame_num_reset_on_eos=reset)
    stopper.append(made)
    ending = made.feeds[0]
    ending.push()
    ending.end()
    assert wait_for(lambda: ("stream-eos", 0) in made.run.events)

    ending.pad.set_active(False)
    ending.pad.set_active(True)
    ending.start()
    ending.push()

    assert wait_for(lambda: made.run.frames_of(0) == [0, second])


def test_a_batch_larger_than_the_pads_takes_several_frames_of_one_source(
    stopper: list[Bench],
) -> None:
    made = bench(sources=1, batch_size=3)
    stopper.append(made)

    for _ in range(3):
        made.feeds[0].push()

    assert wait_for(lambda: made.run.batches == [[(0, 0), (0, 1), (0, 2)]])


def test_a_batch_smaller_than_the_pads_serves_the_sources_in_turn(stopper: list[Bench]) -> None:
    made = bench(sources=4, batch_size=2)
    stopper.append(made)

    for _ in range(2):
        for feed in made.feeds:
            feed.push()

    assert wait_for(lambda: len(made.run.batches) == 4)
    assert sorted(item for batch in made.run.batches for item in batch) == [
        (pad, n) for pad in range(4) for n in (0, 1)
    ]


def test_sources_are_announced_before_their_first_batch_and_end_one_by_one(
    stopper: list[Bench],
) -> None:
    made = bench(batch_size=2)
    stopper.append(made)
    for feed in made.feeds:
        feed.push()

    made.feeds[1].end()
    assert wait_for(lambda: ("stream-eos", 1) in made.run.events)
    made.feeds[0].push()
    assert wait_for(lambda: len(made.run.batches) == 2)
    made.feeds[0].end()
    message = made.pipeline.get_bus().timed_pop_filtered(60 * Gst.SECOND, Gst.MessageType.EOS)

    assert message is not None
    kinds = ("pad-added", "stream-eos")
    assert [event for event in made.run.events if event[0] in kinds] == [
        ("pad-added", 0),
        ("pad-added", 1),
        ("stream-eos", 1),
        ("stream-eos", 0),
    ]
    assert made.run.batches == [[(0, 0), (1, 0)], [(0, 1)]]


def test_every_ended_source_is_an_element_message(stopper: list[Bench]) -> None:
    made = bench(batch_size=2)
    stopper.append(made)

    for feed in made.feeds:
        feed.end()
    run = play(made.pipeline, Run())

    assert sorted(run.ended_sources) == [0, 1]
    assert run.eos


def test_drop_pipeline_eos_keeps_the_pipeline_up(stopper: list[Bench]) -> None:
    made = bench(batch_size=2, drop_pipeline_eos=True)
    stopper.append(made)

    for feed in made.feeds:
        feed.end()

    kinds = Gst.MessageType.EOS
    assert made.pipeline.get_bus().timed_pop_filtered(200 * Gst.MSECOND, kinds) is None


def test_flags_that_are_set_while_frames_flow_count(stopper: list[Bench]) -> None:
    made = bench(sources=1, new=True, batch_size=1)
    stopper.append(made)
    made.feeds[0].push()
    assert wait_for(lambda: len(made.batches) == 1)

    made.muxer.set_property("frame-num-reset-on-eos", True)
    made.muxer.set_property("drop-pipeline-eos", True)
    made.feeds[0].end()
    made.feeds[0].start()
    made.feeds[0].push()

    assert wait_for(lambda: made.run.batches == [[(0, 0)], [(0, 0)]])
    assert made.pipeline.get_bus().pop_filtered(Gst.MessageType.EOS) is None


@pytest.mark.parametrize(
    ("new", "told"), [pytest.param(False, 1, id="legacy"), pytest.param(True, 2, id="new")]
)
def test_the_new_muxer_tells_of_a_batch_as_large_as_its_pads_are_many(
    new: bool, told: int, stopper: list[Bench]
) -> None:
    made = bench(sources=2, new=new, batch_size=1)
    stopper.append(made)
    made.feeds[0].push()
    made.feeds[1].push()
    assert wait_for(lambda: bool(made.batches))

    caps = made.muxer.get_static_pad("src").get_current_caps().to_string()
    assert f"batch-size=(int){told}" in caps
    assert made.batches[0].max_frames_in_batch == told
    assert ask_batch_size(made.pipeline.get_by_name("out").get_static_pad("sink")) == told


def test_a_released_source_is_taken_out_and_the_other_goes_on(stopper: list[Bench]) -> None:
    made = bench(batch_size=2)
    stopper.append(made)
    for feed in made.feeds:
        feed.push()
    assert wait_for(lambda: len(made.run.batches) == 1)

    made.muxer.release_request_pad(made.feeds[1].sink)
    made.feeds[0].push()
    made.feeds[0].push()

    # Two frames of one source: the batch size now exceeds the pads.
    assert wait_for(lambda: made.run.batches[1:] == [[(0, 1), (0, 2)]])
    assert ("pad-deleted", 1) in made.run.events


def test_sources_of_other_and_odd_sizes_are_scaled_and_their_own_size_is_known(
    stopper: list[Bench],
) -> None:
    made = bench(batch_size=1, sources=1, wh=(33, 17))
    stopper.append(made)

    made.feeds[0].push(7_000, grey=90)

    assert wait_for(lambda: bool(made.batches))
    frame, surface = made.batches[0].frames[0], made.batches[0].surfaces[0]
    assert (frame.source_frame_width, frame.source_frame_height) == (33, 17)
    assert frame.buf_pts == 7_000
    assert (surface.width, surface.height) == (32, 32)
    assert surface.nv12()[0].min() == surface.nv12()[0].max() == 90
    assert abs(frame.ntp_timestamp - time.time_ns()) < 60e9


def test_enable_padding_keeps_the_shape_with_black_borders(stopper: list[Bench]) -> None:
    made = bench(batch_size=1, sources=1, wh=(64, 32), enable_padding=True)
    stopper.append(made)

    made.feeds[0].push(grey=200)

    assert wait_for(lambda: bool(made.batches))
    luma = made.batches[0].surfaces[0].nv12()[0]
    # 64x32 into 32x32 is 32x16, so eight black rows above and below.
    assert luma[:8].max() == luma[24:].max() == 16
    assert luma[8:24].min() == 200


@pytest.mark.parametrize("missing", ["batch-size", "width", "height"])
def test_a_setting_that_must_be_made_is_an_error_before_ready(missing: str) -> None:
    muxer = Gst.ElementFactory.make("nvstreammux")
    for name in ("batch-size", "width", "height"):
        muxer.set_property(name, 0 if name == missing else 32)
    pipeline = Gst.Pipeline()
    pipeline.add(muxer)

    changed = pipeline.set_state(Gst.State.READY)
    message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)

    assert changed == Gst.StateChangeReturn.FAILURE
    assert f"{missing}: 0, want it set" in message.parse_error()[0].message


def test_the_new_muxer_has_no_width_and_takes_frames_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from plugins.standin.elements import nvstreammux  # noqa: PLC0415  needs Gst.init

    monkeypatch.setenv("USE_NEW_NVSTREAMMUX", "yes")
    muxer = nvstreammux.muxer_class()()
    muxer.set_property("batch-size", 2)
    muxer.set_property("batched-push-timeout", 1_000_000)
    pipeline, sink = Gst.Pipeline(), Gst.ElementFactory.make("fakesink")
    for item in (muxer, sink):
        pipeline.add(item)
    muxer.link(sink)
    sizes: dict[int, tuple[int, int]] = {}

    def note(batch: Any) -> None:
        for frame, surface in zip(batch.frames, batch.surfaces, strict=True):
            sizes[frame.pad_index] = (surface.width, surface.height)

    watch(sink.get_static_pad("sink"), Run(), note)
    feeds = [Feed(muxer, 0, wh=(32, 32)), Feed(muxer, 1, wh=(16, 48))]

    pipeline.set_state(Gst.State.PLAYING)
    for feed in feeds:
        feed.start()
        feed.push()
    seen = wait_for(lambda: len(sizes) == 2)
    pipeline.set_state(Gst.State.NULL)

    assert seen
    assert sizes == {0: (32, 32), 1: (16, 48)}
    assert muxer.find_property("width") is None


@pytest.mark.parametrize("element", ["nvstreammux", "nvstreamdemux"])
def test_a_pad_without_a_number_is_refused_as_on_the_device(
    element: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = Gst.ElementFactory.make(element)
    side = "sink" if element == "nvstreammux" else "src"

    assert made.request_pad_simple(f"{side}_%u") is None
    assert f"a pad should be named {side}_N element={made.get_name()}" in caplog.text
    assert made.request_pad_simple(f"{side}_7").get_name() == f"{side}_7"
