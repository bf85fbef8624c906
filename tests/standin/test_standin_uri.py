"""nvurisrcbin: files, failures that stay their source's own, cameras that come back."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.broker import free_port
from plugins.standin import buffer_meta, events
from plugins.standin.gst import Gst
from plugins.standin.metadata import NvDsObjectMeta
from tests.rtsp_server import RtspServer
from tests.standin.pipelines import Feed, Run, bench, owner_of, play, wait_for, watch

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]


def graph(*sources: dict[str, Any]) -> tuple[Any, Run, list[Any]]:
    """Make sources source-0, source-1 ... into a muxer; return pipeline, record and frames."""
    pipeline = Gst.parse_launch(
        f"nvstreammux name=mux batch-size={len(sources)} width=64 height=48 "
        "batched-push-timeout=40000 ! queue name=out ! fakesink async=false sync=false"
    )
    muxer = pipeline.get_by_name("mux")
    for index, properties in enumerate(sources):
        source = Gst.ElementFactory.make("nvurisrcbin", f"source-{index}")
        for name, value in properties.items():
            source.set_property(name, value)
        muxer.request_pad_simple(f"sink_{index}")
        source.connect("pad-added", _link, muxer.get_static_pad(f"sink_{index}"))
        pipeline.add(source)
    run, frames = Run(), []
    watch(
        pipeline.get_by_name("out").get_static_pad("sink"),
        run,
        lambda batch: frames.extend(batch.frames),
    )
    return pipeline, run, frames


def _link(_source: Any, pad: Any, sink: Any) -> None:
    if pad.get_name().startswith("vsrc"):
        pad.link(sink)


def let_it_go(pipeline: Any) -> Any:
    """Make an error handler that ends the failed source and lets the others go on."""

    def handler(message: Any) -> bool:
        index = owner_of(message.src, pipeline).removeprefix("source-")
        sink = pipeline.get_by_name("mux").get_static_pad(f"sink_{index}")
        sink.send_event(Gst.Event.new_eos())
        return True

    return handler


def test_files_of_two_codecs_play_to_their_ends(clips: Path) -> None:
    pipeline, run, frames = graph(
        {"uri": f"file://{clips}/a.mp4", "source-id": 7}, {"uri": f"file://{clips}/b.mkv"}
    )

    play(pipeline, run)

    assert run.eos
    assert run.frames_of(0) == list(range(30))
    assert run.frames_of(1) == list(range(15))
    assert {(f.pad_index, f.source_id, f.source_frame_width) for f in frames} == {
        (0, 7, 64),
        (1, 1, 66),
    }


def test_the_pad_has_the_real_names_and_nvmm_caps(clips: Path) -> None:
    source = Gst.ElementFactory.make("nvurisrcbin")
    source.set_property("uri", f"file://{clips}/b.mkv")
    source.set_property("disable-audio", False)
    pads: dict[str, str] = {}
    source.connect("pad-added", lambda _s, p: pads.update({p.get_name(): _features(p)}))
    pipeline = Gst.Pipeline()
    pipeline.add(source)

    play(pipeline, Run(), until=lambda: len(pads) == 2)

    assert pads == {"vsrc_0": "memory:NVMM", "asrc_0": "memory:SystemMemory"}


def _features(pad: Any) -> str:
    return str(pad.query_caps(None).get_features(0).to_string())


def test_drop_frame_interval_keeps_every_nth_frame(clips: Path) -> None:
    pipeline, run, frames = graph({"uri": f"file://{clips}/a.mp4", "drop-frame-interval": 5})

    play(pipeline, run)

    # 30 frames of 1/30 s: the 1st, 6th ... 26th.
    assert [round(frame.buf_pts / 1e9 * 30) for frame in frames] == [0, 5, 10, 15, 20, 25]


def test_a_looped_file_goes_on_in_time(clips: Path) -> None:
    pipeline, run, frames = graph({"uri": f"file://{clips}/a.mp4", "file-loop": True})

    play(pipeline, run, until=lambda: len(frames) > 65)

    times = [frame.buf_pts for frame in frames[:65]]
    assert times == sorted(set(times))
    assert run.frames_of(0)[:65] == list(range(65))
    assert ("stream-eos", 0) not in run.events


def test_an_eos_from_outside_ends_a_looped_file(clips: Path) -> None:
    pipeline, run, frames = graph({"uri": f"file://{clips}/a.mp4", "file-loop": True})
    asked: list[bool] = []

    def ask_once() -> bool:
        if len(frames) > 40 and not asked:
            asked.append(pipeline.send_event(Gst.Event.new_eos()))
        return False

    play(pipeline, run, until=ask_once)

    assert asked == [True]
    assert run.eos


def test_a_pipeline_can_be_stopped_and_played_again(clips: Path) -> None:
    pipeline, run, frames = graph({"uri": f"file://{clips}/a.mp4"})

    play(pipeline, run)
    play(pipeline, run)

    assert run.frames_of(0) == [*range(30), *range(30)]
    assert [frame.buf_pts for frame in frames[:30]] == [frame.buf_pts for frame in frames[30:]]


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        pytest.param("file://{clips}/text.mp4", "type of stream", id="text"),
        pytest.param("file://{clips}/empty.mp4", "no data", id="empty"),
        # On a busy machine decodebin may lose the demuxer's error; then the wait is bounded.
        pytest.param("file://{clips}/cut.mp4", " video|playable", id="cut-off"),
        pytest.param("file://{clips}/none.mp4", "not found", id="missing"),
        pytest.param("http://127.0.0.1:9/a.mp4", "error|connection", id="no-server"),
        pytest.param("rtsp://127.0.0.1:9/a", "open resource", id="no-camera"),
    ],
)
def test_a_bad_source_is_one_error_that_names_it_and_the_other_plays_on(
    clips: Path, uri: str, why: str
) -> None:
    uri = uri.format(clips=clips)
    pipeline, run, _ = graph({"uri": f"file://{clips}/a.mp4"}, {"uri": uri})

    play(pipeline, run, on_error=let_it_go(pipeline))

    assert run.eos
    assert run.frames_of(0) == list(range(30))
    assert [source for source, _ in run.errors] == ["source-1"]
    assert run.errors[0][1].startswith(f"{uri}: ")
    assert re.search(why, run.errors[0][1])


def test_a_file_without_video_is_an_error(clips: Path, tmp_path: Path) -> None:
    pipeline = Gst.parse_launch(
        f"audiotestsrc num-buffers=10 ! wavenc ! filesink location={tmp_path}/a.wav"
    )
    play(pipeline, Run())
    pipeline, run, _ = graph({"uri": f"file://{tmp_path}/a.wav"})

    play(pipeline, run, on_error=let_it_go(pipeline))

    assert len(run.errors) == 1
    assert f"file://{tmp_path}/a.wav: " in run.errors[0][1]


def test_credentials_are_in_no_message(clips: Path) -> None:
    pipeline, run, _ = graph({"uri": "rtsp://joe:secret@127.0.0.1:9/a"})

    play(pipeline, run)

    assert run.errors[0][1].startswith("rtsp://***@127.0.0.1:9/a: ")
    assert "secret" not in str(run.errors)


@pytest.fixture
def camera(clips: Path) -> Iterator[RtspServer]:
    with RtspServer(clips / "a.mp4", free_port()) as server:
        yield server


def play_outage(camera: RtspServer, pipeline: Any, run: Run, frames: list[Any]) -> int:
    """Play a camera, kill it, start it again and see its frames; return how many there were."""
    state = {"step": 0, "seen": 0}

    def scene() -> bool:
        if state["step"] == 0 and len(frames) > 5:
            camera.kill()
            state["step"] = 1
        elif state["step"] == 1 and any("opening it again" in text for text in run.warnings):
            camera.start()
            state.update(step=2, seen=len(frames))
        return state["step"] == 2 and len(frames) > state["seen"] + 5

    play(pipeline, run, until=scene)
    assert len(frames) > state["seen"] + 5
    return state["seen"]


CAMERA = {"rtsp-reconnect-interval": 1, "select-rtp-protocol": 4}


def test_a_camera_that_dies_and_returns_is_found_again(camera: RtspServer, clips: Path) -> None:
    pipeline, run, frames = graph({"uri": camera.url, "file-loop": False} | CAMERA)

    play_outage(camera, pipeline, run, frames)

    assert run.errors == []
    assert not run.eos
    times = [frame.buf_pts for frame in frames]
    assert times == sorted(times)
    assert run.frames_of(0) == list(range(len(frames)))
    assert ("stream-reset", 0) in run.events


def test_frame_numbers_begin_anew_after_a_reset_where_asked(
    camera: RtspServer, clips: Path
) -> None:
    pipeline, run, frames = graph({"uri": camera.url} | CAMERA)
    pipeline.get_by_name("mux").set_property("frame-num-reset-on-stream-reset", True)

    seen = play_outage(camera, pipeline, run, frames)

    assert run.frames_of(0)[:seen] == list(range(seen))
    assert run.frames_of(0)[seen : seen + 5] == list(range(5))


@pytest.mark.parametrize(("mode", "same"), [(None, False), (1, False), (0, True)])
def test_ids_after_a_reset_are_as_tracking_id_reset_mode_says(
    mode: int | None, same: bool, stopper: list[Any]
) -> None:
    """The muxer passes a source's STREAM_RESET on under the pad's number, to the tracker, too."""
    made = bench(sources=0, batch_size=1)
    stopper.append(made)
    made.pipeline.set_state(Gst.State.NULL)
    tracker, out = Gst.ElementFactory.make("nvtracker"), made.pipeline.get_by_name("out")
    config = Path(__file__).parents[2] / "configs" / "tracker" / "iou.yml"
    tracker.set_property("ll-config-file", str(config))
    if mode is not None:
        tracker.set_property("tracking-id-reset-mode", mode)
    made.pipeline.add(tracker)
    made.muxer.unlink(out)
    made.muxer.link(tracker)
    tracker.link(out)
    tracker.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, _put_a_person)
    made.pipeline.set_state(Gst.State.PLAYING)
    feed = Feed(made.muxer, 4)
    feed.start()
    for pts in range(3):
        feed.push(pts)

    feed.pad.push_event(events.make_stream_reset(0))
    feed.push(3)

    assert wait_for(lambda: len(made.batches) == 4)
    ids = [batch.frames[0].objects[0].object_id for batch in made.batches]
    assert ids[0] == ids[1] == ids[2]
    assert (ids[3] == ids[2]) is same
    assert ("stream-reset", 4) in made.run.events


def _put_a_person(_pad: Any, info: Any) -> Any:
    batch = buffer_meta.get(info.get_buffer())
    assert batch is not None
    frame = batch.frames[0]
    person = NvDsObjectMeta()
    person.confidence = 0.9
    rect = person.rect_params
    rect.left, rect.top, rect.width, rect.height = 4, 4, 12, 20
    frame.bInferDone = True
    frame.objects.append(person)
    return Gst.PadProbeReturn.OK


def test_resets_of_all_cameras_are_three_seconds_apart() -> None:
    uris = ["rtsp://127.0.0.1:9/a", "rtsp://127.0.0.1:9/b"]
    pipeline, run, _ = graph(*({"uri": uri, "rtsp-reconnect-interval": 1} for uri in uris))
    began_s = time.monotonic()

    def resets() -> int:
        return sum("opening it again" in text for text in run.warnings)

    play(pipeline, run, until=lambda: resets() >= 3)

    # Each for itself, they would be opened three times within two seconds.
    assert time.monotonic() - began_s >= 1 + 2 * 3


def test_attempts_that_are_used_up_are_an_element_message() -> None:
    pipeline, run, _ = graph(
        {
            "uri": "rtsp://127.0.0.1:9/a",
            "rtsp-reconnect-interval": 1,
            "rtsp-reconnect-attempts": 1,
        }
    )
    seen: list[str] = []
    bus = pipeline.get_bus()
    bus.set_sync_handler(lambda _bus, message: _note(seen, message))

    play(pipeline, run, until=lambda: "reconnect-attempt-exceeded" in seen)

    assert "reconnect-attempt-exceeded" in seen
    assert run.errors == []


def _note(seen: list[str], message: Any) -> Any:
    if message.type == Gst.MessageType.ELEMENT:
        seen.append(message.get_structure().get_name())
    return Gst.BusSyncReply.PASS
