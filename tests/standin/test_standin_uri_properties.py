"""nvurisrcbin's properties that tune opening and decoding; each test sees the effect."""

import time
from pathlib import Path
from typing import Any

import pytest

from demo.broker import free_port
from plugins.standin.elements.skip_frames import SkipFrames
from plugins.standin.gst import Gst
from tests.rtsp_server import RtspServer
from tests.standin.pipelines import Run, play, watch

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]


def source_of(**properties: Any) -> tuple[Any, Run, list[Any]]:
    """Make a source into a muxer of its own; properties have _ for -."""
    pipeline = Gst.parse_launch(
        "nvurisrcbin name=source ! mux.sink_0 nvstreammux name=mux batch-size=1 width=64 "
        "height=48 ! fakesink name=sink async=false sync=false"
    )
    source, run, frames = pipeline.get_by_name("source"), Run(), list[Any]()
    for name, value in properties.items():
        source.set_property(name.replace("_", "-"), value)
    watch(
        pipeline.get_by_name("sink").get_static_pad("sink"),
        run,
        lambda batch: frames.extend(batch.frames),
    )
    return pipeline, run, frames


def numbers(frames: list[Any], fps: int) -> list[int]:
    """Return which frames of a clip came."""
    return [round(frame.buf_pts / 1e9 * fps) for frame in frames]


def test_dec_skip_frames_2_keeps_key_frames(clips: Path) -> None:
    pipeline, run, frames = source_of(uri=f"file://{clips}/a.mp4", dec_skip_frames=2)

    play(pipeline, run)

    # The clip has a key frame in ten.
    assert numbers(frames, 30) == [0, 10, 20]


def test_dec_skip_frames_1_leaves_out_what_no_frame_refers_to(tmp_path: Path) -> None:
    encoder = "x264enc b-adapt=false bframes=2 b-pyramid=false key-int-max=300"
    made = Gst.parse_launch(
        "videotestsrc num-buffers=30 ! video/x-raw,width=64,height=48,framerate=30/1 "
        f"! {encoder} ! mp4mux ! filesink location={tmp_path}/b.mp4"
    )
    play(made, Run())
    pipeline, run, frames = source_of(uri=f"file://{tmp_path}/b.mp4", dec_skip_frames=1)

    play(pipeline, run)

    # Two B-frames between any two others.
    steps = numbers(frames, 30)
    assert [step - steps[0] for step in steps][:9] == list(range(0, 27, 3))


@pytest.mark.parametrize(
    ("caps", "data", "skipped"),
    [
        ("video/x-h264, stream-format=byte-stream", "00000109f0 00000101aa", True),
        ("video/x-h264, stream-format=byte-stream", "0000000141aa", False),
        ("video/x-h265, stream-format=byte-stream", "0000000100010a", True),
        ("video/x-h265, stream-format=byte-stream", "0000000102010a", False),
        ("video/x-h265, stream-format=byte-stream", "0000000126010a", False),
        ("video/x-vp8", "000001", False),
    ],
)
def test_a_frame_nothing_refers_to_is_known_by_its_first_slice(
    caps: str, data: str, skipped: bool
) -> None:
    skip = SkipFrames(Gst.Caps.from_string(caps), keys_only=False)

    assert skip.is_unreferenced(bytes.fromhex(data)) is skipped


def test_simulate_fps_interval_ms_holds_frames_up(clips: Path) -> None:
    pipeline, run, frames = source_of(uri=f"file://{clips}/a.mp4", simulate_fps_interval_ms=40)

    started_s = time.monotonic()
    play(pipeline, run)

    assert len(frames) == 30
    assert time.monotonic() - started_s >= 30 * 0.04


def test_a_cameras_queue_and_jitter_buffer_are_as_set(clips: Path) -> None:
    with RtspServer(clips / "a.mp4", free_port()) as camera:
        pipeline, run, frames = source_of(
            uri=camera.url, select_rtp_protocol=4, leaky=2, max_size_buffers=7, buffer_mode=1
        )
        set_so: dict[str, Any] = {}

        def look(_pipeline: Any, _bin: Any, element: Any) -> None:
            set_so[element.get_factory().get_name()] = element

        pipeline.connect("deep-element-added", look)
        play(pipeline, run, until=lambda: len(frames) > 3)
        queue, source = set_so["queue"], set_so["rtspsrc"]
        found = queue.get_property("leaky").value_nick, queue.get_property("max-size-buffers")

    assert len(frames) > 3
    assert found == ("downstream", 7)
    assert source.get_property("buffer-mode").value_nick == "slave"


def test_an_h265_camera_plays_through_the_queue(clips: Path) -> None:
    with RtspServer(clips / "b.mkv", free_port()) as camera:
        pipeline, run, frames = source_of(uri=camera.url, select_rtp_protocol=4)
        play(pipeline, run, until=lambda: len(frames) > 3)

    assert len(frames) > 3
    assert run.errors == []


def test_type_uri_plays_a_camera_and_does_not_open_it_again(clips: Path) -> None:
    with RtspServer(clips / "a.mp4", free_port()) as camera:
        pipeline, run, frames = source_of(uri=camera.url, type=1, rtsp_reconnect_interval=1)
        killed: list[bool] = []

        def kill_once() -> bool:
            if len(frames) > 3 and not killed:
                camera.kill()
                killed.append(True)
            return False

        play(pipeline, run, until=kill_once)

    assert killed
    assert run.eos or run.errors
    assert not any("opening it again" in text for text in run.warnings)


def test_smart_record_says_that_nothing_is_recorded(clips: Path) -> None:
    pipeline, run, frames = source_of(uri=f"file://{clips}/a.mp4", smart_record=2)

    def ask() -> bool:
        if len(frames) == 30 and len(run.warnings) < 2:
            pipeline.get_by_name("source").emit("start-sr", None, 5, 10, None)
        return False

    pipeline.get_by_name("mux").set_property("drop-pipeline-eos", True)
    play(pipeline, run, until=lambda: ask() or len(run.warnings) >= 2)

    said = "the stand-in has no smart record, nothing is recorded"
    assert run.warnings[0] == f"source: smart-record=2: {said}"
    assert f"source: start-sr: {said}" in run.warnings
