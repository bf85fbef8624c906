"""nvstreamdemux: frames, metadata and the end of each source on a pad of its own."""

from typing import Any

import pytest

from plugins.standin.gst import Gst
from plugins.standin.metadata import NvDsObjectMeta
from tests.standin.pipelines import Bench, Feed, Run, bench, play, wait_for, watch

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]

CLIP = "videotestsrc num-buffers={} ! video/x-raw,width=64,height=48,framerate=10/1"


def test_each_source_gets_its_own_frames_as_batches_of_one() -> None:
    pipeline = Gst.parse_launch(
        "nvstreammux name=m batch-size=2 width=64 height=48 ! nvstreamdemux name=d "
        "d.src_0 ! queue ! nvvideoconvert ! nvdsosd ! identity name=a ! fakesink sync=false "
        "d.src_1 ! queue ! identity name=b ! fakesink sync=false "
        f"{CLIP.format(6)} ! m.sink_0 {CLIP.format(3)} ! m.sink_1"
    )
    seen: dict[str, list[Any]] = {"a": [], "b": []}
    for name, batches in seen.items():
        watch(pipeline.get_by_name(name).get_static_pad("sink"), Run(), batches.append)

    play(pipeline, Run())

    frames = {
        name: [(f.pad_index, f.frame_num, f.batch_id) for batch in batches for f in batch.frames]
        for name, batches in seen.items()
    }
    assert frames == {
        "a": [(0, number, 0) for number in range(6)],
        "b": [(1, number, 0) for number in range(3)],
    }
    assert {len(batch.surfaces) for batches in seen.values() for batch in batches} == {1}


def demuxed(*, sources: int, new: bool = False) -> tuple[Bench, Any]:
    """Put a demuxer between a bench's muxer and its queue, which gets source 0."""
    made = bench(sources=0, new=new, batch_size=sources, batched_push_timeout=50_000)
    made.pipeline.set_state(Gst.State.NULL)
    demuxer, out = Gst.ElementFactory.make("nvstreamdemux"), made.pipeline.get_by_name("out")
    made.pipeline.add(demuxer)
    made.muxer.unlink(out)
    made.muxer.link(demuxer)
    demuxer.request_pad_simple("src_0").link(out.get_static_pad("sink"))
    made.pipeline.set_state(Gst.State.PLAYING)
    made.feeds.extend(
        Feed(made.muxer, index, wh=(32 + 16 * index, 32)) for index in range(sources)
    )
    return made, demuxer


def branch(pipeline: Any, demuxer: Any, index: int) -> tuple[Run, list[int], Any]:
    """Give a source a pad and a sink while the pipeline runs; return what comes, PTSs and sink."""
    sink = Gst.ElementFactory.make("fakesink")
    for name in ("async", "sync"):
        sink.set_property(name, False)
    pipeline.add(sink)
    run, times = Run(), list[int]()
    watch(sink.get_static_pad("sink"), run)

    def note(_pad: Any, info: Any) -> Any:
        times.append(info.get_buffer().pts)
        return Gst.PadProbeReturn.OK

    sink.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, note)
    sink.sync_state_with_parent()
    demuxer.request_pad_simple(f"src_{index}").link(sink.get_static_pad("sink"))
    return run, times, sink


def test_a_pad_that_is_requested_while_it_runs_serves_a_source_that_begins_then(
    stopper: list[Bench],
) -> None:
    made, demuxer = demuxed(sources=2)
    stopper.append(made)
    made.feeds[0].start()
    made.feeds[0].push()
    assert wait_for(lambda: made.run.batches == [[(0, 0)]])

    run, times, sink = branch(made.pipeline, demuxer, 1)
    made.feeds[1].start()
    made.feeds[1].push(70_000_000)

    assert wait_for(lambda: run.batches == [[(1, 0)]])
    # The source's own time, not the batch's.
    assert times == [70_000_000]
    caps = sink.get_static_pad("sink").get_current_caps().to_string()
    assert "batch-size=(int)1" in caps


