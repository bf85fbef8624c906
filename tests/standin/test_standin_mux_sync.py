"""sync-inputs and max-latency; how batches are stamped, with them and without.

Early, on time and late are NvTimeSync::get_synch_info of 9.1's gstnvtimesynch.cpp, stamps
GstBatchBufferWrapper::push of gstnvstreammux_pads.cpp and NvStreamMux::push_batch.
"""

import time
from typing import Any

import pytest

from plugins.standin.elements.mux_pts import CountingPts, FirstFramePts, NewestFramePts
from plugins.standin.elements.mux_sync import Sync
from plugins.standin.gst import Gst
from tests.standin.pipelines import Bench, Run, bench, play, wait_for, watch

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]

MS = 1_000_000
S = 1000 * MS


@pytest.mark.parametrize(
    ("running_ms", "wait_ms"),
    [
        pytest.param(5000, 200, id="held-back-for-the-least-rate"),
        pytest.param(5300, 500, id="early"),
        pytest.param(4800, 0, id="its-time-has-come"),
        pytest.param(4700, -100, id="as-late-as-allowed"),
        pytest.param(4699, None, id="too-late"),
    ],
)
def test_the_new_muxer_holds_back_and_drops(running_ms: int, wait_ms: int | None) -> None:
    sync = Sync(hold_ns=200 * MS, max_latency_ns=100 * MS)

    wait_ns = sync.wait_ns(running_ms * MS, 5000 * MS, None)

    assert wait_ns == (None if wait_ms is None else wait_ms * MS)


def test_a_live_sources_latency_is_added_to_what_is_allowed() -> None:
    sync = Sync(hold_ns=200 * MS, max_latency_ns=100 * MS)
    sync.heard(live=True, least_ns=50 * MS)

    # 200 ms of holding back, then 50 + 200 + 100 ms.
    assert sync.wait_ns(4450 * MS, 5000 * MS, None) == -350 * MS
    assert sync.wait_ns(4449 * MS, 5000 * MS, None) is None


def test_everything_is_on_time_while_the_pipeline_starts() -> None:
    assert Sync(200 * MS, 0).wait_ns(0, 199 * MS, None) == 0


def test_the_legacy_muxer_judges_lateness_when_a_frame_comes() -> None:
    sync = Sync(hold_ns=0, max_latency_ns=100 * MS)

    assert sync.wait_ns(1 * S, 9 * S, 1 * S + 100 * MS) == -8 * S
    assert sync.wait_ns(1 * S, 9 * S, 1 * S + 101 * MS) is None
    assert sync.wait_ns(9 * S, 1 * S, 1 * S) == 8 * S


def stamps_of(made: Bench) -> list[int]:
    """Note the PTS of each batch."""
    seen: list[int] = []

    def note(_pad: Any, info: Any) -> Any:
        seen.append(info.get_buffer().pts)
        return Gst.PadProbeReturn.OK

    made.muxer.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, note)
    return seen


def now_ns(made: Bench) -> int:
    """Return the muxer's running time; it has run for half a minute."""
    core = made.muxer.core
    assert wait_for(lambda: made.pipeline.get_state(0).state == Gst.State.PLAYING)
    if core.running_now_ns() < 30 * S:
        core.set_base_time(core.get_base_time() - 30 * S)
    now = core.running_now_ns()
    assert now is not None
    return int(now)


@pytest.mark.parametrize("new", [False, True])
def test_frames_of_one_moment_meet_though_one_comes_first(new: bool, stopper: list[Bench]) -> None:
    made = bench(new=new, batch_size=2, sync_inputs=True, max_latency=20 * S)
    stopper.append(made)
    stamps = stamps_of(made)
    started_s = time.monotonic()
    at = now_ns(made) + 1500 * MS

    made.feeds[0].push(at)
    made.feeds[0].push(at + 100 * MS)
    time.sleep(0.1)
    made.feeds[1].push(at + 20 * MS)

    assert wait_for(lambda: bool(made.run.batches))
    waited_s = time.monotonic() - started_s
    assert made.run.batches[0] == [(0, 0), (1, 0)]
    # Until the later frame's time; the new muxer until 200 ms after it.
    assert waited_s >= (1.72 if new else 1.52)
    assert stamps[0] == at + 20 * MS