def test_a_pad_for_a_source_that_runs_has_no_frames_until_its_next_caps(
    stopper: list[Bench],
) -> None:
    made, demuxer = demuxed(sources=2, new=True)
    stopper.append(made)
    for feed in made.feeds:
        feed.start()
        feed.push()
    assert wait_for(lambda: bool(made.run.batches))

    run, _, sink = branch(made.pipeline, demuxer, 1)
    for feed in made.feeds:
        feed.push()
    assert wait_for(lambda: len(made.run.batches) == 2)
    before = list(run.batches)
    made.feeds[1].wh = (64, 16)
    made.feeds[1].start()
    made.feeds[1].push()

    assert before == []
    assert wait_for(lambda: run.batches == [[(1, 2)]])
    caps = sink.get_static_pad("sink").get_current_caps().to_string()
    assert "width=(int)64, height=(int)16" in caps


def test_a_pad_ends_with_its_source_and_begins_again_with_it(stopper: list[Bench]) -> None:
    made, _ = demuxed(sources=1)
    stopper.append(made)
    ends: list[Any] = []

    def note(_pad: Any, info: Any) -> Any:
        ends.append(info.get_event().type)
        return Gst.PadProbeReturn.OK

    entry = made.pipeline.get_by_name("out").get_static_pad("sink")
    entry.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, note)
    made.feeds[0].start()
    made.feeds[0].push()

    made.feeds[0].end()
    assert wait_for(lambda: Gst.EventType.EOS in ends)
    made.feeds[0].pad.set_active(False)
    made.feeds[0].pad.set_active(True)
    made.feeds[0].start()
    made.feeds[0].push()

    assert wait_for(lambda: made.run.frames_of(0) == [0, 1])


@pytest.mark.parametrize("new", [False, True])
def test_a_muxer_behind_a_demuxer_takes_the_frames(new: bool, stopper: list[Bench]) -> None:
    """The new one keeps their metadata, as published; the legacy one scales and begins anew."""
    second = bench(sources=0, new=new, batch_size=1)
    stopper.append(second)
    second.pipeline.set_state(Gst.State.NULL)
    first = Gst.parse_bin_from_description(
        f"nvstreammux name=m batch-size=2 width=64 height=32 ! {_RGBA} ! nvstreamdemux name=d "
        "videotestsrc num-buffers=3 pattern=black ! video/x-raw,width=64,height=32 ! m.sink_0 "
        "videotestsrc num-buffers=3 pattern=white ! video/x-raw,width=64,height=32 ! m.sink_1",
        False,
    )
    second.pipeline.add(first)
    watch(first.get_by_name("m").get_static_pad("src"), Run(), _mark)
    ghost = Gst.GhostPad.new("src", first.get_by_name("d").request_pad_simple("src_1"))
    first.add_pad(ghost)
    assert ghost.link(second.muxer.request_pad_simple("sink_0")) == Gst.PadLinkReturn.OK

    play(second.pipeline, second.run, until=lambda: len(second.batches) == 3)

    assert second.run.warnings == []
    frames = [batch.frames[0] for batch in second.batches]
    assert [frame.frame_num for frame in frames] == [0, 1, 2]
    assert {frame.pad_index for frame in frames} == {1 if new else 0}
    labels = [[item.obj_label for item in frame.objects] for frame in frames]
    assert labels == [["person 1"] if new else []] * 3
    surface = second.batches[0].surfaces[0]
    assert (surface.width, surface.height) == ((64, 32) if new else (32, 32))
    assert (surface.rgb() > 250).all()


_RGBA = "nvvideoconvert ! video/x-raw(memory:NVMM),format=RGBA"


def _mark(batch: Any) -> None:
    for frame in batch.frames:
        item = NvDsObjectMeta()
        item.obj_label = f"person {frame.pad_index}"
        frame.objects.append(item)