@pytest.mark.parametrize("new", [False, True])
def test_a_frame_that_comes_too_late_is_dropped_and_not_counted(
    new: bool, stopper: list[Bench]
) -> None:
    made = bench(new=new, sources=1, batch_size=1, sync_inputs=True, max_latency=20 * S)
    stopper.append(made)
    now = now_ns(made)

    made.feeds[0].push(now - 21 * S)
    made.feeds[0].push(now - 1 * S)

    assert wait_for(lambda: bool(made.run.batches))
    assert made.run.batches == [[(0, 0)]]
    assert made.batches[0].frames[0].buf_pts == now - 1 * S


def test_max_latency_may_be_set_while_frames_flow(stopper: list[Bench]) -> None:
    made = bench(sources=1, batch_size=1, sync_inputs=True)
    stopper.append(made)
    late = now_ns(made) - 400 * MS
    made.feeds[0].push(late)
    time.sleep(0.1)
    dropped = list(made.run.batches)

    made.muxer.set_property("max-latency", 60 * S)
    made.feeds[0].push(late)

    assert dropped == []
    assert wait_for(lambda: made.run.batches == [[(0, 0)]])


def test_a_late_source_does_not_hold_the_others_up(stopper: list[Bench]) -> None:
    made = bench(batch_size=2, batched_push_timeout=100_000, sync_inputs=True, max_latency=60 * S)
    stopper.append(made)
    started_s = time.monotonic()
    at = now_ns(made) + 200 * MS

    made.feeds[0].push(at)

    assert wait_for(lambda: made.run.batches == [[(0, 0)]])
    # 200 ms until its time, then the timeout, which counts from there.
    assert time.monotonic() - started_s >= 0.3


def test_live_frames_pass_in_time(stand_ins: None) -> None:
    pipeline = Gst.parse_launch(
        "nvstreammux name=m batch-size=2 width=32 height=32 sync-inputs=1 max-latency=30000000000 "
        "batched-push-timeout=30000000 ! fakesink name=s sync=false async=false "
        "videotestsrc is-live=1 num-buffers=20 ! video/x-raw,framerate=20/1 ! m.sink_0 "
        "videotestsrc is-live=1 num-buffers=20 ! video/x-raw,framerate=20/1 ! m.sink_1"
    )
    apart_ns: list[int] = []

    def note(batch: Any) -> None:
        times = [frame.buf_pts for frame in batch.frames]
        if len(times) == 2:
            apart_ns.append(abs(times[0] - times[1]))

    run = Run()
    watch(pipeline.get_by_name("s").get_static_pad("sink"), run, note)

    play(pipeline, run)

    assert run.frames_of(0) == run.frames_of(1) == list(range(20))
    assert len(apart_ns) >= 15
    assert max(apart_ns) < 50 * MS


def test_without_sync_the_new_muxer_counts_batches_at_the_rate_of_the_first_caps(
    stopper: list[Bench],
) -> None:
    made = bench(new=True, sources=1, batch_size=1)
    stopper.append(made)
    stamps = stamps_of(made)

    for pts in (7 * S, 7 * S + 30 * MS, 9 * S):
        made.feeds[0].push(pts)

    # The feed's caps say 10/1.
    assert wait_for(lambda: stamps == [0, 100 * MS, 200 * MS])


def test_a_source_that_begins_later_starts_the_count_at_the_time_it_is() -> None:
    pts = CountingPts()
    pts.start(25, 1)
    pts.began(3 * S)
    first = [pts.of([0]), pts.of([0])]

    pts.began(4 * S)

    assert first == [0, 40 * MS]
    assert [pts.of([0]), pts.of([0])] == [4 * S, 4 * S + 40 * MS]


def test_the_same_time_twice_is_nudged() -> None:
    newest, counting = NewestFramePts(), CountingPts()
    counting.began(None)

    assert [newest.of([5, 9, None]), newest.of([9, 2])] == [9, 9 + MS // 4]
    assert counting.of([0]) == 0
    counting.began(0)
    assert counting.of([0]) == MS // 4


def test_the_legacy_muxer_stamps_with_the_first_frame_and_never_goes_back() -> None:
    pts = FirstFramePts()

    assert [pts.of([50, 90]), pts.of([40, 10]), pts.of([None])] == [50, 51, 2**64 - 1]
